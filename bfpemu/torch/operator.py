"""``bfpemu::quantize``: the operator of the adapter, for eager tensors, graphs and `torch.vmap`.

On the CPU it is the compiled kernels, without a copy; on other devices the integer operations of
`bfpemu.bitwise`. A graph sees one opaque node. The gradient passes straight through;
``bfpemu::inside_range`` says where, for the estimator ``clip``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

# Everything else is imported at the first use, so that registering the operator costs little.

_SCHEMA = "(Tensor x, str format, int? axis=-1, Tensor? seed=None, int stream=-1, bool clip=False) -> Tensor"


@torch.library.custom_op("bfpemu::quantize", mutates_args=(), schema=_SCHEMA)
def quantize(
    x: Tensor,
    format: str,
    axis: int | None = -1,
    seed: Tensor | None = None,
    stream: int = -1,
    clip: bool = False,
) -> Tensor:
    """Return `x` in the numbers of a format, by integer operations on its bits (spec 1.9).

    Parameters
    ----------
    x : Tensor
        float32, float64, float16 or bfloat16.
    format : str
        As `format_text` gives it.
    axis : int or None
    seed : Tensor of int64, optional
        For ``stochastic`` rounding: a seed, and numbers of streams to fold into it (spec 14.6).
    stream : int
        One more of these, unless it is -1.
    clip : bool
        No gradient passes where a value saturated.
    """
    from bfpemu.adapters.text import preset_of
    from bfpemu.torch.bitwise import fake_quantized

    return fake_quantized(x, preset_of(format), axis, seed, stream)


@quantize.register_kernel("cpu")
def _quantize_cpu(
    x: Tensor,
    format: str,
    axis: int | None = -1,
    seed: Tensor | None = None,
    stream: int = -1,
    clip: bool = False,
) -> Tensor:
    from bfpemu.adapters.text import preset_of
    from bfpemu.torch.kernels import quantized

    return quantized(x, preset_of(format), axis, seed, stream)


@quantize.register_fake
def _quantize_fake(
    x: Tensor,
    format: str,
    axis: int | None = -1,
    seed: Tensor | None = None,
    stream: int = -1,
    clip: bool = False,
) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("bfpemu::inside_range", mutates_args=(), schema=_SCHEMA.replace(", bool clip=False", ""))
def inside_range(x: Tensor, format: str, axis: int | None = -1, seed: Tensor | None = None, stream: int = -1) -> Tensor:
    """Return where no value saturates; parameters as for `quantize`."""
    from bfpemu.adapters.text import preset_of
    from bfpemu.torch import bitwise

    return bitwise.inside_range(x, preset_of(format), axis, seed, stream)


@inside_range.register_fake
def _inside_range_fake(
    x: Tensor, format: str, axis: int | None = -1, seed: Tensor | None = None, stream: int = -1
) -> Tensor:
    return torch.empty_like(x, dtype=torch.bool, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, format, axis, seed, stream, clip = inputs
    if clip:
        ctx.save_for_backward(inside_range(x, format, axis, seed, stream))


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    if ctx.saved_tensors:
        (inside,) = ctx.saved_tensors
        gradient = torch.where(inside, gradient, torch.zeros_like(gradient))
    return gradient, None, None, None, None, None


quantize.register_autograd(_backward, setup_context=_save)


def _each_example(
    operator: Any,
    info: Any,
    in_dims: tuple[int | None, ...],
    x: Tensor,
    format: str,
    axis: int | None = -1,
    seed: Tensor | None = None,
    stream: int = -1,
    *clip: bool,
) -> tuple[Tensor, int]:
    """Call an operator for every example: at once where blocks keep to their example, else one by one."""
    along, seeds_along = in_dims[0], (*in_dims, None, None, None)[3]
    examples = x.expand(info.batch_size, *x.shape) if along is None else x.movedim(along, 0)
    lengths = examples.dim() - 1
    if lengths and axis is not None and seeds_along is None and _keeps_to_an_example(format):
        # An axis that an example has not is refused as it would be there: by a number behind the last.
        within = axis % lengths + 1 if -lengths <= axis < lengths else lengths + 1
        return operator(examples, format, within, seed, stream, *clip), 0
    results = []
    for number, example in enumerate(examples.unbind()):
        own = seed.select(seeds_along, number) if seed is not None and seeds_along is not None else seed
        results.append(operator(example, format, axis, own, stream, *clip))
    return torch.stack(results), 0


quantize.register_vmap(partial(_each_example, quantize))
inside_range.register_vmap(partial(_each_example, inside_range))


def _keeps_to_an_example(format: str) -> bool:
    """Return whether no block and no random word of an example depends on the others."""
    from bfpemu.adapters.text import preset_of
    from bfpemu.formats import Rounding

    preset = preset_of(format)
    return isinstance(preset.format.block_size, int) and preset.conversion.rounding is not Rounding.STOCHASTIC
