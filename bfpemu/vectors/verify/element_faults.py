"""Faults of encoders in single elements: a shift without the sign, infinities that are no numbers (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from bfpemu.formats import Encoding, InfinityPolicy
from bfpemu.vectors.blocks.element_rounding import bits_go_away
from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.verify.staged_encoder import Fault, StagedEncoder, Wraps
from bfpemu.vectors.words import Bytes, Fields

_MOST_SHIFT = 62
SPARE_BITS = range(1, 5)
"""Bits above a magnitude in registers that are tried."""


def element_faults(encoder: StagedEncoder, given: Fields) -> Iterator[Fault]:
    """Yield faults of a unit that encodes a source float, and the words that come of each."""
    spec = encoder.spec
    if spec.encoding is Encoding.TWOS_COMPLEMENT:
        bits = encoder.problem.kind.fraction_bits + 1
        for spare in SPARE_BITS:
            text = f"a negative significand is shifted without its sign, in {bits + spare} bits"
            yield text, partial(_significands_without_sign, encoder, bits + spare, saturates=False)
            yield (
                f"{text}, and then saturates",
                partial(_significands_without_sign, encoder, bits + spare, saturates=True),
            )
    infinite = encoder.facts.infinite.any(axis=1) & ~encoder.facts.is_nan
    if encoder.conversion.infinity is InfinityPolicy.SATURATE and infinite.any():
        yield from _infinities(encoder, given)


def _infinities(encoder: StagedEncoder, given: Fields) -> Iterator[Fault]:
    facts, spec = encoder.facts, encoder.spec
    infinite = facts.infinite.any(axis=1) & ~facts.is_nan
    alone = infinite & ~facts.has_number
    got = given["exponents"].astype(np.int64).reshape(-1)
    inside = np.clip(facts.wanted, spec.smallest_exponent, spec.largest_exponent) + spec.exponent_bias
    codes = np.where(infinite & ~alone, inside, facts.code)
    if alone.any():
        code = int(got[alone][0])
        codes, more = np.where(alone, code, codes), f", and alone gives the exponent code {code}"
    else:
        more = ""
    rest = encoder.rest(codes - spec.exponent_bias)
    yield f"an infinity takes no part in the exponent{more}", partial(encoder.words, codes=codes, rest=rest)
    # The pattern of an infinity read as a number is the next power of two above the largest.
    top = (1 << (encoder.problem.kind.exponent_bits - 1)) + 1
    mantissa = np.where(facts.infinite, np.uint64(1 << 63), facts.mantissa)
    rest = encoder.rest(facts.code - spec.exponent_bias, mantissa, np.where(facts.infinite, top, facts.top))
    numbers = facts.nonzero | facts.infinite
    text = "a significand that is too large wraps, and so do infinities"
    yield text, partial(encoder.words, rest=rest, numbers=numbers, wraps=Wraps.BOTH)


def _significands_without_sign(encoder: StagedEncoder, bits: int, *, saturates: bool) -> Bytes:
    """Return words of significands, with the leading zeros of subnormals, that are shifted without their sign."""
    facts, spec, kind = encoder.facts, encoder.spec, encoder.problem.kind
    top = np.maximum(facts.top, 3 - (1 << (kind.exponent_bits - 1)))
    places = np.minimum(63 - kind.fraction_bits + top - facts.top, 63).astype(np.uint64)
    integer = (facts.mantissa >> places).astype(np.int64)
    unit = facts.code - spec.exponent_bias - spec.fraction_bits
    right = unit[:, None] - (top - kind.fraction_bits - 1)
    return shifted_without_sign(encoder, integer, right, bits, saturates=saturates)


def shifted_without_sign(
    encoder: StagedEncoder, integer: Int64Array, right: Int64Array, bits: int, *, saturates: bool
) -> Bytes:
    """Return words of negative numbers whose integers of so many bits move to the right with zeros behind them.

    `right` is the number of places; where it is 0 or less nothing moves.
    """
    facts, spec = encoder.facts, encoder.spec
    element = _rounded(encoder, (np.int64(1) << np.int64(bits)) - integer, np.clip(right, 1, _MOST_SHIFT))
    if saturates:
        element = np.minimum(element, spec.largest_significand)
    moves = facts.nonzero & facts.negative & (right > 0) & ~(facts.is_nan | facts.is_flushed)[:, None]
    codes = np.where(moves, element & ((1 << spec.mantissa_bits) - 1), encoder.elements)
    return encoder.packed(codes, facts.code)


def _rounded(encoder: StagedEncoder, value: Int64Array, right: Int64Array) -> Int64Array:
    """Return integers shifted to the right and rounded as those of negative numbers in two's complement are."""
    whole, rest = value >> right, value & ((np.int64(1) << right) - 1)
    # A negative number lies as far below the next integer as its magnitude lies above.
    below_next = (np.int64(1) << right) - rest
    guard = below_next >> (right - 1) & 1
    below = below_next & ((np.int64(1) << (right - 1)) - 1) != 0
    away = bits_go_away(encoder.conversion.rounding, 1, 1 - (whole & 1), guard, below)
    return np.where(rest != 0, whole + 1 - away, whole)
