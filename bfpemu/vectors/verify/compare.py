"""A set against what a device gave, bit for bit, with counts of what differs (spec 12.12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.codec.codes import code_dtype, significands
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.stored import VectorSet
from bfpemu.vectors.verify.outputs import read_results
from bfpemu.vectors.words import AnyArray, Bytes, words_of_digits

HEAD = 4096
"""Words from the start that are kept, to look for words that came early or late."""
KEPT = 4096
"""Differing vectors that are kept, to look for what explains them."""
MOST_EXACT = 1024
"""Distances up to which each is counted by itself; larger ones count as the next power of two."""
_X = ord("x")

CATEGORIES = ("unknown", "exponent", "sign", "significand", "flag_only", "accumulator_only", "other")
"""A differing vector is of the first that fits."""


@dataclass
class Comparison:
    """What was compared, and how it differs."""

    found: VectorSet
    compared: int = 0
    received: int = 0
    differing: int = 0
    unknown: int = 0
    """Vectors with x or z."""
    categories: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    """Field -> vectors in which it differs."""
    lanes: Counter[int] = field(default_factory=Counter)
    bits: Counter[int] = field(default_factory=Counter)
    """Bit of an item of the first field -> items in which it differs."""
    distances: Counter[int] = field(default_factory=Counter)
    """Distance in units of the last place -> items, where only the significand differs; large ones by classes."""
    kept: list[tuple[int, Bytes]] = field(default_factory=list)
    """Number and digits of differing vectors, the first of them."""
    head: list[Bytes] = field(default_factory=list)
    """The digits of the first words that came."""

    @property
    def is_complete(self) -> bool:
        """Whether every vector has one result, and there is at least one."""
        return self.received == self.found.total and self.compared > 0

    @property
    def first(self) -> int | None:
        """The number of the first vector that differs."""
        return self.kept[0][0] if self.kept else None


def compare(found: VectorSet, files: Sequence[str]) -> Comparison:
    """Compare the words of files with the expected words of a set.

    Raises
    ------
    BfpFileError, BfpFormatError
        As `read_results`.
    """
    result = Comparison(found)
    expected = found.words("expected")
    head = 0
    for piece in read_results(files, found.problem.expected):
        first = result.received
        result.received += len(piece)
        if head < HEAD:
            result.head.append(piece[: HEAD - head])
            head += len(result.head[-1])
        rows = max(min(len(piece), found.total - first), 0)
        if not rows:
            continue
        result.compared += rows
        wanted, got = expected.digits(first, rows), piece[:rows]
        differs = np.flatnonzero((wanted != got).any(axis=1))
        if differs.size:
            _count(result, first + differs, wanted[differs], got[differs])
    return result


def _count(result: Comparison, numbers: npt.NDArray[np.int64], wanted: Bytes, got: Bytes) -> None:
    layout, problem = result.found.problem.expected, result.found.problem
    result.differing += len(numbers)
    room = KEPT - len(result.kept)
    result.kept += [(int(number), digits.copy()) for number, digits in zip(numbers[:room], got[:room], strict=True)]
    unknown = (got == _X).any(axis=1)
    result.unknown += int(unknown.sum())
    right, left = layout.unpack(words_of_digits(wanted)[0]), layout.unpack(words_of_digits(got)[0])
    changed = {name: right[name] != left[name] for name in right}
    for name, differs in changed.items():
        count = int((differs.any(axis=1) & ~unknown).sum())
        if count:
            result.fields[name] += count
    main = layout.fields[0]
    places = ordered(problem, right[main.name]), ordered(problem, left[main.name])
    kinds = _kinds(main.name, places, changed, unknown)
    for name, count in zip(*np.unique(kinds, return_counts=True), strict=True):
        result.categories[CATEGORIES[int(name)]] += int(count)
    differs = changed[main.name] & ~unknown[:, None]
    for lane, count in enumerate(differs.sum(axis=0).tolist()):
        if count:
            result.lanes[lane] += count
    flipped = (right[main.name] ^ left[main.name])[differs]
    for bit in range(main.width):
        count = int((flipped >> np.uint64(bit) & np.uint64(1)).sum())
        if count:
            result.bits[bit] += count
    same_scale = ~np.any(
        [changed[name].any(axis=1) for name in changed if name in ("exponents", "shifts")] or [False], axis=0
    )
    chosen = (places[1] - places[0])[differs & np.broadcast_to(same_scale, unknown.shape)[:, None]]
    for step, count in zip(*np.unique(_in_classes(chosen), return_counts=True), strict=True):
        result.distances[int(step)] += int(count)


def _in_classes(steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return large distances as the next power of two, so that their number is bounded whatever a device gives."""
    sizes = np.abs(steps)
    if not (sizes > MOST_EXACT).any():
        return steps
    powers = np.int64(1) << np.minimum(bit_lengths((np.maximum(sizes, 1) - 1).astype(np.uint64)), 62)
    return np.where(sizes > MOST_EXACT, np.where(steps < 0, -powers, powers), steps)


def _kinds(
    main: str,
    places: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    changed: dict[str, AnyArray],
    unknown: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """Return the category of each differing vector; `places` are the ordered items of the field `main`."""
    row = {name: differs.any(axis=1) for name, differs in changed.items()}
    nothing = np.zeros(len(unknown), np.bool_)
    value = row[main]
    exponent = row.get("exponents", nothing) | row.get("shifts", nothing)
    # Only signs differ where magnitudes are alike.
    sign = value & (~changed[main] | (places[0] == -places[1])).all(axis=1)
    flags, held = row.get("flags", nothing), row.get("accumulator", nothing) | row.get("accumulator_exponent", nothing)
    return np.select([unknown, exponent, sign, value, flags, held], [np.int64(n) for n in range(6)], np.int64(6))


def ordered(problem: Problem, items: AnyArray) -> npt.NDArray[np.int64]:
    """Return integers whose differences are distances in units of the last place: significands, or ordered patterns.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> ordered(Problem("decode", resolve("bfp8")), np.array([0x80000001, 0, 0x3f800000], np.uint64)).tolist()
    [-1, 0, 1065353216]
    """
    first = problem.expected.fields[0]
    if first.name == "elements":
        spec = problem.target.format
        return significands(items.astype(code_dtype(spec.mantissa_bits)), spec).astype(np.int64)
    top = np.uint64(1 << (first.width - 1))
    magnitude = (items & ~top).astype(np.int64)
    return np.where(items & top != 0, -magnitude, magnitude)
