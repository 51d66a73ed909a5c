"""Products of quantised operands, forward and backward (spec 14.10).

With a format for gradients the backward products quantise the gradient and the *original* operands
again, each along the axis that the product sums; without one, autograd multiplies the gradient by what
the forward product had. Biases are added by the caller, after the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional, grad

from bfpemu.adapters.configuration import Slot
from bfpemu.torch.operands import channels_last, outputs_last

if TYPE_CHECKING:
    from bfpemu.torch.base import BFPLayer
    from bfpemu.torch.operands import Operands


def linear(layer: BFPLayer, x: Tensor, weight: Tensor) -> Tensor:
    """Return ``x @ weight.T`` of quantised operands; `weight` has the shape (outputs, inputs)."""
    whole = layer.quantized(x, Slot.ACT, -1), layer.quantized(weight, Slot.WEIGHT, -1, (1, 0))
    x_q, weight_q = _cast(*whole)
    operands, step = layer.operands, getattr(layer, "rounding_step", None)
    if operands.unit is None and layer.config.grad_format is None:
        return functional.linear(x_q, weight_q)
    given, taken = (x.detach(), weight.detach()), (x_q.detach(), weight_q.detach())
    if operands.unit is None:
        product = functional.linear(*taken)
    else:
        from bfpemu.torch.emulated import emulated_linear

        # The unit has the numbers of the formats; autocast rounds its results alone.
        numbers = (whole[0].detach(), whole[1].detach())
        product = emulated_linear(*given, *numbers, operands.product_texts, _seed(layer, x)).to(x_q.dtype)
    if layer.config.grad_format is None:
        found: Tensor = _StraightThrough.apply(x_q, weight_q, product, None)  # type: ignore[no-untyped-call]
    else:
        found = _Linear.apply(x, weight, product, operands, step)  # type: ignore[no-untyped-call]
    return found


def _seed(layer: BFPLayer, x: Tensor) -> Tensor | None:
    """Return the seed that both operands of an emulated product fold their slots into."""
    operands = layer.operands
    slot = next((slot for slot in (Slot.ACT, Slot.WEIGHT) if operands.is_stochastic[slot]), Slot.ACT)
    return operands.stream(x, slot, getattr(layer, "rounding_step", None))[0]


def convolution(layer: Any, x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution of quantised operands, with the arguments that `layer` has."""
    groups, channels = layer.groups, -weight.dim() + 1
    x_q = _by_group(layer, x, Slot.ACT, channels, groups)
    weight_q = layer.quantized(weight, Slot.WEIGHT, 1, outputs_last(weight.dim()))
    x_q, weight_q = _cast(x_q, weight_q)
    operands, step = layer.operands, getattr(layer, "rounding_step", None)
    if operands.unit is None and layer.config.grad_format is None:
        return _plain_convolution(layer, x_q, weight_q)
    inputs = x.detach()
    if layer.config.grad_format is not None:
        order = channels_last(x.dim() + 1, weight.dim() - 2, in_groups=True)
        x = operands.clipped(x, Slot.ACT, channels, groups, step, order)
    # Words are drawn for the inputs that there are, so what is drawn comes before the padding (spec 14.6).
    x, arguments = padded(layer, x)
    x_q, _ = padded(layer, x_q)
    margins = list(layer._reversed_padding_repeated_twice), layer.padding_mode
    if operands.unit is None:
        product = _convolve(x_q.detach(), weight_q.detach(), arguments)
    else:
        from bfpemu.torch.emulated import emulated_convolution

        stride, _, dilation, groups = arguments
        images = inputs if inputs.dim() == 4 else inputs.unsqueeze(0)
        texts, seed = operands.product_texts, _seed(layer, x)
        product = emulated_convolution(images, weight.detach(), texts, seed, stride, dilation, groups, *margins)
        product = (product if inputs.dim() == 4 else product.squeeze(0)).to(x_q.dtype)
    if layer.config.grad_format is None:
        found: Tensor = _StraightThrough.apply(x_q, weight_q, product, arguments)  # type: ignore[no-untyped-call]
    else:
        given = (x, weight, product, operands, step, arguments, inputs, margins)
        found = _Convolution.apply(*given)  # type: ignore[no-untyped-call]
    return found


def _convolve(x: Tensor, weight: Tensor, arguments: tuple[Any, ...]) -> Tensor:
    function = functional.conv1d if weight.dim() == 3 else functional.conv2d
    return function(x, weight, None, *arguments)


def _convolution_gradients(
    x: Tensor, weight: Tensor, left: Tensor, arguments: tuple[Any, ...], needed: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of a convolution without padding with respect to its operands, where they are needed."""
    of: Any = grad  # without types
    is_image = weight.dim() == 4
    to_x = to_weight = None
    if needed[0]:
        to_x = (of.conv2d_input if is_image else of.conv1d_input)(x.shape, weight.to(left.dtype), left, *arguments)
    if needed[1]:
        images = x.to(left.dtype)
        to_weight = (of.conv2d_weight if is_image else of.conv1d_weight)(images, weight.shape, left, *arguments)
    return to_x, to_weight


def padded(layer: Any, x: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
    """Return the input with its padding around it, and (stride, padding, dilation, groups) for what is left."""
    x = _with_margins(x, layer._reversed_padding_repeated_twice, layer.padding_mode)
    return x, (layer.stride, (0,) * len(layer.stride), layer.dilation, layer.groups)


def _with_margins(x: Tensor, around: Sequence[int], mode: str) -> Tensor:
    if not any(around):
        return x
    return functional.pad(x, list(around), mode="constant" if mode == "zeros" else mode)


def _plain_convolution(layer: Any, x: Tensor, weight: Tensor) -> Tensor:
    if layer.padding_mode == "zeros":
        return _convolve(x, weight, (layer.stride, layer.padding, layer.dilation, layer.groups))
    return _convolve(padded(layer, x)[0], weight, padded(layer, x)[1])


def _by_group(layer: BFPLayer, x: Tensor, slot: int, axis: int, groups: int) -> Tensor:
    """Return a tensor of channels quantised so that no block has channels of two groups."""
    places = -axis - 1
    if groups == 1 or layer.operands.texts[slot] is None:
        return layer.quantized(x, slot, axis, channels_last(x.dim(), places))
    order = channels_last(x.dim() + 1, places, in_groups=True)
    return layer.quantized(torch.unflatten(x, axis, (groups, -1)), slot, axis, order).flatten(axis - 1, axis)


def _cast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return both operands in the dtype of autocast: after they were quantised, so that nothing rounds twice."""
    if x.device.type != "meta" and torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        return x.to(dtype), weight.to(dtype)
    return x, weight


class _StraightThrough(torch.autograd.Function):
    """A product that was computed elsewhere, with the gradient of the float product of its operands."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, product: Tensor, arguments: tuple[Any, ...] | None) -> Tensor:
        return product.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, ctx.arguments = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if ctx.arguments is None:
            to_x = gradient @ weight
            to_weight = gradient.reshape(-1, gradient.shape[-1]).t() @ x.reshape(-1, x.shape[-1])
            return to_x, to_weight, None, None
        is_single = x.dim() < weight.dim()
        images, left = (x.unsqueeze(0), gradient.unsqueeze(0)) if is_single else (x, gradient)
        to_images, to_kernel = _convolution_gradients(images, weight, left, ctx.arguments, (True, True))
        return (to_images.squeeze(0) if is_single and to_images is not None else to_images), to_kernel, None, None


class _Linear(torch.autograd.Function):
    """A linear product that was computed elsewhere, whose backward products quantise their operands."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, product: Tensor, operands: Operands, step: Tensor | None) -> Tensor:
        return product.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, ctx.operands, step = inputs
        ctx.save_for_backward(x, weight, *(() if step is None else (step.clone(),)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *steps = ctx.saved_tensors
        step, operands = steps[0] if steps else None, ctx.operands
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            left = operands.quantized(gradient, Slot.DX_GRADIENT, -1, step)
            to_x = left @ operands.quantized(weight, Slot.DX_WEIGHT, 0, step, (1, 0)).to(left.dtype)
            to_x = operands.passed(to_x.to(x.dtype), x, Slot.ACT, -1, step)
        if ctx.needs_input_grad[1]:
            rows, tokens = gradient.reshape(-1, gradient.shape[-1]), x.reshape(-1, x.shape[-1])
            left = operands.quantized(rows, Slot.DW_GRADIENT, 0, step)
            to_weight = left.t() @ operands.quantized(tokens, Slot.DW_ACT, 0, step).to(left.dtype)
            to_weight = operands.passed(to_weight.to(weight.dtype), weight, Slot.WEIGHT, -1, step, (1, 0))
        return to_x, to_weight, None, None, None


class _Convolution(torch.autograd.Function):
    """A convolution that was computed elsewhere, whose backward products quantise their operands."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        product: Tensor,
        operands: Operands,
        step: Tensor | None,
        arguments: tuple[Any, ...],
        inputs: Tensor,
        margins: tuple[Sequence[int], str],
    ) -> Tensor:
        return product.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, ctx.operands, step, ctx.arguments, taken, ctx.margins = inputs
        ctx.padded_shape = x.shape
        ctx.save_for_backward(taken, weight, *(() if step is None else (step.clone(),)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *steps = ctx.saved_tensors
        step, operands, arguments = steps[0] if steps else None, ctx.operands, ctx.arguments
        groups, channels, places = arguments[3], -weight.dim() + 1, weight.dim() - 2
        to_x = to_weight = None
        is_single = x.dim() < weight.dim()
        if is_single:
            x, gradient = x.unsqueeze(0), gradient.unsqueeze(0)
        shape = (1, *ctx.padded_shape) if is_single else ctx.padded_shape
        if ctx.needs_input_grad[0]:
            # No block has channels of two groups (spec 14.8).
            by_group = torch.unflatten(gradient, channels, (groups, -1))
            order = channels_last(by_group.dim(), places, in_groups=True)
            left = operands.quantized(by_group, Slot.DX_GRADIENT, channels, step, order).flatten(channels - 1, channels)
            kernels = torch.unflatten(weight, 0, (groups, -1))
            order = outputs_last(kernels.dim(), in_groups=True)
            own = operands.quantized(kernels, Slot.DX_WEIGHT, 1, step, order).flatten(0, 1)
            found, _ = _convolution_gradients(x.new_empty(()).expand(shape), own, left, arguments, (True, False))
            assert found is not None
            to_x = found.to(x.dtype).squeeze(0) if is_single else found.to(x.dtype)
        if ctx.needs_input_grad[1]:
            order = channels_last(x.dim(), places)
            left = operands.quantized(gradient, Slot.DW_GRADIENT, 0, step, order)
            images = _with_margins(operands.quantized(x, Slot.DW_ACT, 0, step, order), *ctx.margins)
            _, found = _convolution_gradients(images, weight, left, arguments, (False, True))
            assert found is not None
            order = outputs_last(weight.dim())
            to_weight = operands.passed(found.to(weight.dtype), weight, Slot.WEIGHT, 1, step, order)
        return to_x, to_weight, None, None, None, None, None, None
