"""The forward pass through a dot-product unit: bit for bit, in float32 where that is proven (spec 6).

What `exactness` cannot prove for the data at hand goes to the package's kernels, by a callback to the
host. The callback is pure integer work: nothing in it depends on how XLA's threads treat subnormals.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, lax

from bfpemu.arithmetic.unit import DotProductUnit
from bfpemu.errors import DataError, DataTypeError
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit import FloatFormat
from bfpemu.formats.unit_operands import check_operand_formats, is_same_format
from bfpemu.jax.configuration import QATConfig
from bfpemu.jax.exactness import Plan, Way, holds, plan
from bfpemu.jax.products import Operand
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]


def matmul(lhs: Operand, rhs: Operand, config: QATConfig) -> Array:
    """Return what the unit of `config` computes of activations (..., M, K) and weights (..., K, N)."""
    unit, act, weight = checked(config)
    a, b = lhs.values, rhs.values
    shape = (*jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    found = result_of(unit, shape)

    def on_host() -> Array:
        return called_back(partial(_matmul_on_host, unit, act, weight), found, lhs, rhs)

    way = plan(unit, act.format, weight.format, a.shape[-1])
    if is_unproven(way, lhs, rhs):
        return on_host()
    left, right = lhs.quantized(act, -1, config), rhs.quantized(weight, -2, config)
    return proven_or(way, left, right, lambda found: found, on_host)


def is_unproven(way: Plan, lhs: Operand, rhs: Operand) -> bool:
    """Return whether float32 is out of the question, whatever the data."""
    return way.way is Way.NONE or jnp.float64 in (lhs.values.dtype, rhs.values.dtype)


def proven_or(
    way: Plan, left: Array, right: Array, shaped: Callable[[Array], Array], on_host: Callable[[], Array]
) -> Array:
    """Return a product of quantised operands in float32 where that has the unit's bits, else what the host computes."""
    left, right = left.astype(jnp.float32), right.astype(jnp.float32)
    found: Array = lax.cond(holds(way, left, right), lambda: shaped(in_float32(way, left, right)), on_host)
    return found


def checked(config: QATConfig) -> tuple[DotProductUnit, Preset, Preset]:
    """Return unit and formats of a configuration that has them, when they fit each other.

    Raises
    ------
    SpecError
        ``unit``.
    DataError
        ``operand-format``.
    """
    unit, act, weight = config.accumulator, config.act, config.weight
    assert isinstance(unit, DotProductUnit)
    assert isinstance(act, Preset)
    assert isinstance(weight, Preset)
    check_operand_formats(unit, act.format, weight.format)
    for name, preset, wanted in (("act", act, unit.a_format), ("weight", weight, unit.b_format)):
        if wanted is not None and not is_same_format(wanted, preset.format):
            raise DataError(
                "operand-format",
                f"{name} must have the format {wanted.name!r} of the unit (spec 6.13), got {preset.format.name!r}",
            )
    return unit, act, weight


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
    """Return what `compute` makes of the operands, and of their words, as NumPy arrays on the host."""
    given = (lhs.values, rhs.values, lhs.words, rhs.words)

    def on_host(*arrays: Any) -> AnyArray:
        present = iter(arrays)
        numpy = [None if operand is None else np.asarray(next(present)) for operand in given]
        return compute(*numpy).astype(found.dtype)

    present = [operand for operand in given if operand is not None]
    result: Array = jax.pure_callback(on_host, found, *present, vmap_method="sequential")
    return result


def encoded(values: AnyArray, preset: Preset, axis: int, words: AnyArray | None) -> BFPTensor:
    """Return an operand as codes; random words are unsigned here."""
    return BFPTensor(values, preset, axis=axis, random_words=None if words is None else words.view(np.uint32))


def _matmul_on_host(
    unit: DotProductUnit,
    act: Preset,
    weight: Preset,
    lhs: AnyArray,
    rhs: AnyArray,
    lhs_words: AnyArray | None,
    rhs_words: AnyArray | None,
) -> AnyArray:
    return as_array(unit.matmul(encoded(lhs, act, -1, lhs_words), encoded(rhs, weight, -2, rhs_words)))


def as_array(result: AnyArray | BFPTensor) -> AnyArray:
    """Return the numbers that a unit gave."""
    return result.dequantize() if isinstance(result, BFPTensor) else result
