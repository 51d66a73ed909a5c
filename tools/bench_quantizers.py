"""Measure quantising to 8 bits in blocks of 32, and back to float32, against other emulators, in one run.

Every tool is given the same float32 array and one thread, and does the nearest thing that it can: blocks that
share an exponent, or, for ml_dtypes, single numbers cast to 8-bit floats. What takes long is given less, and
elements a second are compared.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator

import ml_dtypes
import numpy as np

import bfpemu
import timing

SHAPE = (1024, 1024)
FEW = 64
"""Rows for tools that take milliseconds a block."""
REPEATS = 7

Quantize = Callable[[np.ndarray], object]


def ours(values: np.ndarray) -> object:
    """Quantise with bfpemu."""
    return bfpemu.bfp_quantize(values, format="bfp8", threads=1)


def numpy_blocks(values: np.ndarray) -> object:
    """Quantise with whole-array NumPy calls, as users write it themselves."""
    blocks = values.reshape(-1, 32)
    fraction, exponent = np.frexp(np.abs(blocks).max(axis=1))
    exponent += fraction > 127 / 128
    return np.ldexp(np.rint(np.ldexp(blocks, (7 - exponent)[:, None])), (exponent - 7)[:, None])


def cast(values: np.ndarray) -> object:
    """Cast to an 8-bit float and back."""
    return values.astype(ml_dtypes.float8_e4m3fn).astype(np.float32)


def pychop() -> Quantize:
    """Return the quantiser of pychop."""
    import pychop

    pychop.backend("numpy")
    return lambda values: pychop.bfp_quantize(values, format="bfp8")


def gfloat() -> Quantize:
    """Return the quantiser of gfloat, which takes one block at a time."""
    import gfloat
    from gfloat.formats import format_info_mxint8

    def quantize(values: np.ndarray) -> object:
        blocks = values.reshape(-1, 32)
        return [gfloat.quantize_block(format_info_mxint8, block, gfloat.compute_scale_amax) for block in blocks]

    return quantize


def qtorch() -> Quantize:
    """Return the quantiser of QPyTorch, which compiles itself when it is imported."""
    import torch
    from qtorch.quant import block_quantize

    torch.set_num_threads(1)
    return lambda values: block_quantize(torch.from_numpy(values.reshape(-1, 32)), 8, dim=0, rounding="nearest")


OTHERS: list[tuple[str, Callable[[], Quantize], int]] = [
    ("whole-array NumPy (frexp, ldexp, rint)", lambda: numpy_blocks, SHAPE[0]),
    ("ml_dtypes, a cast of each number to float8_e4m3fn", lambda: cast, SHAPE[0]),
    ("QPyTorch 0.3.0, `block_quantize`", qtorch, SHAPE[0]),
    ("pychop 0.6.2, `bfp_quantize`", pychop, FEW),
    ("gfloat 0.5.2, `quantize_block`", gfloat, FEW // 16),
]
"""What is shown, what makes the quantiser, and how many rows it is given."""


def rate(quantize: Quantize, values: np.ndarray) -> float:
    """Return elements a second, by the median of some calls."""
    quantize(values)

    repeats = REPEATS if values.shape[0] > FEW else 1
    return values.size / statistics.median(timing.seconds(lambda: quantize(values)) for _ in range(repeats))


def lines() -> Iterator[str]:
    """Yield the rows of the table."""
    values = np.random.default_rng(2).standard_normal(SHAPE, dtype=np.float32)
    yield f"| bfpemu, `bfp_quantize` | {rate(ours, values) / 1e6:,.2f} | |"
    for shown, make, rows in OTHERS:
        try:
            quantize = make()
        except (ImportError, RuntimeError) as problem:  # QPyTorch needs a compiler
            yield f"| {shown} | not available: {type(problem).__name__} | |"
            continue
        other = rate(quantize, values[:rows])
        # Again beside it, so that both see the same machine.
        yield f"| {shown} | {other / 1e6:,.2f} | {rate(ours, values) / other:,.0f} |"


def table() -> str:
    """Return the table in Markdown."""
    found = [
        "| 8 bits in blocks of 32, and back | million elements a second | bfpemu is faster by |",
        "|---|---:|---:|",
    ]
    for line in lines():
        found.append(line)
        print(line, file=sys.stderr, flush=True)
    return "\n".join(found)


if __name__ == "__main__":
    print(table())
