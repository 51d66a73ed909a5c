"""`dot_general`: a quantised product that models take in place of `jax.lax.dot_general` (spec 14.8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from bfpemu.adapters.configuration import QATConfig, Slot, as_config
from bfpemu.errors import DataError
from bfpemu.jax import emulated
from bfpemu.jax.products import Run, cast, check_bare, given_options, multiplied, operand
from bfpemu.jax.quantize import floats, key_of

DimensionNumbers: TypeAlias = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]


@dataclass(frozen=True, slots=True)
class DotProduct:
    """A `jax.lax.dot_general` with its arguments; the first operand is the activation."""

    contracted: tuple[tuple[int, ...], tuple[int, ...]]
    batched: tuple[tuple[int, ...], tuple[int, ...]]
    ranks: tuple[int, int]
    options: tuple[tuple[str, Any], ...] = ()
    dtype: Any = None
    """What quantised operands are cast to; None is what JAX promotes them to."""

    def __call__(self, lhs: Array, rhs: Array) -> Array:
        """Return the product in floating point."""
        return lax.dot_general(*cast(lhs, rhs, self.dtype), (self.contracted, self.batched), **dict(self.options))

    @property
    def sums(self) -> tuple[Run, Run]:
        """The contracted axes."""
        return Run(self.contracted[0]), Run(self.contracted[1])

    @property
    def outputs(self) -> tuple[Run, Run]:
        """The axes of the second operand that are neither contracted nor batched."""
        free = self._free(1)
        rank = len(self.batched[0]) + len(self._free(0)) + len(free)
        return Run(tuple(range(rank - len(free), rank))), Run(free)

    @property
    def rows(self) -> tuple[Run, Run]:
        """The axes of the first operand that are neither contracted nor batched."""
        free, first = self._free(0), len(self.batched[0])
        return Run(tuple(range(first, first + len(free)))), Run(free)

    def _free(self, operand: int) -> tuple[int, ...]:
        taken = {*self.contracted[operand], *self.batched[operand]}
        return tuple(axis for axis in range(self.ranks[operand]) if axis not in taken)

    def emulated(self, lhs: Array, rhs: Array, config: QATConfig, seed: Array) -> Array:
        """Return the product as the unit of `config` computes it, batch by batch."""
        batches = [lhs.shape[axis] for axis in self.batched[0]]
        rows = [lhs.shape[axis] for axis in self._free(0)]
        columns = [rhs.shape[axis] for axis in self._free(1)]
        length = math.prod(lhs.shape[axis] for axis in self.contracted[0])
        left = operand(lhs, config, Slot.ACT, seed).moved(
            lambda array: array.transpose(*self.batched[0], *self._free(0), *self.contracted[0]).reshape(
                *batches, math.prod(rows), length
            )
        )
        right = operand(rhs, config, Slot.WEIGHT, seed).moved(
            lambda array: array.transpose(*self.batched[1], *self.contracted[1], *self._free(1)).reshape(
                *batches, length, math.prod(columns)
            )
        )
        dtype = dict(self.options).get("preferred_element_type") or self.dtype or jnp.result_type(lhs, rhs)
        return emulated.matmul(left, right, config).reshape(*batches, *rows, *columns).astype(dtype)


@dataclass(frozen=True)
class QuantizedDotGeneral:
    """`jax.lax.dot_general` of quantised operands, as a value: equal ones compile once."""

    config: QATConfig
    dtype: Any = None

    def __call__(
        self,
        lhs: ArrayLike,
        rhs: ArrayLike,
        dimension_numbers: DimensionNumbers,
        precision: Any = None,
        preferred_element_type: Any = None,
        *,
        out_sharding: Any = None,
        step: ArrayLike = 0,
    ) -> Array:
        """Return the product; parameters are those of `jax.lax.dot_general`, and a step (spec 14.13)."""
        activation, weight = floats(lhs), floats(rhs)
        contracted, batched = dimension_numbers
        product = DotProduct(
            _counted(contracted, activation, weight),
            _counted(batched, activation, weight),
            (activation.ndim, weight.ndim),
            given_options(
                precision=precision, preferred_element_type=preferred_element_type, out_sharding=out_sharding
            ),
            self.dtype,
        )
        if not product.contracted[0]:
            raise DataError(
                "operand-shape",
                "a product must have an axis that is summed, for blocks to run along (spec 14.8), "
                f"got dimension_numbers {dimension_numbers}",
            )
        return multiplied(product, self.config, activation, weight, key_of(self.config.layer_seed, step))


def dot_general(config: QATConfig | None = None, *, dtype: Any = None, **fields: Any) -> QuantizedDotGeneral:
    """Return a function that models take in place of `jax.lax.dot_general`.

    Blocks run along the contracted axis of each operand; several contracted axes count as one, flattened
    in their order. The first operand is the activation, the second the weight, as in every layer of Flax.

    Parameters
    ----------
    config : QATConfig, optional
        What is quantised, and how; a keyword is a field of it.
    dtype : dtype, optional
        What operands are cast to after they were quantised, where no layer casts them before.

    Returns
    -------
    callable
        ``f(lhs, rhs, dimension_numbers, precision=None, preferred_element_type=None, *, step=0)``.
        Layers cast their parameters before they call it; `BFPDense` quantises before that.

    Raises
    ------
    SpecError
        As `QATConfig`.
    DataTypeError, DataError
        When called: ``data-type``; ``operand-shape`` without a contracted axis; ``shard``.

    Examples
    --------
    >>> import flax.linen as nn
    >>> layer = nn.Dense(4, dot_general=dot_general(weight_format="bfp4", act_format="bfp8"))
    """
    return QuantizedDotGeneral(check_bare(as_config(config, fields)), dtype)


def _counted(
    axes: tuple[Sequence[int], Sequence[int]], lhs: Array, rhs: Array
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return axes of both operands, counted from the front."""
    of_lhs, of_rhs = axes
    return tuple(int(axis) % lhs.ndim for axis in of_lhs), tuple(int(axis) % rhs.ndim for axis in of_rhs)
