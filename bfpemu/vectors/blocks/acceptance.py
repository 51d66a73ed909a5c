"""What a conversion of `encode` refuses, from the conversion itself (spec 3.3, 3.6, 12.2)."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import blocking
from bfpemu.codec.codes import empty_codes
from bfpemu.codec.encode import General, Supplied
from bfpemu.formats import ExponentRule, Preset, Rounding
from bfpemu.sources import SourceKind

Mask = npt.NDArray[np.bool_]
Patterns = npt.NDArray[np.uint64]


def refused_blocks(kind: SourceKind, preset: Preset, patterns: Patterns, random_words: Patterns | None) -> Mask:
    """Return which blocks of patterns, one a row, the conversion refuses.

    Without `random_words` those of a stochastic rounding are 0. No supplied exponent is refused.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.sources import KINDS
    >>> blocks = np.array([[0x7C00] + [0] * 7, [0x7BFF] * 8], np.uint64)  # an infinity of float16, its largest number
    >>> refused_blocks(KINDS["float16"], resolve("achronix_bfp8e8"), blocks, None).tolist()
    [True, False]
    """
    conversion, rows = preset.conversion, len(patterns)
    words = np.ascontiguousarray(patterns, f"<u{kind.dtype.itemsize}").view(kind.dtype)
    is_given, is_stochastic = conversion.exponent_rule is ExponentRule.GIVEN, conversion.rounding is Rounding.STOCHASTIC
    random = np.zeros(words.shape, np.uint64) if random_words is None else random_words.astype(np.uint64)
    supplied = Supplied(
        np.full(rows, preset.format.smallest_exponent, np.int64) if is_given else None,
        random.reshape(-1) if is_stochastic else None,
    )
    blocked = blocking(preset.format, words.shape, -1)
    encoder = General(words.reshape(-1), kind, blocked, preset, supplied)
    return encoder.refused(np.arange(rows), empty_codes(preset.format, blocked))


def accepted(kind: SourceKind, preset: Preset, patterns: Patterns, *, beside_zeros: bool = False) -> Mask:
    """Return which patterns a block may have; what else it has is 0, an infinity or a NaN.

    An infinity may give a block an exponent, and a NaN makes it a NaN block, where a number alone would have none.
    """
    spec = preset.format
    size = min(spec.elements_per_block or 2, 2)
    small = dataclasses.replace(spec, block_size=size, sub_block_size=size if spec.sub_block_size else None)
    infinity = ((1 << kind.exponent_bits) - 1) << kind.fraction_bits
    found = np.zeros(patterns.size, np.bool_)
    for other in (0,) if size == 1 or beside_zeros else (0, infinity, infinity | 1):
        rows = np.full((patterns.size, size), other, np.uint64)
        rows[:, 0] = patterns.reshape(-1)
        found |= ~refused_blocks(kind, Preset(small, preset.conversion), rows, None)
    return found.reshape(patterns.shape)


def takes_more_beside_specials(kind: SourceKind, preset: Preset) -> bool:
    """Whether a block may have numbers beside an infinity or a NaN that it may not have beside zeros."""
    ends = all_ends(kind)
    return bool((accepted(kind, preset, ends) != accepted(kind, preset, ends, beside_zeros=True)).any())


def all_ends(kind: SourceKind) -> Patterns:
    """Return 0, both ends of every binade, infinity, and both ends of both kinds of NaN, in order.

    What a conversion refuses is too large, up to what a source chain makes an infinity of, or no number: of any binade
    and kind it takes an end, or nothing.
    """
    point = kind.fraction_bits
    fields = np.arange(1, (1 << kind.exponent_bits) - 1, dtype=np.uint64) << np.uint64(point)
    powers = np.uint64(1) << np.arange(point, dtype=np.uint64)
    infinity = ((1 << kind.exponent_bits) - 1) << point
    ones = (1 << point) - 1
    others = [0, infinity, infinity | 1, infinity | ones >> 1, infinity | 1 << (point - 1), infinity | ones]
    numbers = [powers, 2 * powers - np.uint64(1), fields, fields | np.uint64(ones)]
    return np.unique(np.concatenate([*numbers, np.array(others, np.uint64)]))


@cache
def accepted_ends(kind: SourceKind, preset: Preset) -> Patterns:
    """Return those of `all_ends` that a block may have, in order."""
    ends = all_ends(kind)
    return ends[accepted(kind, preset, ends)]


@cache
def fields_beside_zeros(kind: SourceKind, preset: Preset) -> frozenset[int]:
    """Return the exponent fields of numbers that a block without infinities and NaN may have."""
    ends, ones = all_ends(kind), (1 << kind.exponent_bits) - 1
    taken = ends[accepted(kind, preset, ends, beside_zeros=True)]
    return frozenset((taken >> np.uint64(kind.fraction_bits)).tolist()) - {ones}


@cache
def whole_fields(kind: SourceKind, preset: Preset) -> int:
    """Return how many exponent fields there are, from 0 on, all numbers of which such a block may have."""
    ends, ones = all_ends(kind), (1 << kind.exponent_bits) - 1
    refused = ends[~accepted(kind, preset, ends, beside_zeros=True)]
    first: int = min([ones, *(refused >> np.uint64(kind.fraction_bits)).tolist()])
    return first
