"""Models of PyTorch as ONNX models, through ``torch.onnx.export`` (spec 16)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import ModelProto
from onnx.defs import OpSchema
from onnxscript import values
from torch import nn

from bfpemu.adapters.text import preset_of
from bfpemu.errors import BfpError, SpecError
from bfpemu.onnx.functions import DOMAIN, DOMAIN_VERSION
from bfpemu.onnx.models import PLACEHOLDER, placeholder_attributes, with_functions
from bfpemu.onnx.operations import FLOATS
from bfpemu.torch.base import BFPLayer

_NAMES = {kind: name for name, kind in FLOATS.items()}


def export_onnx(
    model: nn.Module,
    args: tuple[Any, ...],
    path: str | Path | None = None,
    *,
    packs_weights: bool = True,
    **options: Any,
) -> ModelProto:
    """Return a model with quantised layers as an ONNX model, whose operands have the bits of the layers.

    Quantised weights are integers and scales, behind `DequantizeLinear`; other operands go through functions of
    integer operators. Products are the runtime's, which adds in an order of its own.

    Parameters
    ----------
    model : torch.nn.Module
        Its mode is that of the export: call ``model.eval()`` first.
    args : tuple
        Arguments of the model for the trace.
    path : path, optional
        A file to write, too.
    packs_weights : bool
        Write quantised weights as codes. Otherwise they stay floats, and every run quantises them.
    **options
        Of ``torch.onnx.export``, such as ``dynamic_shapes``, ``input_names`` and ``output_names``.

    Raises
    ------
    SpecError
        ``onnx``, for an emulated product, and for stochastic rounding; and as `bfpemu.onnx.weight`.
    DataError
        As `bfpemu.onnx.weight`.

    Examples
    --------
    A file for onnxruntime, with any number of rows::

        layer = BFPLinear(64, 8).eval()
        export_onnx(layer, (torch.randn(3, 64),), "layer.onnx", dynamic_shapes=({0: torch.export.Dim("rows")},))
    """
    _check_products(model)
    translations: dict[Any, Any] = {torch.ops.bfpemu.quantize.default: _quantize}
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                model, args, dynamo=True, verbose=False, custom_translation_table=translations, **options
            )
    except Exception as error:
        for cause in _causes(error):  # the exporter wraps what a translation raises
            if isinstance(cause, BfpError):
                raise cause from None
        raise
    assert program is not None
    exported = with_functions(program.model_proto, packs_weights=packs_weights)
    if path is not None:
        onnx.save(exported, path)
    return exported


def _check_products(model: nn.Module) -> None:
    """Refuse emulated products, which no operator of ONNX has."""
    for name, layer in model.named_modules():
        if isinstance(layer, BFPLayer) and layer.config.accumulator is not None:
            raise SpecError(
                "onnx",
                f"an exported model must multiply with the runtime's products (spec 16.5), got layer {name!r} with an "
                "accumulator; give it a configuration without one by its set_config",
            )


def _quantize(
    x: Any, format: str, axis: int | None = -1, seed: Any = None, stream: int = -1, clip: bool = False
) -> Any:
    """Return a placeholder for a quantised tensor; which weights are constants is known when all nodes are."""
    preset = preset_of(format)
    if seed is not None:
        raise SpecError(
            "onnx",
            f"an exported model must not round stochastically (spec 16.5), got {preset.name!r}; "
            "give its layers a configuration with another by their set_config",
        )
    shape = tuple(length if isinstance(length, int) else None for length in x.shape)
    return _operator()(x, **placeholder_attributes(preset, shape, axis, _NAMES[int(x.dtype)]))


@cache
def _operator() -> values.Op:
    """Return the placeholder's operator, with the types that the exporter asks for."""
    kinds = [f"tensor({name})" for name in ("float", "double", "float16", "bfloat16")]
    attribute, kind = OpSchema.Attribute, OpSchema.AttrType
    schema = OpSchema(
        PLACEHOLDER,
        DOMAIN,
        DOMAIN_VERSION,
        inputs=[OpSchema.FormalParameter("x", "T")],
        outputs=[OpSchema.FormalParameter("y", "T")],
        type_constraints=[("T", kinds, "what is quantised")],
        attributes=[
            attribute("format", kind.STRING, required=True),
            attribute("dtype", kind.STRING, required=True),
            attribute("rank", kind.INT, required=True),
            attribute("shape", kind.INTS, required=True),
            attribute("axis", kind.INT, required=False),
        ],
    )
    return values.Op(values.Opset(DOMAIN, DOMAIN_VERSION), PLACEHOLDER, schema)


def _causes(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
