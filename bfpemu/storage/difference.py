"""What differs between two files of codes: names, formats, codes, numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bfpemu.storage.described import describe
from bfpemu.storage.kinds import TensorFacts, TensorFile
from bfpemu.tensor import BFPTensor


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two tensors of one name; nothing, if all of it is as at first."""

    facts: tuple[str, ...] = ()
    """Which of shape, axis, dtype, format and provenance differ; codes are compared where axis and format do not."""
    exponent_codes: int = 0
    shift_codes: int = 0
    element_codes: int = 0
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
        facts = _facts(left.entry(name), right.entry(name))
        if "shape" in facts:
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
    ours, theirs = left.dequantize(np.float64), right.dequantize(np.float64)
    differ = (ours.view(np.uint64) != theirs.view(np.uint64)) & ~(np.isnan(ours) & np.isnan(theirs))
    both: Any = np.isfinite(ours) & np.isfinite(theirs)
    largest = float(np.max(np.abs(ours[both] - theirs[both]), initial=0.0))
    return Difference(facts, numbers=int(np.count_nonzero(differ)), largest=largest, **counts)
