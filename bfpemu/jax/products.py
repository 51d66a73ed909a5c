"""Products of quantised operands, and what their backward passes quantise (spec 14.8).

The forward pass multiplies quantised operands. With a format for gradients the backward pass
quantises the gradient and the *original* operands again, each along the axis that its own product
sums; without one it multiplies the gradient as it is by the operands of the forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from bfpemu.adapters.configuration import Estimator, QATConfig, Slot
from bfpemu.adapters.seeds import is_stochastic
from bfpemu.errors import SpecError
from bfpemu.formats.preset import Preset
from bfpemu.jax.quantize import key_of, straight_through, words_of
from bfpemu.jax.sharding import check_shards, divided_like


class Operand(NamedTuple):
    """An array, and random words for its elements where its conversion rounds with them."""

    values: Array
    words: Array | None

    def moved(self, move: Callable[[Array], Array]) -> Operand:
        """Return the same elements, and their words, in another shape."""
        return Operand(move(self.values), None if self.words is None else move(self.words))

    def check(self, preset: Preset, axis: int, config: QATConfig) -> None:
        """Refuse a shard whose blocks or words would not be those of the whole array."""
        check_shards(self.values, preset.format, axis, whole_axis=config.whole_axis, words=self.words)

    def quantized(self, preset: Preset, axis: int, config: QATConfig) -> Array:
        """Return the array in a format, with straight-through gradient."""
        self.check(preset, axis, config)
        return straight_through(self.values, preset, axis, Estimator(config.ste), self.words)


def operand(x: Array, config: QATConfig, slot: int, seed: Array, order: tuple[int, ...] | None = None) -> Operand:
    """Return an array with the random words of its slot.

    They follow from positions in the array as it is here, or with its axes in an order (spec 14.13).
    """
    if not is_stochastic(config.format_of(slot)):
        return Operand(x, None)
    key = key_of(seed, slot)
    if order is None:
        return Operand(x, words_of(x, key))
    return Operand(x, words_of(x.transpose(order), key).transpose([order.index(axis) for axis in range(x.ndim)]))


@dataclass(frozen=True, slots=True)
class Run:
    """What blocks of an operand run along: axes, flattened in this order, in `groups` runs of equal length."""

    axes: tuple[int, ...]
    groups: int = 1
    order: tuple[int, ...] | None = None
    """All axes in the order in which random words are drawn, if another than theirs."""

    def quantized(self, x: Array, config: QATConfig, slot: int, seed: Array) -> Array:
        """Return `x` in the format of a slot, with straight-through gradient; `x` itself without a format."""
        preset = config.format_of(slot)
        if preset is None:
            return x
        found = operand(x, config, slot, seed, self.order)
        if len(self.axes) == 1 and self.groups == 1:
            return found.quantized(preset, self.axes[0], config)
        last = range(-len(self.axes), 0)
        moved = jnp.moveaxis(x, self.axes, last).shape
        lead = moved[: len(moved) - len(self.axes)]
        length = math.prod(moved[len(lead) :])
        runs = found.moved(
            lambda array: jnp.moveaxis(array, self.axes, last).reshape(*lead, self.groups, length // self.groups)
        )
        return jnp.moveaxis(runs.quantized(preset, -1, config).reshape(moved), last, self.axes)


class Product(Protocol):
    """A product of an activation and a weight, as a hashable value."""

    def __call__(self, lhs: Array, rhs: Array) -> Array:
        """Return the product in floating point."""

    def emulated(self, lhs: Array, rhs: Array, config: QATConfig, seed: Array) -> Array:
        """Return the product as the unit of `config` computes it."""

    @property
    def sums(self) -> tuple[Run, Run]:
        """What the product sums, in both operands."""

    @property
    def outputs(self) -> tuple[Run, Run]:
        """What the gradient of the activation sums, in the gradient of the product and in the weight."""

    @property
    def rows(self) -> tuple[Run, Run]:
        """What the gradient of the weight sums, in the gradient of the product and in the activation."""


def multiplied(product: Product, config: QATConfig, lhs: Array, rhs: Array, seed: Array) -> Array:
    """Return a product with the operands, the unit and the backward pass of `config`."""
    if config.accumulator is None and config.grad_format is None:
        return _forward(product, config, lhs, rhs, seed)
    return _with_own_gradient(product, config, lhs, rhs, seed)


def _forward(product: Product, config: QATConfig, lhs: Array, rhs: Array, seed: Array) -> Array:
    of_lhs, of_rhs = product.sums
    return product(of_lhs.quantized(lhs, config, Slot.ACT, seed), of_rhs.quantized(rhs, config, Slot.WEIGHT, seed))


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _with_own_gradient(product: Product, config: QATConfig, lhs: Array, rhs: Array, seed: Array) -> Array:
    if config.accumulator is None:
        return _forward(product, config, lhs, rhs, seed)
    return product.emulated(lhs, rhs, config, seed)


def _saved(
    product: Product, config: QATConfig, lhs: Array, rhs: Array, seed: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    # The function itself, not what it computes with: its derivative has a derivative, too.
    return _with_own_gradient(product, config, lhs, rhs, seed), (lhs, rhs, seed)


def _backward(
    product: Product, config: QATConfig, saved: tuple[Array, Array, Array], gradient: Array
) -> tuple[Array, Array, None]:
    lhs, rhs, seed = saved
    forward, pull = jax.vjp(lambda x, w: _forward(product, config, x, w, seed), lhs, rhs)
    if config.grad_format is None:
        return (*pull(divided_like(gradient.astype(forward.dtype), forward)), None)
    (of_gradient, of_rhs), (of_gradient_too, of_lhs) = product.outputs, product.rows
    weight = of_rhs.quantized(rhs, config, Slot.DX_WEIGHT, seed)
    act = of_lhs.quantized(lhs, config, Slot.DW_ACT, seed)
    (to_lhs,) = jax.linear_transpose(lambda x: product(x, weight), lhs)(
        of_gradient.quantized(gradient, config, Slot.DX_GRADIENT, seed)
    )
    (to_rhs,) = jax.linear_transpose(lambda w: product(act, w), rhs)(
        of_gradient_too.quantized(gradient, config, Slot.DW_GRADIENT, seed)
    )
    return (
        _straight_through(product.sums[0], config, Slot.ACT, seed, lhs, to_lhs),
        _straight_through(product.sums[1], config, Slot.WEIGHT, seed, rhs, to_rhs),
        None,
    )


def _straight_through(run: Run, config: QATConfig, slot: int, seed: Array, x: Array, gradient: Array) -> Array:
    """Return the gradient of what was quantised in the forward pass: a mask where the ste clips."""
    found: Array = jax.vjp(lambda value: run.quantized(value, config, slot, seed), x)[1](gradient)[0]
    return found


_with_own_gradient.defvjp(_saved, _backward)


def check_bare(config: QATConfig) -> QATConfig:
    """Return a configuration that says nothing of a layer around the product.

    Raises
    ------
    SpecError
        ``layer-type``, with ``quantize_output`` or ``counts_nonfinite``.
    """
    if config.quantize_output or config.counts_nonfinite:
        name = "quantize_output" if config.quantize_output else "counts_nonfinite"
        raise SpecError(
            "layer-type",
            f"{name} needs a layer, since a product knows no bias and keeps no count (spec 14.8, 14.14), got it for a "
            "product alone; use BFPDense, BFPConv or quantize_model",
        )
    return config


def given_options(**options: object) -> tuple[tuple[str, object], ...]:
    """Return the options that were given, hashable; those that are None are left to JAX."""
    return tuple((name, value) for name, value in options.items() if value is not None)


def cast(lhs: Array, rhs: Array, dtype: DTypeLike | None) -> tuple[Array, Array]:
    """Return quantised operands in one dtype, by default what JAX promotes them to."""
    found = jnp.result_type(lhs, rhs) if dtype is None else dtype
    return lhs.astype(found), rhs.astype(found)
