"""Bit-accurate block floating point, with real packed bytes.

* `BFPTensor`, `bfp_quantize`: numbers to codes and back.
* `BFPSpec`, `Conversion`, `Layout`, `Preset`: which numbers exist, how they get in, where the bits go.
* `BFP_FORMATS`, `load_format`: the catalogue, and formats of your own.
* `bfpemu.autoflex`: one exponent for a tensor, which follows the data.
* `bfpemu.storage`: `.bfp` files. `bfpemu.reference`: the executable spec. `bfpemu.errors`: every error.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bfpemu.arithmetic.elementwise import add, multiply, negate, relu, requantize, subtract
    from bfpemu.arithmetic.operations import conv2d, dot, matmul
    from bfpemu.arithmetic.unit import DotProductUnit, load_unit, unit
    from bfpemu.catalog import BFP_FORMATS, preset
    from bfpemu.context import backend, get_backend
    from bfpemu.counts import encode_counts
    from bfpemu.errors import BfpError
    from bfpemu.formats import BFPSpec, Conversion, Layout, Preset, SourceStep, create_bfp_spec
    from bfpemu.formats.serialise import load_format, save_format
    from bfpemu.formats.unit import Accumulator, FloatFormat
    from bfpemu.formats.unit_serialise import save_unit
    from bfpemu.quantize import bfp_quantize, print_bfp_format_table
    from bfpemu.tensor import BFPTensor

_HOMES = {
    "Accumulator": "formats.unit",
    "BFPSpec": "formats",
    "BFPTensor": "tensor",
    "BFP_FORMATS": "catalog",
    "BfpError": "errors",
    "Conversion": "formats",
    "DotProductUnit": "arithmetic.unit",
    "FloatFormat": "formats.unit",
    "Layout": "formats",
    "Preset": "formats",
    "SourceStep": "formats",
    "add": "arithmetic.elementwise",
    "backend": "context",
    "bfp_quantize": "quantize",
    "conv2d": "arithmetic.operations",
    "create_bfp_spec": "formats",
    "dot": "arithmetic.operations",
    "encode_counts": "counts",
    "get_backend": "context",
    "load_format": "formats.serialise",
    "load_unit": "arithmetic.unit",
    "matmul": "arithmetic.operations",
    "multiply": "arithmetic.elementwise",
    "negate": "arithmetic.elementwise",
    "preset": "catalog",
    "print_bfp_format_table": "quantize",
    "relu": "arithmetic.elementwise",
    "requantize": "arithmetic.elementwise",
    "save_format": "formats.serialise",
    "save_unit": "formats.unit_serialise",
    "subtract": "arithmetic.elementwise",
    "unit": "arithmetic.unit",
}

__all__ = [
    "BFP_FORMATS",
    "Accumulator",
    "BFPSpec",
    "BFPTensor",
    "BfpError",
    "Conversion",
    "DotProductUnit",
    "FloatFormat",
    "Layout",
    "Preset",
    "SourceStep",
    "__version__",
    "add",
    "backend",
    "bfp_quantize",
    "conv2d",
    "create_bfp_spec",
    "dot",
    "encode_counts",
    "get_backend",
    "load_format",
    "load_unit",
    "matmul",
    "multiply",
    "negate",
    "preset",
    "print_bfp_format_table",
    "relu",
    "requantize",
    "save_format",
    "save_unit",
    "subtract",
    "unit",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("bfpemu")
    if name not in _HOMES:
        raise AttributeError(f"module 'bfpemu' has no attribute {name!r}")
    value = getattr(import_module(f"bfpemu.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
