"""What elementwise units encode, as integers in units of powers of two: sums, products, significands (spec 12.12)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.codec.codes import code_dtype, significands
from bfpemu.formats import BFPSpec, Encoding, Preset, ReservedExponent
from bfpemu.kernels.source import FINITE, Numbers
from bfpemu.vectors.blocks.facts import Int64Array, Mask, UInt64Array, by_block, facts_of_numbers
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.staged_encoder import StagedEncoder
from bfpemu.vectors.words import Fields

CUTS = {"a sticky bit": "sticky", "what is below cut off": "cut", "what is below rounded down": "down"}
"""What becomes of bits that an alignment moves out, in words and for `aligned`."""


class Operand(NamedTuple):
    """Elements of one operand, shape (vectors, elements)."""

    elements: Int64Array
    """Significands."""
    codes: Int64Array
    """The exponent code of each element's block."""
    unit: Int64Array
    """The power of two that a significand counts."""


class Integers(NamedTuple):
    """Signed integers in units of powers of two, shape (vectors, elements)."""

    size: UInt64Array
    negative: Mask
    unit: Int64Array


def operand(problem: Problem, stimulus: Fields, side: str, preset: Preset) -> Operand:
    """Return an operand, `preset` of one level; `side` is what the names of its fields begin with."""
    spec = preset.format
    assert isinstance(spec.block_size, int)
    elements = significands(stimulus[f"{side}elements"].astype(code_dtype(spec.mantissa_bits)), spec).astype(np.int64)
    codes = np.repeat(stimulus[f"{side}exponents"].astype(np.int64), spec.block_size, axis=1)[:, : problem.elements]
    if spec.exponent_reserved is ReservedExponent.ZERO:
        elements = np.where(codes == spec.all_ones_code, 0, elements)
    return Operand(elements, codes, codes - spec.exponent_bias - spec.fraction_bits)


def largest_size(spec: BFPSpec) -> int:
    """Return the largest magnitude of a significand of a format.

    Examples
    --------
    >>> largest_size(BFPSpec("m4", 4, 2)), largest_size(BFPSpec("s4", 4, 2, encoding="sign_magnitude"))
    (8, 7)
    """
    return spec.largest_significand + (spec.encoding is Encoding.TWOS_COMPLEMENT and spec.has_sign)


def numbers_of_integers(integers: Integers) -> Numbers:
    """Return integers as normalised numbers."""
    size = integers.size
    bits = bit_lengths(size)
    mantissa = np.where(size != 0, size << (64 - np.maximum(bits, 1)).astype(np.uint64), np.uint64(0))
    return Numbers(np.full(size.shape, FINITE), integers.negative, mantissa, bits + integers.unit)


def encoder_of(problem: Problem, stimulus: Fields, right: Fields, integers: Integers) -> StagedEncoder:
    """Return the encoder of integers; nothing but a NaN block has another exponent than that of the integers."""
    none = np.zeros(integers.size.shape, np.bool_)
    facts = facts_of_numbers(problem, stimulus, right, numbers_of_integers(integers), none)
    return StagedEncoder(facts, right, facts.is_nan)


def in_blocks(integers: Integers, encoder: StagedEncoder) -> Integers:
    """Return integers in the shape of an encoder, (blocks, elements of a block)."""
    blocks, size = encoder.facts.per_vector, encoder.facts.mantissa.shape[1]
    return Integers(*(by_block(array, blocks, size) for array in integers))


def aligned(integers: Int64Array, apart: Int64Array, cut: str) -> Int64Array:
    """Return integers shifted to the right; `cut` is one of `CUTS`."""
    found = integers >> apart
    lost = found << apart != integers
    added = {"sticky": lost & (found & 1 == 0), "cut": lost & (integers < 0), "down": np.zeros_like(lost)}
    upward: Int64Array = found + added[cut]
    return upward
