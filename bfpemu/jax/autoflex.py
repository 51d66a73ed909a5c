"""Autoflex on JAX arrays: the state is a pytree that goes through `jit` and `scan` (spec 11).

Everything is integer work on the device but the estimate of 11.6, which is in IEEE doubles or real numbers:
one small call to the host for each adjustment.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, lax
from jax.typing import ArrayLike

from bfpemu.adapters.configuration import Estimator
from bfpemu.autoflex import Autoflex, AutoflexState, Observation, adjust, start
from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike
from bfpemu.errors import DataTypeError, SpecError
from bfpemu.formats.autoflex import AutoflexConfig
from bfpemu.formats.preset import Preset
from bfpemu.jax.quantize import floats, key_of, straight_through, words_of

FLEX16_5 = AutoflexConfig(minimum_exponent=-31)
"""The constants of the public code within the exponents of the format `flex16_5`."""

_MOST_BITS = 30
"""Maxima are 32-bit integers here."""


class TracedState(NamedTuple):
    """The state of spec 11.1 as arrays; the configuration is not part of it."""

    exponent: Array
    is_initialised: Array
    tries: Array
    maxima: Array
    """shape (history_length,), oldest first; only the last `observations` count"""
    exponents: Array
    """shape (history_length,), of the units that the maxima count"""
    observations: Array
    is_adjustable: Array
    adjustments: Array
    age: Array
    overflows: Array


def traced(state: AutoflexState | None = None, config: AutoflexConfig | None = None) -> TracedState:
    """Return a state as arrays, that of a tensor which has held nothing unless given.

    Raises
    ------
    SpecError
        ``autoflex``, if a maximum or a count needs more than 31 bits.

    Examples
    --------
    >>> int(traced().exponent)
    -8
    """
    found = start(config or FLEX16_5) if state is None else state
    length = found.config.history_length
    bits = found.config.significand_bits - 1 + found.config.overflow_bits
    if bits > _MOST_BITS or max(found.adjustments, found.age, found.overflows) >= 1 << 31:
        raise SpecError(
            "autoflex",
            f"significand_bits + overflow_bits must be at most {_MOST_BITS + 1} in JAX, and counts below 2**31 "
            f"(spec 11.2), got {bits + 1} bits",
        )
    history = [Observation(0, 0)] * (length - len(found.history)) + list(found.history)
    maxima, exponents = (jnp.array([seen[part] for seen in history], jnp.int32) for part in range(2))
    numbers = (found.adjustments, found.age, found.overflows)
    return TracedState(
        jnp.int32(found.exponent),
        jnp.bool_(found.is_initialised),
        jnp.int32(found.tries),
        maxima,
        exponents,
        jnp.int32(len(found.history)),
        jnp.bool_(found.is_adjustable),
        *(jnp.int32(number) for number in numbers),
    )


def untraced(state: TracedState, config: AutoflexConfig | None = None) -> AutoflexState:
    """Return a state that goes to JSON; the reverse of `traced`.

    Examples
    --------
    >>> untraced(traced()).to_dict()["history"]
    []
    """
    count = int(state.observations)
    pairs = zip(np.asarray(state.maxima).tolist(), np.asarray(state.exponents).tolist(), strict=True)
    history = tuple(Observation(maximum, exponent) for maximum, exponent in pairs)
    return AutoflexState(
        config or FLEX16_5,
        int(state.exponent),
        bool(state.is_initialised),
        int(state.tries),
        history[len(history) - count :],
        bool(state.is_adjustable),
        int(state.adjustments),
        int(state.age),
        int(state.overflows),
    )


def autoflex_quantize(
    data: ArrayLike,
    state: TracedState,
    format: FormatLike = "flex16_5",
    axis: int | None = -1,
    *,
    config: AutoflexConfig | None = None,
    seed: ArrayLike | None = None,
) -> tuple[Array, TracedState]:
    """Return `data` with the exponent that the state foresees, and the state that has seen it (spec 11.10).

    The gradient passes straight through. Bits and states are those of `bfpemu.autoflex.Autoflex`.

    Parameters
    ----------
    data : array
        float32, float16 or bfloat16.
    state : TracedState
    format, axis, seed
        As for `bfpemu.jax.bfp_quantize`; elements of `config.significand_bits` bits.
    config : AutoflexConfig, optional
        The constants, `FLEX16_5` unless given.

    Returns
    -------
    array, TracedState

    Raises
    ------
    SpecError
        ``autoflex``, if format and configuration do not fit; the errors of `bfp_quantize`.
    DataTypeError
        ``data-type``, for float64 as well.

    Examples
    --------
    >>> x, state = autoflex_quantize(jnp.array([1.0, 0.3]), traced())
    >>> x.tolist(), int(state.exponent)
    ([1.0, 0.29998779296875], -14)
    """
    x, found = floats(data), config or FLEX16_5
    if x.dtype == jnp.float64:
        raise DataTypeError(
            "data-type",
            "data must be float32, float16 or bfloat16 (spec 11.10), got float64, which would be rounded twice; "
            "round it with .astype(jax.numpy.float32)",
        )
    use = _Use(Autoflex(format, found).preset, axis, found)
    # Every value of a narrower float is one of float32, and so is every element.
    wide = x.astype(jnp.float32)
    words = None if seed is None else words_of(wide, key_of(seed))
    quantized, state = use.encoded(wide, state, words)
    return quantized.astype(x.dtype), state


class _Use(NamedTuple):
    """One use of a tensor, by a format whose exponents are given (spec 11.10)."""

    preset: Preset
    axis: int | None
    config: AutoflexConfig

    def encoded(self, x: Array, state: TracedState, words: Array | None) -> tuple[Array, TracedState]:
        """Return the data with the exponent of the state, and the state after that."""
        state = lax.cond(state.is_initialised & state.is_adjustable, self.adjusted, lambda found: found, state)
        state = lax.while_loop(
            lambda found: ~found.is_initialised,
            lambda found: self.bounded(self.tried(found, self.maximum(lax.stop_gradient(x), found.exponent, words))),
            self.bounded(state),
        )
        quantized = self.quantized(x, state.exponent, words)
        return quantized, self.observed(state, _in_units(lax.stop_gradient(quantized), state.exponent))

    def quantized(self, x: Array, exponent: Array, words: Array | None) -> Array:
        """Return the data in units of ``2 ** exponent``."""
        shape = blocking(self.preset.format, x.shape, self.axis).exponents_shape
        given = jnp.broadcast_to(exponent + self.preset.format.fraction_bits, shape)
        return straight_through(x, self.preset, self.axis, Estimator.IDENTITY, words, given)

    def maximum(self, x: Array, exponent: Array, words: Array | None) -> Array:
        """Return the largest magnitude of the significands (spec 11.5)."""
        return _in_units(self.quantized(x, exponent, words), exponent)

    def bounded(self, state: TracedState) -> TracedState:
        """Return the state with an exponent that the format has."""
        spec = self.preset.format
        low, high = spec.smallest_exponent - spec.fraction_bits, spec.largest_exponent - spec.fraction_bits
        return state._replace(exponent=jnp.clip(state.exponent, low, high))

    def tried(self, state: TracedState, maximum: Array) -> TracedState:
        """Return the state after one try of the initialisation (spec 11.4)."""
        config, high_bit = self.config, self.config.significand_bits - 1
        assert config.jump_bits is not None
        assert config.reliable_maximum is not None
        found = maximum + config.initial_increment
        is_large, is_small = found >= (1 << high_bit) - 1, found < 1 << (high_bit - 1)
        bits = 32 - lax.clz(jnp.maximum(found, 1))
        step = jnp.where(is_large, config.jump_bits, jnp.where(is_small, bits - high_bit, 0))
        is_done = jnp.where(is_large, False, jnp.where(is_small, found >= config.reliable_maximum, True))
        tries = state.tries + 1
        gives_up = tries > config.initialisation_tries
        return state._replace(
            exponent=jnp.where(gives_up, 0, state.exponent + step).astype(jnp.int32),
            tries=jnp.where(gives_up, 0, tries),
            is_initialised=is_done | gives_up,
        )

    def observed(self, state: TracedState, maximum: Array) -> TracedState:
        """Return the state after a use (spec 11.5)."""
        config = self.config
        overflowed = maximum >= config.largest_maximum - 1
        latest = jnp.where(overflowed, maximum << config.overflow_bits, maximum)
        count = jnp.where(overflowed, 0, state.observations)
        return state._replace(
            maxima=jnp.append(state.maxima[1:], latest),
            exponents=jnp.append(state.exponents[1:], state.exponent),
            observations=jnp.minimum(count + 1, config.history_length),
            is_adjustable=jnp.bool_(True),
            age=state.age + 1,
            overflows=state.overflows + overflowed,
        )

    def adjusted(self, state: TracedState) -> TracedState:
        """Return the state before a use, of one that can be adjusted (spec 11.6 to 11.8)."""

        def on_host(*fields: Any) -> npt.NDArray[np.int32]:
            return np.array(adjust(untraced(TracedState(*fields), self.config)).exponent, np.int32)

        shape = jax.ShapeDtypeStruct((), jnp.int32)  # type: ignore[no-untyped-call]
        exponent = jax.pure_callback(on_host, shape, *state, vmap_method="sequential")
        return state._replace(exponent=exponent, is_adjustable=jnp.bool_(False), adjustments=state.adjustments + 1)


def _in_units(quantized: Array, exponent: Array) -> Array:
    """Return the largest magnitude of float32 multiples of ``2 ** exponent``, in these units."""
    bits = jnp.max(lax.bitcast_convert_type(quantized, jnp.int32) & 0x7FFFFFFF, initial=0)
    field = bits >> 23
    significand = (bits & 0x7FFFFF) | ((field > 0).astype(jnp.int32) << 23)
    return significand >> jnp.clip(exponent + 150 - jnp.maximum(field, 1), 0, 31)
