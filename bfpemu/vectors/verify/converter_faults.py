"""Faults of converters between formats of blocks: where several source blocks meet in one (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.exponent_faults import exponents_of
from bfpemu.vectors.verify.integers import (
    CUTS,
    Integers,
    aligned,
    encoder_of,
    in_blocks,
    largest_size,
    numbers_of_integers,
    operand,
)
from bfpemu.vectors.verify.register_faults import register_faults
from bfpemu.vectors.verify.shift_faults import shift_faults
from bfpemu.vectors.verify.staged_encoder import Fault, StagedEncoder, is_staged
from bfpemu.vectors.words import Bytes, Fields

_WIDEST_NUMBER = 40
_SHIFT = 62


def converter_faults(problem: Problem, stimulus: Fields, right: Fields) -> Iterator[Fault]:
    """Yield faults of the unit `requantize`, and the words that come of each.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("requantize", resolve("4x2"), result=resolve("4x4"))
    >>> stimulus = {"a_elements": np.array([[4, 0, 4, 0]]), "a_exponents": np.array([[127, 126]])}
    >>> right = {"elements": np.array([[4, 0, 2, 0]]), "exponents": np.array([[127]])}
    >>> faults = dict(converter_faults(problem, stimulus, right))
    >>> faults["every number is shifted as those of the highest source block"]().tolist()
    [[4, 4, 127]]
    """
    if problem.unit != "requantize" or not is_staged(problem):
        return
    spec = problem.a_flat.format
    bits = largest_size(spec).bit_length()
    if bits > _WIDEST_NUMBER:
        return
    source_size = spec.elements_per_block or problem.elements
    source = operand(problem, stimulus, "a_", problem.a_flat)
    exact = Integers(np.abs(source.elements).astype(np.uint64), source.elements < 0, source.unit)
    encoder = encoder_of(problem, stimulus, right, exact)
    if not np.array_equal(encoder.words(), problem.expected.pack(right)):
        return
    yield from register_faults(encoder, exact, bits)
    yield from shift_faults(encoder, exact, bits)
    if encoder.facts.mantissa.shape[1] % source_size == 0 and encoder.facts.mantissa.shape[1] > source_size:
        yield from _alignments(encoder, in_blocks(exact, encoder), source_size)


def _alignments(encoder: StagedEncoder, found: Integers, source_size: int) -> Iterator[Fault]:
    """Yield other places to which the numbers of the source blocks that meet in one block are aligned."""
    bits = largest_size(encoder.problem.a_flat.format).bit_length()
    units = found.unit[:, ::source_size]
    has_number = (found.size != 0).reshape(*units.shape, source_size).any(axis=2)
    highest = np.where(has_number, units, units.min(axis=1, keepdims=True)).max(axis=1)
    rows = np.arange(len(units))
    first, last = has_number.argmax(axis=1), -1 - has_number[:, ::-1].argmax(axis=1)
    places = {
        "the highest source block": highest,
        "the highest source block, be it of zeros": units.max(axis=1),
        "the first source block that is not of zeros": units[rows, first],
        "the last source block that is not of zeros": units[rows, last],
    }
    for text, unit in places.items():
        for kept in range(min(bits + encoder.spec.magnitude_bits + 3, _SHIFT - bits)):
            for how in ("a sticky bit", "what is below cut off"):
                yield (
                    f"the exponent is that of numbers with {kept} bits kept below the unit of {text}, {how}",
                    partial(_aligned_words, encoder, found, unit, kept, CUTS[how]),
                )
    rest = encoder.moved(highest[:, None] - found.unit)
    yield "every number is shifted as those of the highest source block", partial(encoder.words, rest=rest)


def _aligned_words(encoder: StagedEncoder, found: Integers, unit: Int64Array, kept: int, cut: str) -> Bytes:
    """Return words whose exponents are those of magnitudes in a register with some bits below a unit."""
    # The distance is unsigned, of the bits of an exponent code.
    apart = unit[:, None] - found.unit & encoder.problem.a_flat.format.all_ones_code
    sizes = aligned(found.size.astype(np.int64) << kept, np.minimum(apart, _SHIFT), cut)
    placed = found._replace(
        size=sizes.astype(np.uint64), unit=np.broadcast_to((unit - kept)[:, None], found.unit.shape)
    )
    _, _, mantissa, top = numbers_of_integers(placed)
    return encoder.words(exponents_of(encoder.problem, mantissa, top))
