"""The integer operations of the fake quantiser on tensors of any device, traced ones too (spec 14.2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bfpemu.adapters.seeds import is_stochastic
from bfpemu.bitwise import fake_quantize, random_words, saturates
from bfpemu.bitwise.random_words import folded_words
from bfpemu.formats.preset import Preset

_WORDS = {16: torch.int16, 32: torch.int32, 64: torch.int64}
_FLOATS = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class TorchOperations:
    """`Operations` on tensors.

    Shifts are `torch.bitwise_left_shift` and `torch.bitwise_right_shift`: the operators ``<<`` and ``>>`` give
    wrong numbers for a `DTensor`, without an error.
    """

    @property
    def lanes(self) -> tuple[int, ...]:
        """Tensors have both lanes."""
        return (32, 64)

    def dtype_name(self, values: Tensor) -> str:
        """Return the name of the dtype."""
        return str(values.dtype).removeprefix("torch.")

    def shape(self, values: Tensor) -> tuple[int, ...]:
        """Return the shape."""
        return tuple(values.shape)

    def to_words(self, values: Tensor, lane: int) -> Tensor:
        """Return the bits, sign-extended."""
        return values.view(_WORDS[8 * values.element_size()]).to(_WORDS[lane])

    def to_floats(self, words: Tensor, dtype_name: str) -> Tensor:
        """Return floats of these bits."""
        dtype = _FLOATS[dtype_name]
        return words.to(_WORDS[8 * dtype.itemsize]).view(dtype)

    def integers(self, values: Tensor, lane: int) -> Tensor:
        """Return a mask or integers in the lane."""
        return values.to(_WORDS[lane])

    def where(self, mask: Tensor, this: Tensor | int, other: Tensor | int) -> Tensor:
        """Select; with two Python integers the result would be int64."""
        return torch.where(mask, this, other)

    def minimum(self, values: Tensor, other: Tensor | int) -> Tensor:
        """Return the smaller of each pair."""
        return torch.clamp_max(values, other) if isinstance(other, int) else torch.minimum(values, other)

    def maximum(self, values: Tensor, other: Tensor | int) -> Tensor:
        """Return the larger of each pair."""
        return torch.clamp_min(values, other) if isinstance(other, int) else torch.maximum(values, other)

    def shift_left(self, values: Tensor | int, count: Tensor | int) -> Tensor:
        """Shift."""
        if isinstance(values, int):
            assert isinstance(count, Tensor)
            values = torch.full_like(count, values)
        return torch.bitwise_left_shift(values, count)

    def shift_right(self, values: Tensor, count: Tensor | int) -> Tensor:
        """Shift with the sign."""
        return torch.bitwise_right_shift(values, count)

    def multiply(self, words: Tensor, factor: int) -> Tensor:
        """Return the low 32 bits of a product; in 64 bits nothing overflows."""
        product = torch.bitwise_and(words.to(torch.int64) * factor, 0xFFFFFFFF)
        return (torch.bitwise_xor(product, 1 << 31) - (1 << 31)).to(torch.int32)

    def largest(self, words: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Return the maximum along axes, which stay."""
        return words.amax(dim=axes, keepdim=True)

    def total(self, words: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Return the sum along axes, which stay; PyTorch would make it int64."""
        return words.sum(dim=axes, keepdim=True, dtype=words.dtype)

    def split_axis(self, words: Tensor, axis: int, sizes: tuple[int, ...]) -> Tensor:
        """Make several axes of one."""
        return torch.unflatten(words, axis, sizes)

    def merge_axes(self, words: Tensor, axis: int, count: int) -> Tensor:
        """Make one axis of several."""
        return words.flatten(axis, axis + count - 1)

    def pad_axis(self, words: Tensor, axis: int, count: int, filler: int) -> Tensor:
        """Append a filler along an axis."""
        shape = (*words.shape[:axis], count, *words.shape[axis + 1 :])
        return torch.cat([words, words.new_full(shape, filler)], dim=axis)

    def cut_axis(self, words: Tensor, axis: int, length: int) -> Tensor:
        """Return the start of an axis."""
        return words.narrow(axis, 0, length)

    def insert_axis(self, words: Tensor, axis: int) -> Tensor:
        """Return a view with one more axis."""
        return words.unsqueeze(axis)

    def flatten(self, values: Tensor) -> Tensor:
        """Return one axis in C order."""
        return values.reshape(-1)

    def reshape_like(self, words: Tensor, values: Tensor) -> Tensor:
        """Return the shape of `values`."""
        return words.reshape(values.shape)

    def positions(self, values: Tensor) -> Tensor:
        """Count the elements in C order."""
        return torch.arange(values.numel(), dtype=torch.int32, device=values.device).reshape(values.shape)

    def kept(self, arrays: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the arrays: nothing is computed twice here."""
        return arrays

    def fused(self, kernel: Any, *arrays: Tensor) -> Tensor:
        """Return ``kernel(self, *arrays)``."""
        found: Tensor = kernel(self, *arrays)
        return found


OPERATIONS: Any = TorchOperations()


def fake_quantized(x: Tensor, preset: Preset, axis: int | None, seed: Tensor | None, stream: int = -1) -> Tensor:
    """Return `x` in the numbers of a format, with the strides of ``torch.empty_like(x)``.

    Raises
    ------
    DataTypeError, SpecError, DataError
        As `bfpemu.bitwise.fake_quantize`.
    """
    found: Tensor = fake_quantize(OPERATIONS, x.detach(), preset, axis, random_words=_words(x, preset, seed, stream))
    out = torch.empty_like(x)
    return found if found.stride() == out.stride() and found is not x else out.copy_(found)


def inside_range(x: Tensor, preset: Preset, axis: int | None, seed: Tensor | None, stream: int = -1) -> Tensor:
    """Return where no value saturates, and the option ``clip`` lets the gradient pass (spec 14.7)."""
    words = _words(x, preset, seed, stream)
    outside: Tensor = saturates(OPERATIONS, x.detach(), preset, axis, random_words=words)
    return (~outside).contiguous()


def _words(x: Tensor, preset: Preset, seed: Tensor | None, stream: int) -> Tensor | None:
    """Return a random word for each element, where the conversion takes them."""
    if not is_stochastic(preset) or seed is None:
        return None
    key, *numbers = seed.to(x.device).reshape(-1).to(torch.int32).unbind()
    if stream >= 0:
        numbers.append(torch.full_like(key, stream))
    for number in numbers:
        key = folded_words(OPERATIONS, key, number)
    found: Tensor = random_words(OPERATIONS, x, key)
    return found
