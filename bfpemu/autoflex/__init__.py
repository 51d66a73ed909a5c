"""Autoflex: one exponent for a tensor, which follows the data (spec 11).

A state is a value: functions take one and return the next, and it goes to JSON and back.
`Autoflex` holds a state and encodes tensors by it.

Examples
--------
The exponent follows maxima of elements, here those of data that grows fourfold:

>>> state = start(AUTOFLEX_NEON)
>>> exponents = []
>>> for maximum in (100, 16384, 32767, 32767, 20000):
...     state, exponent = update(state, maximum)
...     exponents.append(exponent)
>>> exponents, state.overflows
([-16, -16, -14, -12, -12], 2)
"""

from bfpemu.autoflex.machine import adjust, bounded, initialise, observe, start, update
from bfpemu.autoflex.manager import Autoflex
from bfpemu.autoflex.state import AutoflexState, Observation
from bfpemu.formats.autoflex import (
    AUTOFLEX_CONFIGS,
    AUTOFLEX_NEON,
    AUTOFLEX_PAPER,
    AutoflexArithmetic,
    AutoflexConfig,
    AutoflexRounding,
)

__all__ = [
    "AUTOFLEX_CONFIGS",
    "AUTOFLEX_NEON",
    "AUTOFLEX_PAPER",
    "Autoflex",
    "AutoflexArithmetic",
    "AutoflexConfig",
    "AutoflexRounding",
    "AutoflexState",
    "Observation",
    "adjust",
    "bounded",
    "initialise",
    "observe",
    "start",
    "update",
]
