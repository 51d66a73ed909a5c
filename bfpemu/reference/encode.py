"""Encoding one block: the steps of chapter 3 in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec, ExponentOverflow, ExponentRule, InfinityPolicy, Preset, Rounding
from bfpemu.reference.chain import run_chain
from bfpemu.reference.element import Element, element_code, filled_with_sign, significand
from bfpemu.reference.exponent import exponent_by_rule, largest_magnitude
from bfpemu.reference.rounding import saturate
from bfpemu.reference.shift import shift_codes
from bfpemu.reference.specials import is_nan_block, without_zeroed
from bfpemu.reference.value import Value


class EncodedBlock(NamedTuple):
    """The codes of one block, padded to its full size (spec 1.3, 4.2)."""

    exponent_code: int
    shift_codes: tuple[int, ...]
    element_codes: tuple[int, ...]


def encode_block(
    values: Sequence[Value],
    preset: Preset,
    *,
    exponent: int | None = None,
    random_words: Sequence[int] | None = None,
) -> EncodedBlock:
    """Encode the values of one block, as `read_source` gave them (spec 3.3 to 3.10).

    Parameters
    ----------
    values : sequence of Value
        At least one; a short block has fewer than the format's block holds.
    preset : Preset
        Its format and conversion are used.
    exponent : int, optional
        The exponent itself, not its code, for the rule `given`.
    random_words : sequence of int, optional
        One for each value, for the rounding `stochastic`.

    Raises
    ------
    DataError
        ``nan``, ``infinity``, ``exponent-overflow``, ``exponent-given`` or ``random-words``.
    """
    spec, conversion = preset.format, preset.conversion
    _check_given_exponent(exponent, preset)
    words = _checked_words(random_words, len(values), preset)
    chained = [run_chain(value, conversion) for value in values]
    if is_nan_block(chained, preset):
        return _uniform_block(spec.all_ones_code, len(values), spec)
    elements = [Element(without_zeroed(value, preset), word) for value, word in zip(chained, words, strict=True)]
    wanted = exponent if exponent is not None else _wanted_exponent(elements, preset)
    if wanted is not None and wanted > spec.largest_exponent:
        if conversion.exponent_overflow is ExponentOverflow.NAN:
            return _uniform_block(spec.all_ones_code, len(values), spec)
        _refuse_overflow(wanted, preset)
    if wanted is None:
        own = conversion.zero_exponent
        return _flushed_block(elements, spec.smallest_exponent if own is None else own, preset)
    if wanted < spec.smallest_exponent and not spec.use_subnormals:
        return _flushed_block(elements, spec.smallest_exponent, preset)
    return _encode_elements(elements, saturate(wanted, spec.smallest_exponent, spec.largest_exponent), preset)


def _wanted_exponent(elements: Sequence[Element], preset: Preset) -> int | None:
    """Return the exponent before its range, or None when every value is zero (spec 3.3, 3.5)."""
    is_all_zero = largest_magnitude(elements) == 0
    has_infinity = any(element.value.is_infinite for element in elements)
    takes_largest = is_all_zero or preset.conversion.infinity is InfinityPolicy.SATURATE
    if has_infinity and takes_largest:
        return preset.format.largest_exponent
    return None if is_all_zero else exponent_by_rule(elements, preset)


def _encode_elements(elements: Sequence[Element], exponent: int, preset: Preset) -> EncodedBlock:
    """Round every element at an exponent that the format has (spec 3.7 to 3.10)."""
    spec = preset.format
    shifts = shift_codes(elements, exponent, preset)
    codes = []
    for slot, element in enumerate(elements):
        own = exponent - (shifts[slot // spec.sub_block_size] if spec.sub_block_size else 0)
        rounded = significand(element, own, preset)
        filled = filled_with_sign(rounded, element.value, exponent, preset)
        codes.append(element_code(filled, element.value, preset))
    return EncodedBlock(exponent + spec.exponent_bias, shifts, _padded(codes, spec))


def _flushed_block(elements: Sequence[Element], exponent: int, preset: Preset) -> EncodedBlock:
    """Return an all-zero or flushed block, whose zeros may keep their signs (spec 3.5, 3.6, 3.9).

    An infinity under the policy `saturate_element` saturates here too (spec 3.6).
    """
    spec = preset.format
    codes = []
    for element in elements:
        flushed = significand(element, exponent, preset) if element.value.is_infinite else 0
        filled = filled_with_sign(flushed, element.value, exponent, preset)
        codes.append(element_code(filled, element.value, preset))
    return EncodedBlock(exponent + spec.exponent_bias, (0,) * spec.shifts_per_block, _padded(codes, spec))


def _uniform_block(exponent_code: int, count: int, spec: BFPSpec) -> EncodedBlock:
    """Return a block whose other codes are all 0, such as a NaN block (spec 3.3)."""
    return EncodedBlock(exponent_code, (0,) * spec.shifts_per_block, _padded([0] * count, spec))


def _padded(codes: Sequence[int], spec: BFPSpec) -> tuple[int, ...]:
    """Append the element codes of 0 that fill a short block (spec 4.2)."""
    full = spec.elements_per_block or len(codes)
    return (*codes, *[0] * (full - len(codes)))


def _refuse_overflow(wanted: int, preset: Preset) -> None:
    """Raise DataError ``exponent-overflow`` when the conversion asks for it (spec 3.6)."""
    if preset.conversion.exponent_overflow is ExponentOverflow.ERROR:
        limit = preset.format.largest_exponent
        raise DataError("exponent-overflow", f"the block's exponent must be at most {limit} (spec 3.6), got {wanted}")


def _check_given_exponent(exponent: int | None, preset: Preset) -> None:
    """Raise DataError ``exponent-given`` unless it goes with the rule and is in range (spec 3.5, 3.6)."""
    spec, rule = preset.format, preset.conversion.exponent_rule
    if (exponent is not None) != (rule is ExponentRule.GIVEN):
        raise DataError(
            "exponent-given",
            "exponents must be supplied with the rule 'given' and only with it (spec 3.5), "
            f"got {exponent!r} and {str(rule)!r}",
        )
    if exponent is not None and not spec.smallest_exponent <= exponent <= spec.largest_exponent:
        raise DataError(
            "exponent-given",
            f"exponents must be {spec.smallest_exponent} to {spec.largest_exponent} (spec 3.6), got {exponent}",
        )


def _checked_words(words: Sequence[int] | None, count: int, preset: Preset) -> Sequence[int | None]:
    """Return one random word, or None, for each value, or raise DataError ``random-words`` (spec 3.7)."""
    is_stochastic = preset.conversion.rounding is Rounding.STOCHASTIC
    if (words is not None) != is_stochastic or (words is not None and len(words) != count):
        got = "none" if words is None else str(len(words))
        raise DataError(
            "random-words",
            "random words must be supplied with stochastic rounding and only with it, "
            f"one for each of {count} elements (spec 3.7), got {got}",
        )
    return [None] * count if words is None else words
