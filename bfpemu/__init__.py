"""Bit-accurate block floating point, with real packed bytes.

* `BFPTensor`, `bfp_quantize`: numbers to codes and back.
* `BFPSpec`, `Conversion`, `Layout`, `Preset`: which numbers exist, how they get in, where the bits go.
* `BFP_FORMATS`, `load_format`: the catalogue, and formats of your own.
* `bfpemu.storage`: `.bfp` files. `bfpemu.reference`: the executable spec. `bfpemu.errors`: every error.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bfpemu.catalog import BFP_FORMATS
    from bfpemu.codec import encode_counts
    from bfpemu.context import backend, get_backend
    from bfpemu.errors import BfpError
    from bfpemu.formats import BFPSpec, Conversion, Layout, Preset, SourceStep, create_bfp_spec
    from bfpemu.formats.serialise import load_format, save_format
    from bfpemu.quantize import bfp_quantize, print_bfp_format_table
    from bfpemu.tensor import BFPTensor

_HOMES = {
    "BFPSpec": "formats",
    "BFPTensor": "tensor",
    "BFP_FORMATS": "catalog",
    "BfpError": "errors",
    "Conversion": "formats",
    "Layout": "formats",
    "Preset": "formats",
    "SourceStep": "formats",
    "backend": "context",
    "bfp_quantize": "quantize",
    "create_bfp_spec": "formats",
    "encode_counts": "codec",
    "get_backend": "context",
    "load_format": "formats.serialise",
    "print_bfp_format_table": "quantize",
    "save_format": "formats.serialise",
}

__all__ = [
    "BFP_FORMATS",
    "BFPSpec",
    "BFPTensor",
    "BfpError",
    "Conversion",
    "Layout",
    "Preset",
    "SourceStep",
    "__version__",
    "backend",
    "bfp_quantize",
    "create_bfp_spec",
    "encode_counts",
    "get_backend",
    "load_format",
    "print_bfp_format_table",
    "save_format",
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
