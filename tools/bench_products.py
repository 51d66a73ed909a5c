"""Measure products of matrices in emulated units against float32 products and APyTypes, in one run.

The operands are encoded before. NumPy, and PyTorch where it is installed, multiply the same sizes in float32
on as many threads; NumPy takes one for each core, or `OPENBLAS_NUM_THREADS`. APyTypes, which emulates
floats and fixed-point numbers of any width, multiplies the same values with the nearest accumulator that it
has; it takes a minute for 1024 cubed, so it is given a smaller size, and products a second are compared.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import bfpemu
from bfpemu import Accumulator, BFPTensor, DotProductUnit, FloatFormat, unit

SIZE = 1024
SMALL = 128
TINY = 64
THREADS = 2
REPEATS = 5
CALLS = 5
STILL = 0.02
"""Seconds in which a process that does nothing uses next to no processor time."""

Product = Callable[[], object]

FP24 = FloatFormat(exponent_bits=8, fraction_bits=15, rounding="toward_zero")

UNITS: list[tuple[str, DotProductUnit, str]] = [
    ("`fp32_sequential`", unit("fp32_sequential"), "float32"),
    ("float accumulator, bf16", DotProductUnit(accumulator=Accumulator(kind="float", format="bf16")), "bf16"),
    (
        "float accumulator, 1.8.15 toward zero",
        DotProductUnit(accumulator=Accumulator(kind="float", format=FP24)),
        "fp24",
    ),
    ("`mxdotp`, fused float32", unit("mxdotp"), "float32"),
    ("fixed, 32 bits", DotProductUnit(accumulator=Accumulator(kind="fixed", bits=32, lsb_exponent=-16)), "fixed"),
    (
        "aligned, 24 bits beside an exponent",
        DotProductUnit(accumulator=Accumulator(kind="aligned", bits=24, fraction_bits=12, overflow="saturate")),
        "float32",
    ),
    ("`t_fdpa_25`, aligned and normalised", unit("t_fdpa_25"), "float32"),
    ("`exact`", unit("exact"), "exact"),
    ("`exact`, against words of 17 bits", unit("exact"), "exact, narrow"),
]
"""What is shown, the unit, and the accumulator of APyTypes that is nearest to it."""

FORMATS = ("bfp4", "bfp6", "bfp8", "bfp12", "bfp16")


def seconds(product: Product) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    product()
    return time.perf_counter() - start


def wait_for_threads() -> None:
    """Wait until no thread of this process works: NumPy's spin for a tenth of a second after a product.

    A product on as many threads that begins earlier has one core to itself, not two.
    """
    while True:
        before = time.process_time()
        time.sleep(STILL)
        if time.process_time() - before < STILL / 20:
            return


def in_a_row(product: Product) -> list[float]:
    """Return the wall times of calls in a row, as a loop makes them; the first one wakes the cores and is left out."""
    wait_for_threads()
    return [seconds(product) for _ in range(CALLS + 1)][1:]


def ratio(product: Product, other: Product) -> float:
    """Return the time of the other over that of the product; the two alternate, so that both see the same machine."""
    product(), other()
    others, products = [], []
    for _ in range(REPEATS):
        others += in_a_row(other)
        products += in_a_row(product)
    return statistics.median(others) / statistics.median(products)


def operands(name: str, left: np.ndarray, right: np.ndarray) -> tuple[BFPTensor, BFPTensor]:
    """Return two matrices blocked along the axis that is summed."""
    return BFPTensor(left, name), BFPTensor(right, name, axis=0)


def float32_product_of_torch(left: np.ndarray, right: np.ndarray) -> Product | None:
    """Return PyTorch's product of the same matrices on `THREADS` threads, or None where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(THREADS)
    a, b = torch.from_numpy(left), torch.from_numpy(right)
    return lambda: torch.matmul(a, b)


def apytypes_seconds(left: np.ndarray, right: np.ndarray) -> dict[str, float] | None:
    """Return the seconds that APyTypes takes for one multiplication and addition, by accumulator."""
    if importlib.util.find_spec("apytypes") is None:
        return None
    import apytypes

    widths: dict[str, dict[str, Any]] = {
        "float32": {"exp_bits": 8, "man_bits": 23},
        "bf16": {"exp_bits": 8, "man_bits": 7},
        "fp24": {"exp_bits": 8, "man_bits": 15, "quantization": apytypes.QuantizationMode.TO_ZERO},
    }
    # The exact values of bfp8 blocks: 8 bits, at exponents that lie some bits apart.
    a, b = (BFPTensor(values, "bfp8", axis=axis).dequantize() for values, axis in ((left, -1), (right, 0)))
    floats = [apytypes.APyFloatArray.from_float(values, 8, 10) for values in (a, b)]
    fixed = [apytypes.APyFixedArray.from_float(values, int_bits=5, frac_bits=12) for values in (a, b)]
    found = {}
    for name, fields in widths.items():
        with apytypes.APyFloatAccumulatorContext(**fields):
            found[name] = seconds(lambda: floats[0] @ floats[1])
    with apytypes.APyFixedAccumulatorContext(int_bits=16, frac_bits=16):
        found["fixed"] = seconds(lambda: fixed[0] @ fixed[1])
    found["exact, narrow"] = min(seconds(lambda: fixed[0] @ fixed[1]) for _ in range(REPEATS))
    rates = {name: taken / left.shape[0] ** 3 for name, taken in found.items()}
    # Words that hold every value of bfp8, as an exact sum for any data needs.
    a, b = (values[:TINY, :TINY] for values in (a, b))
    wide = [apytypes.APyFixedArray.from_float(values, int_bits=129, frac_bits=133) for values in (a, b)]
    return rates | {"exact": min(seconds(lambda: wide[0] @ wide[1]) for _ in range(3)) / TINY**3}


def table() -> str:
    """Return two tables in Markdown: accumulators, and formats."""
    random = np.random.default_rng(1)
    left, right = (random.standard_normal((SIZE, SIZE), dtype=np.float32) for _ in range(2))
    others = apytypes_seconds(left[:SMALL, :SMALL], right[:SMALL, :SMALL])
    lines = [
        f"Products of two encoded {SIZE} x {SIZE} matrices of bfp8 on {THREADS} threads, bit for bit as the unit "
        "computes them. The first figure is NumPy's time for the float32 product divided by ours. The second says how "
        f"many times more products a second than APyTypes 0.5.1 ({SMALL} x {SMALL}, one thread, its nearest "
        "accumulator) that is. Its exact sums are in fixed-point words: of 262 bits for every value of bfp8, or of 17 "
        "bits, which happen to do for this data.",
        "",
        "| unit | against NumPy float32 | against APyTypes |",
        "|---|---|---|",
    ]
    if (torch_product := float32_product_of_torch(left, right)) is not None:
        lines.append(f"| PyTorch's own float32 product | {ratio(torch_product, lambda: left @ right):.2f} | |")
    a, b = operands("bfp8", left, right)
    for shown, which, nearest in UNITS:
        figure = ratio(lambda: which.matmul(a, b, threads=THREADS), lambda: left @ right)  # noqa: B023
        taken = statistics.median(seconds(lambda: which.matmul(a, b, threads=THREADS)) for _ in range(3))  # noqa: B023
        times = "not installed" if others is None else f"{others[nearest] / (taken / SIZE**3):,.0f}"
        lines.append(f"| {shown} | {figure:.2f} | {times} |")
        print(lines[-1], file=sys.stderr, flush=True)
    sequential = unit("fp32_sequential")
    lines += ["", "| `fp32_sequential` by format | operands encoded | encoding included |", "|---|---|---|"]
    for name in FORMATS:
        a, b = operands(name, left, right)
        encoded = ratio(lambda: sequential.matmul(a, b, threads=THREADS), lambda: left @ right)  # noqa: B023
        whole = ratio(
            lambda: sequential.matmul(*operands(name, left, right), threads=THREADS),  # noqa: B023
            lambda: left @ right,
        )
        lines.append(f"| {name} | {encoded:.2f} | {whole:.2f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"bfpemu {bfpemu.__version__}", file=sys.stderr)
    print(table())
