"""Faults of the shift that takes integers to the exponent of their block (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from bfpemu.formats import Encoding
from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.verify.element_faults import SPARE_BITS, shifted_without_sign
from bfpemu.vectors.verify.integers import Integers, in_blocks
from bfpemu.vectors.verify.staged_encoder import Fault, StagedEncoder, Wraps
from bfpemu.vectors.words import Bytes

_WIDEST_REGISTER = 62


def shift_faults(encoder: StagedEncoder, integers: Integers, bits: int) -> Iterator[Fault]:
    """Yield faults of the shift of integers whose magnitudes have registers of so many bits.

    A shift to the left is, in most devices, a number that lies some places higher and is then shifted to the right.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.vectors.problem import Problem
    >>> from bfpemu.vectors.verify.integers import encoder_of
    >>> problem = Problem("requantize", resolve("4x2"))
    >>> integers = Integers(np.array([[1, 0]], np.uint64), np.zeros((1, 2), bool), np.array([[0, 0]]))
    >>> right = {"elements": np.array([[4, 0]]), "exponents": np.array([[128]])}
    >>> faults = dict(shift_faults(encoder_of(problem, {}, right, integers), integers, 4))
    >>> faults["no number is shifted to the left by more than 1 places"]().tolist()
    [[2, 128]]
    """
    spec, found = encoder.spec, in_blocks(integers, encoder)
    unit = (encoder.facts.code - spec.exponent_bias - spec.fraction_bits)[:, None]
    right = unit - found.unit
    for places in range(spec.magnitude_bits + 1):
        text = f"no number is shifted to the left by more than {places} places"
        yield text, partial(shifted_less, encoder, right, places, Wraps.NONE)
        yield (
            f"{text}, and one that is then too large wraps",
            partial(shifted_less, encoder, right, places, Wraps.BOTH),
        )
        for width in range(3, 8):
            text = f"the shift to the right of numbers that lie {places} places higher has {width} bits"
            yield text, partial(_wrapped, encoder, right, places, width)
    if spec.encoding is not Encoding.TWOS_COMPLEMENT or bits + spec.magnitude_bits >= _WIDEST_REGISTER:
        return
    for spare in SPARE_BITS:
        register = bits + spare + spec.magnitude_bits
        text = f"a negative number is shifted without its sign, in {register} bits"
        integer = found.size.astype(np.int64) << spec.magnitude_bits
        at = partial(shifted_without_sign, encoder, integer, right + spec.magnitude_bits, register)
        yield text, partial(at, saturates=False)
        yield f"{text}, and then saturates", partial(at, saturates=True)


def shifted_less(encoder: StagedEncoder, right: Int64Array, places: int, wraps: Wraps) -> Bytes:
    """Return the words of numbers that are shifted to the left by some places at most."""
    return encoder.words(rest=encoder.moved(np.minimum(right + places, 0)), wraps=wraps)


def _wrapped(encoder: StagedEncoder, right: Int64Array, places: int, width: int) -> Bytes:
    """Return the words of numbers some places higher, that are then shifted to the right by so many bits of that."""
    return encoder.words(rest=encoder.moved(np.maximum(right + places, 0) >> width << width))
