"""Which layer is converted to which."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from torch import nn

from bfpemu.errors import SpecError
from bfpemu.torch.base import BFPLayer
from bfpemu.torch.layers import BFPConv1d, BFPConv2d, BFPEmbedding, BFPLinear

Layer = TypeVar("Layer", bound=type[BFPLayer])

_LAYERS: dict[type[nn.Module], type[BFPLayer]] = {
    nn.Conv1d: BFPConv1d,
    nn.Conv2d: BFPConv2d,
    nn.Embedding: BFPEmbedding,
    nn.Linear: BFPLinear,
}
EXPLICIT = (nn.Embedding,)
"""Layers that only a rule converts: a table is looked up and not multiplied."""


def register_layer(float_layer: type[nn.Module]) -> Callable[[Layer], Layer]:
    """Return a decorator that makes a class what layers of the type `float_layer` are converted to.

    The class extends `BFPLayer` and `float_layer`; its forward pass takes operands from
    ``self.quantized(tensor, slot, axis)``.

    Raises
    ------
    SpecError
        ``layer-type``, if the class does not extend both.

    Examples
    --------
    >>> import torch
    >>> from bfpemu.adapters.configuration import Slot
    >>> class Scale(nn.Linear):
    ...     pass
    >>> @register_layer(Scale)
    ... class BFPScale(BFPLayer, Scale):
    ...     def forward(self, x):
    ...         return x @ self.quantized(self.weight, Slot.WEIGHT, -1).T
    """

    def register(layer: Layer) -> Layer:
        if not {BFPLayer, float_layer} <= set(layer.__mro__):
            raise SpecError(
                "layer-type",
                f"a registered layer must extend BFPLayer and {float_layer.__name__}, got {layer.__name__}",
            )
        _LAYERS[float_layer] = layer
        return layer

    return register


def quantized_type(layer: nn.Module) -> type[BFPLayer] | None:
    """Return the class that a layer is converted to, None for a type that nobody registered."""
    found = _LAYERS.get(type(layer))
    if found is None and "transformers.pytorch_utils" in sys.modules:
        from bfpemu.torch.huggingface import BFPHuggingFaceConv1D, Conv1D

        if type(layer) is Conv1D:
            return BFPHuggingFaceConv1D
    return found


def converted_base(layer: nn.Module) -> str | None:
    """Return the name of the converted type that a layer extends, None for one that extends none."""
    return next((known.__name__ for known in type(layer).__mro__[1:] if known in _LAYERS), None)


def known_types() -> str:
    """Return the names of all types that are converted."""
    return ", ".join(sorted(layer.__name__ for layer in _LAYERS))
