"""What layers of Flax linen with quantised operands have in common, and what they count (spec 14.8, 14.13, 14.14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util
from jax import Array
from jax.typing import ArrayLike

from bfpemu.adapters.configuration import FIELDS, QATConfig
from bfpemu.adapters.text import StoredUnit
from bfpemu.catalog import FormatLike
from bfpemu.jax.layers import count_of_nonfinite

STATE = "bfpemu"
"""The collection of what layers count: steps of stochastic rounding, blocks that are not finite."""


class Quantized(nn.Module, kw_only=True):
    """What layers with quantised operands have in common; attributes are the fields of `QATConfig`."""

    weight_format: FormatLike | None = "bfp8"
    act_format: FormatLike | None = None
    quantize_input: bool = True
    quantize_output: bool = False
    output_format: FormatLike | None = None
    grad_format: FormatLike | None = None
    rounding: str | None = None
    seed: int = 0
    layer_number: int = 0
    ste: str = "identity"
    accumulator: StoredUnit | None = None
    counts_nonfinite: bool = False
    whole_axis: bool = False
    config: QATConfig | None = None
    """Takes the place of all before."""

    @property
    def configuration(self) -> QATConfig:
        """What is quantised, and how."""
        return self.config or QATConfig(**{name: getattr(self, name) for name in FIELDS})


def started(
    scope: Any,
    config: QATConfig,
    x: Array,
    step: ArrayLike | None = None,
    *,
    axes: Sequence[int] = (-1,),
    groups: int = 1,
) -> ArrayLike:
    """Count what a layer is to count; return its step, which is 0 without its state.

    Parameters
    ----------
    scope : flax.core.Scope
        The layer's.
    config : QATConfig
    x : array
        What the layer is given; blocks run along `axes`, in `groups`.
    step : integer, optional
        Takes the place of the state's (spec 14.13).
    axes : sequence of int
    groups : int
    """
    is_initializing = scope.get_flag("initializing", False)

    def zero() -> Array:
        return jnp.zeros((), jnp.int32)

    if config.counts_nonfinite and scope.is_mutable_collection(STATE):
        blocks = scope.variable(STATE, "nonfinite_blocks", zero)
        if not is_initializing:
            blocks.value += count_of_nonfinite(x, config, axes, groups)
    if config.is_stochastic and (is_initializing or scope.has_variable(STATE, "rounding_step")):
        state = scope.variable(STATE, "rounding_step", zero)
        step = state.value if step is None else step
    return 0 if step is None else step


def next_step(variables: Any) -> Any:
    """Return variables with which stochastically rounding layers draw other words; call it after each step of training.

    Examples
    --------
    >>> import jax
    >>> from bfpemu.jax import BFPDense
    >>> layer, x = BFPDense(features=2, rounding="stochastic"), jnp.ones((3, 40))
    >>> variables = next_step(layer.init(jax.random.key(0), x))
    >>> int(variables["bfpemu"]["rounding_step"])
    1
    """
    unflattened: Any = traverse_util.unflatten_dict  # without types
    state = {path: value + 1 if path[-1] == "rounding_step" else value for path, value in _state(variables).items()}
    return {**variables, STATE: unflattened(state)} if state else variables


def nonfinite_blocks(variables: Any) -> dict[str, int]:
    """Return how many blocks of its inputs held a NaN or an infinity, for every layer that counts them (spec 14.14).

    Layers count where the collection ``bfpemu`` is mutable.

    Examples
    --------
    >>> import jax
    >>> from bfpemu.jax import BFPDense
    >>> layer, x = BFPDense(features=2, counts_nonfinite=True), jnp.array([[1.0, jnp.inf]])
    >>> _, state = layer.apply(layer.init(jax.random.key(0), x), x, mutable=["bfpemu"])
    >>> nonfinite_blocks(state)
    {'': 1}
    """
    state = _state(variables)
    return {".".join(path[:-1]): int(value) for path, value in state.items() if path[-1] == "nonfinite_blocks"}


def _state(variables: Any) -> dict[tuple[str, ...], Any]:
    """Return what layers count, by path."""
    flattened: Any = traverse_util.flatten_dict  # without types
    return dict(flattened(variables.get(STATE, {})))
