"""What differs between two files of codes: names, formats, codes, numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.errors import DataTypeError
from bfpemu.storage.described import describe
from bfpemu.storage.kinds import TensorFacts, TensorFile
from bfpemu.storage.models import Words, words_of
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two tensors of one name; nothing, if all of it is as at first."""

    facts: tuple[str, ...] = ()
    """Which of shape, axis, dtype, format and provenance differ; codes are compared where axis and format do not."""
    exponent_codes: int = 0
    shift_codes: int = 0
    element_codes: int = 0
    """Of what a model keeps word for word (spec 7.17): elements with other bits."""
    numbers: int = 0
    """Elements that decode to another number; NaN is like NaN, and -0 is not like 0."""
    largest: float = 0.0
    """The largest difference of two finite numbers."""

    def __bool__(self) -> bool:
        """Return whether anything differs."""
        return self != Difference()


def differences(left: TensorFile, right: TensorFile) -> Iterator[tuple[str, Difference | None]]:
    """Yield each name of either file with what differs; None where one file lacks the name.

    One tensor of each file is in memory at a time. Errors are those of reading the files.
    """
    for name in sorted({*left.names, *right.names}, key=str.encode):
        if name not in left.names or name not in right.names:
            yield name, None
            continue
        ours, theirs = words_of(left, name), words_of(right, name)
        if ours is not None and theirs is not None:
            yield name, _difference_of_words(ours, theirs)
            continue
        facts = _facts(left.entry(name), right.entry(name))
        if ours is not None or theirs is not None:
            yield name, Difference(("format",))  # words here, numbers there
        elif "shape" in facts:
            yield name, Difference(facts)
        else:
            yield name, _difference(left[name], right[name], facts)


def _facts(left: TensorFacts, right: TensorFacts) -> tuple[str, ...]:
    found = [name for name in ("shape", "axis", "dtype") if getattr(left, name) != getattr(right, name)]
    ours, theirs = describe(left.known_preset()), describe(right.known_preset())
    found += ["format"] * (ours["decode"] != theirs["decode"])
    found += ["provenance"] * (ours["provenance"] != theirs["provenance"])
    return tuple(found)


def _difference(left: BFPTensor, right: BFPTensor, facts: tuple[str, ...]) -> Difference:
    counts: dict[str, int] = {}
    if not {"axis", "format"}.intersection(facts):
        for name in ("exponent_codes", "shift_codes", "element_codes"):
            counts[name] = int(np.count_nonzero(getattr(left, name) != getattr(right, name)))
        if not any(counts.values()):
            return Difference(facts)
    numbers, largest = _compared(left.dequantize(np.float64), right.dequantize(np.float64))
    return Difference(facts, numbers=numbers, largest=largest, **counts)


def _difference_of_words(left: Words, right: Words) -> Difference:
    facts = tuple(name for name in ("shape", "dtype") if getattr(left, name) != getattr(right, name))
    if "shape" in facts or (not facts and np.array_equal(left.data, right.data)):
        return Difference(facts)
    elements = np.prod(left.shape, dtype=int)
    codes = 0
    if not facts:
        differs = left.data.reshape(elements, -1) != right.data.reshape(elements, -1)
        codes = int(np.count_nonzero(differs.any(axis=1)))
    try:
        numbers, largest = _compared(_wide(left.array()), _wide(right.array()))
    except DataTypeError:  # a dtype that only a framework has: its bits are all we know
        return Difference(facts, element_codes=codes)
    return Difference(facts, element_codes=codes, numbers=numbers, largest=largest)


def _wide(array: AnyArray) -> AnyArray:
    """Return an array in a dtype that holds all its numbers."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        return array.astype(object)
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _compared(ours: AnyArray, theirs: AnyArray) -> tuple[int, float]:
    """Return how many numbers differ, and the largest difference of two finite ones."""
    if object in (ours.dtype, theirs.dtype):
        differ: Any = ours != theirs
        return int(np.count_nonzero(differ)), float(np.max(np.abs(ours - theirs), initial=0))
    differ = _bits(ours.real) != _bits(theirs.real)
    differ |= _bits(ours.imag) != _bits(theirs.imag)
    both: Any = np.isfinite(ours) & np.isfinite(theirs)
    return int(np.count_nonzero(differ)), float(np.max(np.abs(ours[both] - theirs[both]), initial=0.0))


def _bits(numbers: AnyArray) -> AnyArray:
    """Return the bits of numbers, all NaN alike."""
    return np.where(np.isnan(numbers), np.nan, numbers).astype(np.float64).view(np.uint64)
