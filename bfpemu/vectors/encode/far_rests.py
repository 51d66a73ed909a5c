"""Numbers of `encode` whose last bits lie at every place that a random word reaches (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.blocks.random_words import ROWS
from bfpemu.vectors.encode.decision_stimulus import deciding_unit
from bfpemu.vectors.encode.stimulus import EncodeStimulus

_STREAM = 34


def far_rests(stimulus: EncodeStimulus) -> Stimulus:
    """Return blocks with a number that gives the exponent, in each lane in turn, and others at all distances below."""
    reach, source, lanes = stimulus.reach, stimulus.source, stimulus.lanes
    unit, _ = deciding_unit(stimulus)
    top = unit + reach.spec.magnitude_bits - 1
    deepest = reach.spec.magnitude_bits + reach.problem.target.conversion.random_bits
    row, lane = np.arange(ROWS)[:, None], np.arange(lanes)
    # Neighbours lie apart, so that no lane's distance says another's.
    below = 1 + (row // lanes + row * 5 + lane * 3) % deepest
    field = np.clip(top + source.bias - below, 0, (1 << source.exponent_bits) - 2).astype(np.uint64)
    bits = words(0, _STREAM, 0, ROWS, lanes)
    fraction = bits & np.uint64((1 << source.fraction_bits) - 1)
    patterns = field << np.uint64(source.fraction_bits) | fraction | bits >> np.uint64(63) << np.uint64(source.bits - 1)
    holder = source.of(0, 1, top)
    if holder is not None:
        patterns = np.where(lane == row % lanes, np.uint64(holder), patterns)
    return {"x": patterns} | ({"exponents": _code(stimulus, unit)} if reach.is_given else {})


def _code(stimulus: EncodeStimulus, unit: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    spec = stimulus.reach.spec
    return np.full((ROWS, 1), unit + spec.fraction_bits + spec.exponent_bias, np.uint64)
