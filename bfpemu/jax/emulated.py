"""The forward pass through a dot-product unit: bit for bit, in float32 where that is proven (spec 6).

What `exactness` cannot prove for the data at hand goes to the package's kernels, by a callback to the
host. The callback is pure integer work: nothing in it depends on how XLA's threads treat subnormals.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from bfpemu.adapters.configuration import QATConfig
from bfpemu.adapters.emulated import AnyArray, emulator_of
from bfpemu.errors import DataError, DataTypeError
from bfpemu.formats.unit import DotProductUnit, FloatFormat
from bfpemu.jax.exactness import Plan, Way, holds, plan
from bfpemu.jax.products import Operand
from bfpemu.jax.sharding import is_divided

_PIECE_BYTES = 96 << 10
"""XLA's runtime copies what has less than 100 KiB at once, the rest on threads of its own."""
_MOST_PIECES = 1 << 9


def matmul(lhs: Operand, rhs: Operand, config: QATConfig) -> Array:
    """Return what the unit of `config` computes of activations (..., M, K) and weights (..., K, N)."""
    of_unit = emulator_of(config)
    a, b = lhs.values, rhs.values
    shape = (*jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    found = result_of(of_unit.unit, shape)
    lhs.check(of_unit.act, -1, config)
    rhs.check(of_unit.weight, -2, config)

    def on_host() -> Array:
        return called_back(of_unit.matmul, found, lhs, rhs)

    way = plan(of_unit.unit, of_unit.act.format, of_unit.weight.format, a.shape[-1])
    if is_unproven(way, lhs, rhs):
        return on_host()
    left, right = lhs.quantized(of_unit.act, -1, config), rhs.quantized(of_unit.weight, -2, config)
    return proven_or(way, left, right, lambda found: found, on_host)


def is_unproven(way: Plan, lhs: Operand, rhs: Operand) -> bool:
    """Return whether float32 is out of the question, whatever the data.

    Between devices, whose data may answer differently, nothing can be chosen.
    """
    operands = (lhs.values, rhs.values)
    return way.way is Way.NONE or any(x.dtype == jnp.float64 or is_divided(x) for x in operands)


def proven_or(
    way: Plan, left: Array, right: Array, shaped: Callable[[Array], Array], on_host: Callable[[], Array]
) -> Array:
    """Return a product of quantised operands in float32 where that has the unit's bits, else what the host computes."""
    left, right = left.astype(jnp.float32), right.astype(jnp.float32)
    found: Array = lax.cond(holds(way, left, right), lambda: shaped(in_float32(way, left, right)), on_host)
    return found


def result_of(unit: DotProductUnit, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    """Return the shape, and the dtype that holds what a unit gives.

    Raises
    ------
    DataTypeError
        ``data-type``, where that is float64 and JAX has none.
    """
    output = unit.output
    if not isinstance(output, FloatFormat) or (output.exponent_bits <= 8 and output.fraction_bits <= 23):
        return jax.ShapeDtypeStruct(shape, jnp.float32)  # type: ignore[no-untyped-call]
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise DataTypeError(
            "data-type",
            f"the results of the unit must fit float32 (spec 6.8), got {output.exponent_bits} exponent bits and "
            f"{output.fraction_bits} fraction bits; switch jax_enable_x64 on",
        )
    return jax.ShapeDtypeStruct(shape, jnp.float64)  # type: ignore[no-untyped-call]


def in_float32(way: Plan, lhs: Array, rhs: Array) -> Array:
    """Return the product of quantised operands in float32, where `holds` said that it has the unit's bits."""
    if way.way is Way.ANY_ORDER:
        found = jnp.matmul(lhs, rhs, precision="highest")
        bits = lax.bitcast_convert_type(found, jnp.int32)
        return lax.bitcast_convert_type(jnp.where(bits == -(1 << 31), 0, bits), jnp.float32)
    padding = -way.length % way.group
    groups = (way.length + padding) // way.group
    left = jnp.pad(lhs, [(0, 0)] * (lhs.ndim - 1) + [(0, padding)])
    right = jnp.pad(rhs, [(0, 0)] * (rhs.ndim - 2) + [(0, padding), (0, 0)])
    left = jnp.moveaxis(left.reshape(*left.shape[:-1], groups, way.group), -2, 0)
    right = jnp.moveaxis(right.reshape(*right.shape[:-2], groups, way.group, right.shape[-1]), -3, 0)

    def added(total: Array, group: tuple[Array, Array]) -> tuple[Array, None]:
        # The barrier keeps the compiler from starting the group's sum from the total.
        group_sum = lax.optimization_barrier(jnp.matmul(*group, precision="highest"))  # type: ignore[no-untyped-call]
        return total + group_sum, None

    leading = jnp.broadcast_shapes(lhs.shape[:-2], rhs.shape[:-2])
    start = jnp.zeros((*leading, lhs.shape[-2], rhs.shape[-1]), jnp.float32)
    total: Array = lax.scan(added, start, (left, right))[0]
    return total


def called_back(compute: Callable[..., AnyArray], found: jax.ShapeDtypeStruct, lhs: Operand, rhs: Operand) -> Array:
    """Return what `compute` makes of the operands, and of their words, as NumPy arrays on the host.

    The runtime copies large operands of a callback on its own threads, and the callback waits for them. Where
    it runs on the last of these threads, as on a machine with one core, it would wait for ever. So operands
    go in pieces that are copied at once.
    """
    given = (lhs.values, rhs.values, lhs.words, rhs.words)
    pieces = [[] if operand is None else _pieces(operand) for operand in given]

    def on_host(*arrays: Any) -> AnyArray:
        left, numpy = list(map(np.asarray, arrays)), []
        for operand, parts in zip(given, pieces, strict=True):
            own, left = left[: len(parts)], left[len(parts) :]
            numpy.append(None if operand is None else np.concatenate(own).reshape(operand.shape))
        return compute(*numpy).astype(found.dtype)

    result: Array = jax.pure_callback(on_host, found, *chain(*pieces), vmap_method="sequential")
    return result


def _pieces(operand: Array) -> list[Array]:
    """Return an operand in small pieces of one axis.

    Raises
    ------
    DataError
        ``operand-shape``, for more of them than a program should have.
    """
    count = -(-operand.nbytes // _PIECE_BYTES) or 1
    if count > _MOST_PIECES:
        raise DataError(
            "operand-shape",
            f"an operand of a unit that is computed on the host must have at most {_MOST_PIECES * _PIECE_BYTES >> 20} "
            f"MiB (spec 14.11), got {operand.nbytes >> 20}; divide the product, or use bfpemu.matmul",
        )
    return jnp.array_split(operand.reshape(-1), count)
