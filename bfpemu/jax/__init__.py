"""Block floating point in JAX and Flax: the bits of the kernels, under every transformation (spec 14).

* `bfp_quantize`, `BFPQuantizerSTE`: arrays rounded to a format, with a straight-through gradient.
* `dot_general`, `conv_general_dilated`: what models of Flax take in place of JAX's own operations; `QATConfig` says
  what they quantise.
* `BFPDense` and `bfpemu.jax.linen`: layers for Flax linen. `BFPLinear` and `bfpemu.jax.nnx`: for Flax nnx. Both modules
  have `quantize_model` for models that exist, which returns a `Report` too, `next_step` and `nonfinite_blocks`; that
  of nnx is `bfpemu.jax.quantize_model`.
* `save_packed`, `load_packed`: a tree of arrays as a `.bfp` file; `save_packed_model`, `load_packed_model`: a model of
  Flax nnx.

Flax is loaded when a layer is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bfpemu.adapters.configuration import QATConfig
from bfpemu.adapters.conversion import Report
from bfpemu.context import backend, get_backend
from bfpemu.jax.conv import conv_general_dilated
from bfpemu.jax.dot import dot_general
from bfpemu.jax.quantize import BFPQuantizerSTE, bfp_quantize

if TYPE_CHECKING:
    from bfpemu.jax.linen import BFPDense
    from bfpemu.jax.nnx import BFPLinear, quantize_model
    from bfpemu.jax.packed import load_packed, load_packed_model, save_packed, save_packed_model

_HOMES = {
    "BFPDense": "linen",
    "BFPLinear": "nnx",
    "load_packed": "packed",
    "load_packed_model": "packed",
    "quantize_model": "nnx",
    "save_packed": "packed",
    "save_packed_model": "packed",
}

__all__ = [
    "BFPDense",
    "BFPLinear",
    "BFPQuantizerSTE",
    "QATConfig",
    "Report",
    "backend",
    "bfp_quantize",
    "conv_general_dilated",
    "dot_general",
    "get_backend",
    "load_packed",
    "load_packed_model",
    "quantize_model",
    "save_packed",
    "save_packed_model",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bfpemu.jax' has no attribute {name!r}")
    value = getattr(import_module(f"bfpemu.jax.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
