"""`bfp_quantize` on tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from bfpemu.adapters.configuration import Estimator, check_finds_exponents, estimator
from bfpemu.adapters.seeds import check_seed, is_stochastic
from bfpemu.adapters.text import format_text, preset_of
from bfpemu.bitwise import make_plan
from bfpemu.bitwise.random_words import checked_seed
from bfpemu.catalog import FormatLike
from bfpemu.errors import DataError, DataTypeError
from bfpemu.torch import operator

LANES = (32, 64)
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""The dtypes that are quantised."""


def bfp_quantize(
    data: Tensor,
    format: FormatLike = "bfp8",
    axis: int | None = -1,
    *,
    rounding: str | None = None,
    seed: int | Tensor | None = None,
    ste: str = "identity",
) -> Tensor:
    """Return `data` rounded to a format; the gradient passes straight through.

    The bits are those of `bfpemu.bfp_quantize`, eager and compiled, on every device.

    Parameters
    ----------
    data : Tensor
        float32, float64, float16 or bfloat16, of any shape and strides; a `DTensor` too.
    format : str, tuple, BFPSpec or Preset
        As for `bfpemu.BFPTensor`.
    axis : int or None
        The axis that blocks run along: that which the product sums; None flattens (spec 4.3).
    rounding : str, optional
        Replaces the rounding of the format, ``"stochastic"`` for one (spec 3.7).
    seed : int or Tensor, optional
        For stochastic rounding: 0 to 2**32 - 1, or a tensor of int64 that may change between calls of a
        compiled function. Random words follow from it and the position of an element (spec 14.6).
    ste : str
        ``"identity"``, or ``"clip"``: no gradient passes where a value saturated.

    Returns
    -------
    Tensor
        Shape, dtype and device of `data`.

    Raises
    ------
    SpecError
        ``unknown-format``, the codes of a format's fields, or ``adapter-format``.
    DataTypeError
        ``data-type``.
    DataError
        ``axis``, ``random-words``, ``shard``, and what the conversion refuses.

    Examples
    --------
    >>> x = torch.tensor([1.0, 0.3], requires_grad=True)
    >>> y = bfp_quantize(x, (4, 32))
    >>> y.tolist()
    [1.0, 0.25]
    >>> y.sum().backward()
    >>> x.grad.tolist()
    [1.0, 1.0]
    """
    text = format_text(format, rounding)
    check_axis(axis)
    return quantized(data, text, axis, as_seed(text, seed), clip=estimator(ste) is Estimator.CLIP)


def quantized(
    x: Tensor, text: str, axis: int | None, seed: Tensor | None = None, stream: int = -1, *, clip: bool = False
) -> Tensor:
    """Return `x` in the numbers of the format that a text stands for; as `bfp_quantize`."""
    if not isinstance(x, Tensor):
        raise DataTypeError(
            "data-type", f"data must be a torch.Tensor (spec 14.1), got {type(x).__name__}; torch.as_tensor makes one"
        )
    if hasattr(x, "placements"):
        from bfpemu.torch.distributed import quantized_shards

        return quantized_shards(x, text, axis, seed, stream, clip=clip)
    # The compiler bans the question in a backward pass; graphs are made of dense tensors.
    if not torch.compiler.is_compiling() and (x.layout != torch.strided or x.is_nested):
        kind = "nested" if x.is_nested else str(x.layout).removeprefix("torch.")
        raise DataTypeError(
            "data-type",
            f"a quantised tensor must be dense (spec 14.1), got a {kind} one; make it dense, or quantise its values",
        )
    if x.dtype not in FLOATS:
        raise DataTypeError(
            "data-type",
            f"a quantised tensor must be float32, float64, float16 or bfloat16 (spec 14.1), got {x.dtype}; "
            "convert it first: integers with .to(torch.float32), complex numbers as .real and .imag",
        )
    if not torch.compiler.is_compiling() and _is_differentiated(x):
        found: Tensor = StraightThrough.apply(x, text, axis, seed, stream, clip)  # type: ignore[no-untyped-call]
        return found
    result: Tensor = operator.quantize(x, text, axis, seed, stream, clip)
    return result


def _is_differentiated(x: Tensor) -> bool:
    """Return whether a derivative is asked for, backward or forward; the operator itself would drop a tangent."""
    if x.requires_grad and torch.is_grad_enabled():
        return True
    return forward_ad.unpack_dual(x).tangent is not None  # type: ignore[no-untyped-call]


class StraightThrough(torch.autograd.Function):
    """Quantisation whose gradient is that of the identity, or 0 where a value saturated (spec 14.7).

    The operator has this gradient of its own, for graphs; `torch.func` needs it in this form.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, text: str, axis: int | None, seed: Tensor | None, stream: int, clip: bool) -> Tensor:
        """Return `x` in the numbers of a format."""
        result: Tensor = operator.quantize(x, text, axis, seed, stream)
        return result

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep where no value saturates, when the estimator clips."""
        x, text, axis, seed, stream, clip = inputs
        if clip:
            inside = operator.inside_range(x, text, axis, seed, stream)
            ctx.save_for_backward(inside)
            ctx.save_for_forward(inside)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        """Return the tangent that passes."""
        for inside in ctx.saved_tensors:
            tangent = torch.where(inside, tangent, torch.zeros_like(tangent))
        return tangent.view_as(tangent)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient that passes."""
        for inside in ctx.saved_tensors:
            gradient = torch.where(inside, gradient, torch.zeros_like(gradient))
        return gradient, None, None, None, None, None


def check_axis(axis: int | None) -> None:
    """Refuse an axis that is no number; the operator would take a bool for one.

    Raises
    ------
    DataError
        ``axis``.
    """
    if axis is not None and (isinstance(axis, bool) or not hasattr(axis, "__index__")):
        raise DataError("axis", f"axis must be an integer or None (spec 4.1), got {axis!r}")


def as_seed(text: str, seed: int | Tensor | None) -> Tensor | None:
    """Return a seed as a tensor, for exactly the formats that round stochastically.

    Raises
    ------
    DataError
        ``random-words``.
    SpecError
        ``adapter-format``.
    """
    if takes_seed(text) != (seed is not None):
        check_seed(preset_of(text), seed)
    if seed is None:
        return None
    if isinstance(seed, Tensor):
        if seed.is_floating_point() or seed.is_complex() or seed.dtype == torch.bool or seed.numel() != 1:
            raise DataError(
                "random-words",
                f"a seed must be one integer (spec 14.6), got {seed.dtype} of shape {tuple(seed.shape)}",
            )
        return seed
    return torch.tensor(checked_seed(seed), dtype=torch.int64)


def takes_seed(text: str) -> bool:
    """Return whether a format rounds stochastically; refuse one that tensors cannot have.

    Raises
    ------
    DataError
        ``exponent-given``, for the rule ``given``.
    SpecError
        ``adapter-format``.
    """
    preset = preset_of(text)
    check_finds_exponents(preset)
    make_plan(preset, "float64", LANES)
    return is_stochastic(preset)


# The compiler calls a function with this mark and keeps what it gave; `torch.compiler.assume_constant_result`
# sets it too, but loads the whole compiler first.
format_text._dynamo_marked_constant = True  # type: ignore[attr-defined]
takes_seed._dynamo_marked_constant = True  # type: ignore[attr-defined]
