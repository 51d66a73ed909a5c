"""Layers with quantised operands; each is its float layer with a configuration (spec 14.8).

They keep the float layer's parameters and the names in its `state_dict`, so a layer that is there is
converted in place, by its class alone.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from bfpemu.adapters.configuration import QATConfig, Slot, layer_config
from bfpemu.adapters.text import StoredFormat
from bfpemu.errors import SpecError
from bfpemu.torch.base import BFPLayer
from bfpemu.torch.operands import channels_last
from bfpemu.torch.products import convolution, linear


class BFPLinear(BFPLayer, nn.Linear):
    """A linear layer whose weight and input are quantised in blocks along the input features.

    Parameters
    ----------
    in_features, out_features, bias
        As for `torch.nn.Linear`.
    weight_format, act_format, quantize_input, quantize_output
        As in `QATConfig`.
    **options
        Other fields of `QATConfig`, such as ``grad_format`` and ``accumulator``, or ``config``, which takes the
        place of all before; and ``device`` and ``dtype`` of `torch.nn.Linear`.

    Raises
    ------
    SpecError
        ``unknown-format``, ``adapter-format``, ``unknown-unit`` or ``unit``.

    Examples
    --------
    >>> import torch
    >>> layer = BFPLinear(in_features=768, out_features=3072, weight_format="bfp8")
    >>> layer(torch.randn(32, 768)).shape
    torch.Size([32, 3072])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        weight_format: StoredFormat | None = "bfp8",
        act_format: StoredFormat | None = None,
        quantize_input: bool = True,
        quantize_output: bool = False,
        **options: Any,
    ) -> None:
        config = layer_config(
            options,
            weight_format=weight_format,
            act_format=act_format,
            quantize_input=quantize_input,
            quantize_output=quantize_output,
        )
        nn.Linear.__init__(self, in_features, out_features, bias, **options)
        self.set_config(config)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of quantised operands, and the bias."""
        return self.finished(linear(self, x, self.weight), self.bias)


class _Convolution(BFPLayer):
    """What `BFPConv1d` and `BFPConv2d` have in common."""

    weight_axis = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        weight_format: StoredFormat | None = "bfp8",
        act_format: StoredFormat | None = None,
        quantize_input: bool = True,
        quantize_output: bool = False,
        **options: Any,
    ) -> None:
        config = layer_config(
            options,
            weight_format=weight_format,
            act_format=act_format,
            quantize_input=quantize_input,
            quantize_output=quantize_output,
        )
        super().__init__(in_channels, out_channels, kernel_size, **options)
        self.set_config(config)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        order = channels_last(x.dim(), weight.dim() - 2)
        return self.finished(convolution(self, x, weight), bias, -weight.dim() + 1, order)


class BFPConv1d(_Convolution, nn.Conv1d):
    """A convolution along one axis; parameters and errors as for `BFPConv2d`.

    Examples
    --------
    >>> import torch
    >>> BFPConv1d(3, 8, 3, padding=1)(torch.randn(2, 3, 10)).shape
    torch.Size([2, 8, 10])
    """

    @classmethod
    def check_layer(cls, layer: nn.Module, config: QATConfig) -> None:
        """Refuse an emulated product as well: units convolve images."""
        super().check_layer(layer, config)
        if config.accumulator is not None:
            raise SpecError("unit", "an accumulator needs a linear layer or a Conv2d (spec 6.14), got a Conv1d")


class BFPConv2d(_Convolution, nn.Conv2d):
    """A convolution whose weight and input are quantised in blocks along the input channels.

    Parameters
    ----------
    in_channels, out_channels, kernel_size
        As for `torch.nn.Conv2d`.
    weight_format, act_format, quantize_input, quantize_output
        As in `QATConfig`.
    **options
        Other fields of `QATConfig`, or ``config``, as for `BFPLinear`; and arguments of `torch.nn.Conv2d`.

    Raises
    ------
    SpecError
        ``unknown-format``, ``adapter-format``, ``unknown-unit`` or ``unit``.

    Examples
    --------
    >>> import torch
    >>> layer = BFPConv2d(in_channels=3, out_channels=64, kernel_size=3, weight_format="bfp8", padding=1)
    >>> layer(torch.randn(2, 3, 24, 24)).shape
    torch.Size([2, 64, 24, 24])
    """


class BFPEmbedding(BFPLayer, nn.Embedding):
    """An embedding whose vectors are quantised in blocks along their features.

    Examples
    --------
    >>> import torch
    >>> table = BFPEmbedding.from_float(nn.Embedding(10, 64), QATConfig(weight_format="bfp4"))
    >>> table(torch.tensor([1, 2])).shape
    torch.Size([2, 64])
    """

    @classmethod
    def check_layer(cls, layer: nn.Module, config: QATConfig) -> None:
        """Refuse ``max_norm`` as well: its forward pass changes the weight, here a quantised copy."""
        super().check_layer(layer, config)
        if getattr(layer, "max_norm", None) is not None:
            raise SpecError(
                "layer-type",
                "an embedding must have no max_norm, which changes its weight in the forward pass (spec 14.8), "
                f"got max_norm={layer.max_norm}; leave the layer as it is, or bound the weight between steps",
            )

    def forward(self, indices: Tensor) -> Tensor:
        """Return the quantised vectors of `indices`."""
        weight = self.quantized(self.weight, Slot.WEIGHT, -1)
        found: Tensor = functional.embedding(
            indices, weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )
        return self.operands.quantized(found, Slot.OUTPUT, -1, getattr(self, "rounding_step", None))
