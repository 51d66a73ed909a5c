"""The functions of the public page: quantise an array, print the formats (spec 1.9, 2.11)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy.typing as npt

from bfpemu import supplied
from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike, presets, resolve
from bfpemu.codec.quantize import quantize_array
from bfpemu.context import adapter
from bfpemu.errors import DataError
from bfpemu.formats import Conversion
from bfpemu.formats.preset import Preset
from bfpemu.sources import as_array, source_kind

AnyArray = npt.NDArray[Any]


def bfp_quantize(
    data: npt.ArrayLike,
    format: FormatLike = "bfp8",
    backend: str | None = None,
    axis: int | None = -1,
    *,
    conversion: Conversion | None = None,
    rounding: str | None = None,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> AnyArray:
    """Return `data` rounded to a format: encoded and decoded again (spec 1.9).

    Arrays of PyTorch, JAX and TensorFlow go to their adapter, and come back as what they were (spec 14.1).

    Parameters and errors are those of `BFPTensor`.

    Returns
    -------
    array
        The shape of `data`; its dtype for floats, float32 for integers below 32 bits, else float64.

    Examples
    --------
    >>> import numpy as np
    >>> bfp_quantize(np.array([1.0, 0.3]), (4, 32)).tolist()
    [1.0, 0.25]
    """
    preset, module = resolve(format, conversion, rounding), adapter(backend, data)
    if module is not None:
        unknown = {"exponents": exponents, "random_words": random_words, "threads": threads}
        found: AnyArray = _adapted(module, data, preset, axis, unknown)
        return found
    array = as_array(data)
    kind = source_kind(array.dtype)
    blocked = blocking(preset.format, array.shape, axis)
    given = supplied.checked(preset, blocked, exponents, random_words)
    filler = supplied.padding(preset.conversion, kind)
    array = array.astype(kind.dtype, copy=False)
    return quantize_array(array, kind, blocked, preset, given, filler, threads=threads)


def _adapted(module: str, data: Any, preset: Preset, axis: int | None, unknown: dict[str, Any]) -> Any:
    """Return what the adapter of a framework makes of its array (spec 14.1)."""
    for name, value in unknown.items():
        if value is not None:
            raise DataError(
                "backend", f"{name} must be left out for a framework's array; {module}.bfp_quantize has more"
            )
    found: Any = import_module(module).bfp_quantize(data, preset, axis)
    return found


def print_bfp_format_table() -> None:
    """Print every format of the catalogue with its true compression (spec 2.9, 2.11).

    Examples
    --------
    >>> print_bfp_format_table()  # doctest: +ELLIPSIS
    Name ...
    """
    row = "{:<28} {:>8} {:>10} {:>8} {:>10} {:>10} {:>10}"
    print(row.format("Name", "Mantissa", "Block size", "Exponent", "Total bits", "vs FP16", "vs FP32"))
    for name, preset in presets().items():
        spec = preset.format
        bits = "" if spec.block_size is None else spec.total_bits_per_block
        ratios = (f"{ratio:.3f}x" for ratio in (spec.compression_vs_fp16, spec.compression_vs_fp32))
        print(row.format(name, spec.mantissa_bits, str(spec.block_size), spec.exponent_bits, bits, *ratios))
