"""Bins of `decode`: codes, lanes, and kinds of results (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.formats import BFPSpec, Encoding, ReservedExponent
from bfpemu.vectors.blocks.code_stimulus import telling_codes, telling_exponents
from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import named_lanes
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.source_numbers import has_infinity_codes, operand_tops
from bfpemu.vectors.decode.facts import CodeFacts
from bfpemu.vectors.decode.result_kind_bins import kind_families
from bfpemu.vectors.decode.result_kinds import result_kinds, things_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

CodeFamily = Family[CodeFacts]


def decode_families(problem: Problem, level: int) -> list[CodeFamily]:
    """Return the bins of `decode`."""
    spec = problem.a_flat.format
    found = [
        code_family("element", "elements", telling_codes(spec)),
        code_family("exponent", "exponents", telling_exponents(spec)),
        lane_family("elements", spec, problem.elements, level),
        _results(problem),
        _ends(problem, level),
        *kind_families(problem, level),
    ]
    if spec.sub_shift_bits:
        found.append(_shifts(spec))
    return found


def code_family(group: str, field: str, codes: list[int]) -> CodeFamily:
    """Return one bin for each code of a list, wherever it stands in a field."""
    table = np.array(codes, np.uint64)

    def find(facts: CodeFacts) -> Int64Array:
        items = facts.stimulus[field].astype(np.uint64)
        at = np.minimum(np.searchsorted(table, items), len(table) - 1)
        return np.where(table[at] == items, at, -1)

    return Family([f"{group}.code{code}" for code in codes], find)


def lane_family(field: str, spec: BFPSpec, lanes: int, level: int) -> CodeFamily:
    """Return one bin for each bit of each lane that is set alone in its field, or cleared alone."""
    bits = spec.mantissa_bits
    prefix = field.removesuffix("elements")
    things = [f"{prefix}{kind}.bit{bit}" for kind in ("onehot", "onecold") for bit in range(bits)]
    names = [f"{thing}.lane{lane}" for thing in things for lane in range(lanes)]
    if not crosses_lanes(bits, lanes, level):
        names = [*things, *(f"{prefix}single.lane{lane}" for lane in range(lanes))]
    ones = np.uint64((1 << bits) - 1)

    def single(items: AnyArray, offset: int) -> Int64Array:
        alone = (items != 0) & (items & (items - np.uint64(1)) == 0) & ((items != 0).sum(axis=1) == 1)[:, None]
        bit = np.zeros(items.shape, np.int64)
        for place in range(bits):
            bit = np.where(items == np.uint64(1 << place), place, bit)
        return np.where(alone, offset + bit, -1)

    def find(facts: CodeFacts) -> Int64Array:
        items = facts.stimulus[field].astype(np.uint64)
        return np.stack([single(items, 0), single(ones ^ items, bits)], axis=2)

    return named_lanes(names, len(things), lanes, find, lambda _: None)


_RESULTS = [f"{kind}.{sign}" for kind in ("zero", "subnormal", "normal", "infinity") for sign in ("pos", "neg")] + [
    "nan"
]


def _results(problem: Problem) -> CodeFamily:
    """Kinds of patterns that decoding gives."""
    kind, spec = problem.kind, problem.a_flat.format
    point, width = kind.fraction_bits, 1 + kind.exponent_bits + kind.fraction_bits
    infinity = np.uint64(((1 << kind.exponent_bits) - 1) << point)

    def find(facts: CodeFacts) -> Int64Array:
        patterns = facts.answer["y"].astype(np.uint64)
        magnitude = patterns & np.uint64((1 << (width - 1)) - 1)
        rank = np.where(magnitude == 0, 0, np.where(magnitude < np.uint64(1 << point), 2, 4))
        rank = np.where(magnitude == infinity, 6, rank) + (patterns >> np.uint64(width - 1)).astype(np.int64)
        return np.where(magnitude > infinity, 8, rank)

    def absent(number: int) -> str | None:
        if number % 2 and number < 8 and not spec.has_sign:
            return "the format has no sign"
        return _why_no_result(problem, number)

    return Family([f"result.{name}" for name in _RESULTS], find, absent)


def _why_no_result(problem: Problem, number: int) -> str | None:
    spec, kind = problem.a_flat.format, problem.kind
    bias = (1 << (kind.exponent_bits - 1)) - 1
    low, high = operand_tops(spec)
    is_wide = spec.magnitude_bits > kind.fraction_bits + 1  # and rounded, perhaps to the next power of two
    has_patterns = spec.decode_underflow in ("wrap", "pattern")
    if number == 8:
        has_nan = spec.exponent_reserved is ReservedExponent.NAN or has_patterns
        return None if has_nan else "the format has no NaN"
    if number == 1:
        keeps = spec.encoding is Encoding.SIGN_MAGNITUDE and spec.negative_zero_code == "negative_zero"
        is_tiny = low < 1 - bias - kind.fraction_bits
        return None if keeps or is_tiny or has_patterns else "no code gives -0, and no value is too small"
    if number in (2, 3) and low >= 1 - bias:
        return f"no value lies below 2 ** {1 - bias}"
    has_code = has_infinity_codes(spec) and (has_patterns or number == 7)
    # In two's complement the one number of the highest binade is negative.
    highest = high - (number == 6 and spec.encoding is Encoding.TWOS_COMPLEMENT)
    is_less = highest + is_wide <= bias or (highest <= bias and not _rounds_up(problem))
    if number in (6, 7) and not has_code and is_less:
        return f"no value lies above the largest {problem.dtype}"
    if number in (4, 5) and (high + is_wide < 1 - bias or low > bias):
        return f"no value is a normal {problem.dtype}"
    return None


def _rounds_up(problem: Problem) -> bool:
    """Whether rounding may make an infinity of a number: of the largest of a sign, if of any."""
    kinds, names = result_kinds(problem), things_of(problem)["becomes"]
    return not kinds.is_complete or any(names[number].endswith("infinity") for number in kinds.examples["becomes"])


_ENDS = ("nan_block.zero", "nan_block.other", "least", "largest")


def _ends(problem: Problem, level: int) -> CodeFamily:
    """NaN blocks with and without other codes, and the extreme significands in every lane."""
    spec, lanes = problem.a_flat.format, problem.elements
    least = 1 << (spec.mantissa_bits - 1)
    names = [f"{name}.lane{lane}" for name in _ENDS for lane in range(lanes)]
    if not crosses_lanes(len(_ENDS), lanes, level):
        names = [*_ENDS, *(f"end.lane{lane}" for lane in range(lanes))]

    def find(facts: CodeFacts) -> Int64Array:
        items = facts.stimulus["elements"].astype(np.uint64)
        is_nan = facts.stimulus["exponents"] == (spec.nan_code if spec.nan_code is not None else -1)
        masks = [is_nan & (items == 0), is_nan & (items != 0)]
        masks += [items == np.uint64(least), items == np.uint64(spec.largest_significand)]
        return np.stack([np.where(mask, number, -1) for number, mask in enumerate(masks)], axis=2)

    def absent(number: int) -> str | None:
        return "the format has no NaN block" if number < 2 and spec.nan_code is None else None

    return named_lanes(names, len(_ENDS), lanes, find, absent)


def _shifts(spec: BFPSpec) -> CodeFamily:
    count, codes = spec.shifts_per_block, 1 << spec.sub_shift_bits

    def find(facts: CodeFacts) -> Int64Array:
        return facts.stimulus["shifts"].astype(np.int64) * count + np.arange(count)

    return Family([f"shift.code{code}.sub{sub}" for code in range(codes) for sub in range(count)], find)
