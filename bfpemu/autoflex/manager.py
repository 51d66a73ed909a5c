"""`Autoflex`: a state, and tensors encoded by it (spec 11.10)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.autoflex.machine import adjust, bounded, initialise, observe, start
from bfpemu.autoflex.state import AutoflexState
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import SpecError
from bfpemu.formats import BFPSpec, ExponentRule
from bfpemu.formats.autoflex import AUTOFLEX_NEON, AutoflexConfig
from bfpemu.formats.preset import Preset
from bfpemu.tensor import BFPTensor


class Autoflex:
    """Encodes what one tensor holds over time, with one exponent that follows the data (spec 11.10).

    The state is explicit: read `state` to keep it, and set it to go on from there.

    Parameters
    ----------
    format : str, tuple, BFPSpec or Preset
        As for `BFPTensor`; elements of `config.significand_bits` bits, and exponents that hold
        those of `config`. Its conversion is used with the rule ``given``.
    config : AutoflexConfig, optional
        The constants, `AUTOFLEX_NEON` unless given.
    state : AutoflexState, optional
        Where to go on; `config` must then be left out or be the state's own.

    Raises
    ------
    SpecError
        ``autoflex``, if format and configuration do not fit; the errors of `BFPTensor` for the format.

    Examples
    --------
    One exponent for the whole tensor: the first numbers after a jump saturate, and then it fits.

    >>> import numpy as np
    >>> from bfpemu.formats import BFPSpec
    >>> flex = BFPSpec("flex", 16, None, 6, exponent_bias=32, fraction_bits=0, exponent_reserved="none")
    >>> autoflex = Autoflex(flex)
    >>> for number in (1.0, 5.0, 10.0, -40.0, -40.0):
    ...     tensor = autoflex.encode(np.array(number, np.float32))
    ...     print(float(tensor.dequantize()), autoflex.state.exponent)
    1.0 -14
    1.99993896484375 -14
    7.999755859375 -12
    -32.0 -10
    -40.0 -8
    """

    __slots__ = ("_format", "_state")

    def __init__(
        self, format: FormatLike, config: AutoflexConfig | None = None, *, state: AutoflexState | None = None
    ) -> None:
        if isinstance(state, AutoflexState) and config not in (None, state.config):
            raise SpecError("autoflex", "config must be left out beside a state, which has its own (spec 11.10)")
        preset = resolve(format)
        self._format = replace(preset, conversion=replace(preset.conversion, exponent_rule=ExponentRule.GIVEN))
        self.state = start(config or AUTOFLEX_NEON) if state is None else state

    @property
    def state(self) -> AutoflexState:
        """What is known of the tensor."""
        return self._state

    @state.setter
    def state(self, state: AutoflexState) -> None:
        if not isinstance(state, AutoflexState):
            raise SpecError("autoflex", f"state must be an AutoflexState (spec 11.10), got {state!r}")
        _check_fit(self._format.format, state.config)
        self._state = state

    @property
    def preset(self) -> Preset:
        """The format, with the rule `given`."""
        return self._format

    def encode(
        self,
        data: npt.ArrayLike,
        axis: int | None = -1,
        *,
        age: int | None = None,
        random_words: npt.ArrayLike | None = None,
        threads: int | None = None,
    ) -> BFPTensor:
        """Return `data` with the exponent that the state foresees, and learn from it (spec 11.10).

        Parameters
        ----------
        data, axis, random_words, threads
            As for `BFPTensor`.
        age : int, optional
            As for `observe`.

        Raises
        ------
        DataError, DataTypeError
            As for `BFPTensor`; ``autoflex-maximum`` for an age.
        """
        state = self._state
        low, high = self._exponents()

        def encoded(exponent: int) -> BFPTensor:
            given = exponent + self._format.format.fraction_bits
            return BFPTensor(data, self._format, axis=axis, exponents=given, random_words=random_words, threads=threads)

        state = bounded(adjust(state) if state.is_initialised else state, low, high)
        while not state.is_initialised:
            state = bounded(initialise(state, largest_magnitude(encoded(state.exponent))), low, high)
        tensor = encoded(state.exponent)
        self._state = observe(state, largest_magnitude(tensor), age)
        return tensor

    def _exponents(self) -> tuple[int, int]:
        """Return the smallest and largest exponent of a unit that the format has."""
        spec = self._format.format
        return spec.smallest_exponent - spec.fraction_bits, spec.largest_exponent - spec.fraction_bits

    def __repr__(self) -> str:
        return f"Autoflex({self._format.name!r}, exponent={self._state.exponent}, overflows={self._state.overflows})"


def largest_magnitude(tensor: BFPTensor) -> int:
    """Return the largest magnitude of a tensor's significands, 0 without elements (spec 11.5).

    Examples
    --------
    >>> largest_magnitude(BFPTensor([1.0, -2.0], "bfp8"))
    64
    """
    found: npt.NDArray[Any] = tensor.mantissas
    return max(abs(int(np.min(found))), abs(int(np.max(found)))) if found.size else 0


def _check_fit(spec: BFPSpec, config: AutoflexConfig) -> None:
    """Raise SpecError ``autoflex`` if the format cannot hold what the configuration gives."""
    low, high = spec.smallest_exponent - spec.fraction_bits, spec.largest_exponent - spec.fraction_bits
    if spec.mantissa_bits != config.significand_bits or not spec.has_sign:
        raise SpecError(
            "autoflex",
            f"the format must have signed elements of the configuration's {config.significand_bits} bits (spec 11.10), "
            f"got {spec.mantissa_bits} bits of {str(spec.encoding)!r}",
        )
    if not low <= config.minimum_exponent <= config.maximum_exponent <= high:
        raise SpecError(
            "autoflex",
            f"the format must hold units of 2 ** {config.minimum_exponent} to 2 ** {config.maximum_exponent} "
            f"(spec 11.10), got 2 ** {low} to 2 ** {high}; change exponent_bits and exponent_bias, "
            "or minimum_exponent and maximum_exponent",
        )
