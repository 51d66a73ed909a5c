"""When float32 operations of the device give the bits of a unit, and which (spec 6.3 to 6.8).

Three facts carry this module. A group of products whose sum has at most 24 bits above its unit is
summed exactly by any order of float32 additions. One that runs from group to group in order, in
float32, is what some units are. And where even the sum of all magnitudes has at most 24 bits above the
smallest unit, nothing rounds in any order, so every float accumulator that is wide enough gives the
same bits. What holds is decided from formats here, and from the data by `holds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import jax
import jax.numpy as jnp
from jax import Array

from bfpemu.formats import BFPSpec, DecodeUnderflow, NegativeZeroCode
from bfpemu.formats.unit import FLOAT_FORMATS, AccumulatorKind, DotProductUnit, ScalePoint
from bfpemu.formats.unit_operands import group_size, product_magnitude_bits

_FRACTION_BITS, _BIAS = 23, 127
_WIDTH = _FRACTION_BITS + 1
_LARGEST = 126
"""Bound on the exponents of sums, so that none overflows."""


class Way(Enum):
    """How float32 operations may compute a product."""

    IN_ORDER = "one addition a group, in order"
    ANY_ORDER = "nothing rounds"
    NONE = "not at all"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a product of given formats and length may be computed in float32."""

    way: Way
    group: int
    """Elements of a group."""
    length: int
    """Elements of a sum."""


def plan(unit: DotProductUnit, a: BFPSpec, b: BFPSpec, length: int) -> Plan:
    """Return the way that formats, unit and the length of the sums leave open.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.units import unit
    >>> bfp8, bfp16 = resolve("bfp8").format, resolve("bfp16").format
    >>> plan(unit("fp32_sequential"), bfp8, bfp8, 1024).way.name, plan(unit("exact"), bfp8, bfp8, 1024).way.name
    ('IN_ORDER', 'ANY_ORDER')
    >>> plan(unit("fp32_sequential"), bfp16, bfp16, 1024).way.name
    'NONE'
    """
    group = min(group_size(unit, a, b) or length, max(length, 1))
    width = product_magnitude_bits(a, b) + (group - 1).bit_length()
    rounds_before = unit.product_drop_bits > 0 or (unit.sum_bits is not None and unit.sum_bits <= width + 1)
    if unit.output != FLOAT_FORMATS["fp32"] or width > _WIDTH or rounds_before or not (_is_plain(a) and _is_plain(b)):
        return Plan(Way.NONE, group, length)
    accumulator = unit.accumulator
    sequential = (unit.lanes, unit.splits, unit.pairwise) == (1, 1, False)
    if accumulator.kind is AccumulatorKind.FLOAT:
        assert accumulator.format is not None
        converts = accumulator.scale_point is ScalePoint.BEFORE_CONVERSION
        if sequential and converts and not accumulator.fused and accumulator.format == FLOAT_FORMATS["fp32"]:
            return Plan(Way.IN_ORDER, group, length)
        holds_all = accumulator.format.exponent_bits >= 8 and accumulator.format.fraction_bits >= _FRACTION_BITS
        return Plan(Way.ANY_ORDER if holds_all else Way.NONE, group, length)
    return Plan(Way.ANY_ORDER if accumulator.kind is AccumulatorKind.EXACT else Way.NONE, group, length)


def _is_plain(spec: BFPSpec) -> bool:
    """Return whether decoded values say all that codes say to a unit (spec 6.3)."""
    zero = (NegativeZeroCode.NEGATIVE_ZERO, NegativeZeroCode.ZERO)
    return spec.decode_underflow is DecodeUnderflow.EXACT and spec.negative_zero_code in zero


def holds(found: Plan, a: Array, b: Array) -> Array:
    """Return whether float32 gives the bits of the unit for this data, as a traced mask of no axes.

    Parameters
    ----------
    found : Plan
    a : array, shape (..., M, K)
    b : array, shape (..., K, N)
        float32 operands that are quantised already.
    """
    (a_bits, a_low), (b_bits, b_low) = (_lowest(operand) for operand in (a, b))
    # Exponents of the largest magnitudes; infinities and NaN lie above all of them.
    a_top, b_top = ((jnp.max(bits, initial=0) >> _FRACTION_BITS) - _BIAS for bits in (a_bits, b_bits))
    length_bits = max(found.length - 1, 0).bit_length()
    is_finite = (a_top <= _BIAS) & (b_top <= _BIAS)
    has_room = a_top + b_top + 2 + length_bits <= _LARGEST
    lowest = jnp.min(a_low, initial=_FAR) + jnp.min(b_low, initial=_FAR)
    is_normal = ~(_has_subnormal(a_bits) | _has_subnormal(b_bits)) & (lowest >= 1 - _BIAS)
    fits = is_finite & has_room & is_normal
    if found.way is Way.IN_ORDER:
        return fits
    if found.length >= 1 << 20:  # the bound of its own rounding, below, would be too rough
        return jnp.zeros((), bool)
    unit = jnp.min(a_low, axis=-1, initial=_FAR)[..., :, None] + jnp.min(b_low, axis=-2, initial=_FAR)[..., None, :]
    bound = jnp.matmul(jnp.abs(a), jnp.abs(b), precision="highest")
    # A float32 sum of K terms is off by less than one part in 2**23 / K.
    limit = _power(jnp.clip(unit + _WIDTH, 1 - _BIAS, _BIAS)) * (1 - found.length / (1 << _FRACTION_BITS))
    return fits & jnp.all(bound < limit)


_FAR = 1 << 10
"""Stands for the exponent of the last bit of 0."""


def _lowest(values: Array) -> tuple[Array, Array]:
    """Return magnitudes as integers, and the exponents of the last bits that are set."""
    bits = jax.lax.bitcast_convert_type(values, jnp.int32) & 0x7FFFFFFF
    field = bits >> _FRACTION_BITS
    significand = (bits & ((1 << _FRACTION_BITS) - 1)) | ((field > 0).astype(jnp.int32) << _FRACTION_BITS)
    zeros = jax.lax.population_count((significand & -significand) - 1)
    return bits, jnp.where(bits == 0, _FAR, jnp.maximum(field, 1) - _BIAS - _FRACTION_BITS + zeros)


def _has_subnormal(bits: Array) -> Array:
    return jnp.any((bits > 0) & (bits < 1 << _FRACTION_BITS))


def _power(exponent: Array) -> Array:
    """Return ``2 ** exponent`` in float32, made from bits."""
    return jax.lax.bitcast_convert_type((exponent + _BIAS) << _FRACTION_BITS, jnp.float32)
