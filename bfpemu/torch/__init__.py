"""Block floating point in PyTorch: tensors with gradients, layers, and the conversion of models.

* `bfp_quantize`, `BFPQuantizerSTE`: a tensor to the numbers of a format and back, gradient straight through.
* `QATConfig`, `quantize_`, `convert_linear_to_bfp`: layers of a model to quantised ones, in place.
* `BFPLinear`, `BFPConv1d`, `BFPConv2d`, `BFPEmbedding`: the layers; `BFPLayer` and `register_layer` for one's own.
* `save_packed`, `load_packed`: a model as a `.bfp` file; `export_onnx`: as an ONNX model.

The bits are those of `bfpemu.bfp_quantize`, eager and compiled. Names are loaded on first use; importing
the package registers the operator, which saved graphs need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import bfpemu.torch.operator  # noqa: F401 - it is registered

if TYPE_CHECKING:
    from bfpemu.adapters.configuration import QATConfig
    from bfpemu.adapters.conversion import Report
    from bfpemu.torch.autoflex import BFPAutoflex
    from bfpemu.torch.base import BFPLayer
    from bfpemu.torch.convert import convert_linear_to_bfp, quantize_
    from bfpemu.torch.functional import bfp_quantize
    from bfpemu.torch.layers import BFPConv1d, BFPConv2d, BFPEmbedding, BFPLinear
    from bfpemu.torch.onnx import export_onnx
    from bfpemu.torch.packed import load_packed, save_packed, to_torch
    from bfpemu.torch.quantizer import BFPQuantizerSTE
    from bfpemu.torch.registry import register_layer
    from bfpemu.torch.steps import next_step, nonfinite_blocks

_HOMES = {
    "BFPAutoflex": "torch.autoflex",
    "BFPConv1d": "torch.layers",
    "BFPConv2d": "torch.layers",
    "BFPEmbedding": "torch.layers",
    "BFPLinear": "torch.layers",
    "BFPLayer": "torch.base",
    "BFPQuantizerSTE": "torch.quantizer",
    "QATConfig": "adapters.configuration",
    "Report": "adapters.conversion",
    "bfp_quantize": "torch.functional",
    "convert_linear_to_bfp": "torch.convert",
    "export_onnx": "torch.onnx",
    "load_packed": "torch.packed",
    "next_step": "torch.steps",
    "nonfinite_blocks": "torch.steps",
    "quantize_": "torch.convert",
    "register_layer": "torch.registry",
    "save_packed": "torch.packed",
    "to_torch": "torch.packed",
}

__all__ = [
    "BFPAutoflex",
    "BFPConv1d",
    "BFPConv2d",
    "BFPEmbedding",
    "BFPLayer",
    "BFPLinear",
    "BFPQuantizerSTE",
    "QATConfig",
    "Report",
    "bfp_quantize",
    "convert_linear_to_bfp",
    "export_onnx",
    "load_packed",
    "next_step",
    "nonfinite_blocks",
    "quantize_",
    "register_layer",
    "save_packed",
    "to_torch",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bfpemu.torch' has no attribute {name!r}")
    value = getattr(import_module(f"bfpemu.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
