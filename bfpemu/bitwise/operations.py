"""What the fake quantiser asks of an array library."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

Array: TypeAlias = Any
"""An array of the library: floats outside, signed integers of one lane width and masks inside."""


class Operations(Protocol):
    """The operations of one array library on integers and masks (spec 14.2).

    Besides these methods, integer arrays must have ``+ - * & | ^ ~`` and comparisons, with each
    other and with Python integers, by broadcasting; masks must have ``& | ~``. A Python integer
    takes the type of the array beside it. Sums, differences and products never leave the lane, nor do shift
    counts, which are 0 to ``lane - 1``. Nothing here may depend on the data in Python: every
    method must work on traced arrays. Axes are counted from the front.
    """

    @property
    def lanes(self) -> tuple[int, ...]:
        """Widths of the signed integers that the library has, ascending: ``(32,)`` or ``(32, 64)``."""

    def dtype_name(self, values: Array) -> str:
        """Return ``"float32"`` and the like; whatever it is called where it is no float of spec 3.1."""

    def shape(self, values: Array) -> tuple[int | None, ...]:
        """Return the lengths of the axes; None where a traced array does not know one."""

    def to_words(self, values: Array, lane: int) -> Array:
        """Return the bits of floats as signed integers of their own width, then sign-extended to `lane` bits."""

    def to_floats(self, words: Array, dtype_name: str) -> Array:
        """Return floats of these bits: integers in the range of the float's own width, signed."""

    def integers(self, values: Array, lane: int) -> Array:
        """Return a mask as 0 and 1, or integers sign-extended or as they are, in `lane` bits."""

    def where(self, mask: Array, this: Array | int, other: Array | int) -> Array:
        """Return `this` where `mask`, else `other`; at most one of the two is a Python integer."""

    def minimum(self, values: Array, other: Array | int) -> Array:
        """Return the smaller of each pair."""

    def maximum(self, values: Array, other: Array | int) -> Array:
        """Return the larger of each pair."""

    def shift_left(self, values: Array | int, count: Array | int) -> Array:
        """Return ``values << count``; one of the two is an array."""

    def shift_right(self, values: Array, count: Array | int) -> Array:
        """Return ``values >> count``, arithmetic."""

    def multiply(self, words: Array, factor: int) -> Array:
        """Return the low 32 bits of a product of 32-bit words; `factor` is given as a signed integer."""

    def largest(self, words: Array, axes: tuple[int, ...]) -> Array:
        """Return the largest integer along `axes`, which stay, with length 1."""

    def total(self, words: Array, axes: tuple[int, ...]) -> Array:
        """Return the sum of integers along `axes`, which stay, with length 1; it does not leave the lane."""

    def split_axis(self, words: Array, axis: int, sizes: tuple[int, ...]) -> Array:
        """Return `words` with one axis made into several, the last running fastest."""

    def merge_axes(self, words: Array, axis: int, count: int) -> Array:
        """Return `words` with `count` axes that start at `axis` made into one."""

    def pad_axis(self, words: Array, axis: int, count: int, filler: int) -> Array:
        """Return `words` with `count` times `filler` at the end of an axis."""

    def cut_axis(self, words: Array, axis: int, length: int) -> Array:
        """Return the first `length` of an axis."""

    def insert_axis(self, words: Array, axis: int) -> Array:
        """Return `words` with one more axis, of length 1, at `axis`."""

    def flatten(self, values: Array) -> Array:
        """Return `values` in C order in one axis."""

    def reshape_like(self, words: Array, values: Array) -> Array:
        """Return `words` in the shape of `values`; the reverse of `flatten`."""

    def positions(self, values: Array) -> Array:
        """Return the number of each element in C order, in the shape of `values`, modulo 2**32, as 32-bit integers."""

    def kept(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return integers of blocks as they are, computed once where the library would do it for every element."""

    def fused(self, kernel: Kernel, *arrays: Array) -> Array:
        """Return ``kernel(self, *arrays)``, compiled into one loop where the library can."""


class Kernel(Protocol):
    """A function of arrays that is known by its value, so that a compiled form of it can be kept."""

    def __hash__(self) -> int: ...

    def __call__(self, operations: Operations, *arrays: Array) -> Array:
        """Return an array."""
