"""`conv_general_dilated`: a quantised convolution that models take in place of JAX's (spec 6.14, 14.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from bfpemu.adapters.configuration import QATConfig, Slot, as_config
from bfpemu.adapters.emulated import Geometry
from bfpemu.errors import DataError
from bfpemu.jax.emulated_conv import conv2d
from bfpemu.jax.products import Run, cast, check_bare, given_options, multiplied, operand
from bfpemu.jax.quantize import floats, key_of

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Convolution:
    """A `jax.lax.conv_general_dilated` with its arguments; the first operand is the activation."""

    strides: tuple[int, ...]
    padding: Pairs
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    numbers: lax.ConvDimensionNumbers
    groups: int
    options: tuple[tuple[str, Any], ...] = ()
    dtype: Any = None
    """What quantised operands are cast to; None is what JAX promotes them to."""

    def __call__(self, lhs: Array, rhs: Array) -> Array:
        """Return the convolution in floating point."""
        return lax.conv_general_dilated(
            *cast(lhs, rhs, self.dtype),
            self.strides,
            self.padding,
            self.lhs_dilation,
            self.rhs_dilation,
            self.numbers,
            self.groups,
            **dict(self.options),
        )

    @property
    def sums(self) -> tuple[Run, Run]:
        """The input channels of a group: a block lies within one place of the kernel."""
        return self._of_lhs(1, self.groups), self._of_rhs(1)

    @property
    def outputs(self) -> tuple[Run, Run]:
        """The output channels of a group."""
        return self._of_out(1, self.groups), self._of_rhs(0, self.groups)

    @property
    def rows(self) -> tuple[Run, Run]:
        """The images: along height and width the operands are shifted against each other."""
        return self._of_out(0), self._of_lhs(0)

    def _of_lhs(self, place: int, groups: int = 1) -> Run:
        """Return a run of images along one of (image, channel, ...); words count channels last (spec 14.13)."""
        image, channel, *places = self.numbers.lhs_spec
        return Run((self.numbers.lhs_spec[place],), groups, (image, *places, channel))

    def _of_out(self, place: int, groups: int = 1) -> Run:
        image, channel, *places = self.numbers.out_spec
        return Run((self.numbers.out_spec[place],), groups, (image, *places, channel))

    def _of_rhs(self, place: int, groups: int = 1) -> Run:
        """Return a run of kernels along one of (output, input, ...); words count outputs last (spec 14.13)."""
        outputs, inputs, *places = self.numbers.rhs_spec
        return Run((self.numbers.rhs_spec[place],), groups, (*places, inputs, outputs))

    def emulated(self, lhs: Array, rhs: Array, config: QATConfig, seed: Array) -> Array:
        """Return the convolution as the unit of `config` computes it."""
        channels_first = (
            operand(lhs, config, Slot.ACT, seed, self.sums[0].order).moved(
                lambda array: array.transpose(self.numbers.lhs_spec)
            ),
            operand(rhs, config, Slot.WEIGHT, seed, self.sums[1].order).moved(
                lambda array: array.transpose(self.numbers.rhs_spec)
            ),
        )
        if len(self.strides) != 2 or set(self.lhs_dilation) != {1} or min(map(min, self.padding)) < 0:
            raise DataError(
                "convolution",
                "an emulated convolution must have two axes in space, lhs_dilation 1 and padding from 0 (spec 6.14), "
                f"got {len(self.strides)} axes, lhs_dilation {self.lhs_dilation} and padding {self.padding}",
            )
        dtype = dict(self.options).get("preferred_element_type") or self.dtype or jnp.result_type(lhs, rhs)
        geometry = Geometry(self.strides, self.padding, self.rhs_dilation, self.groups)
        found = conv2d(geometry, *channels_first, config)
        return found.transpose(np.argsort(self.numbers.out_spec).tolist()).astype(dtype)


@dataclass(frozen=True)
class QuantizedConvGeneralDilated:
    """`jax.lax.conv_general_dilated` of quantised operands, as a value: equal ones compile once."""

    config: QATConfig
    dtype: Any = None

    def __call__(
        self,
        lhs: ArrayLike,
        rhs: ArrayLike,
        window_strides: Sequence[int],
        padding: str | Sequence[tuple[int, int]],
        lhs_dilation: Sequence[int] | None = None,
        rhs_dilation: Sequence[int] | None = None,
        dimension_numbers: Any = None,
        feature_group_count: int = 1,
        batch_group_count: int = 1,
        precision: Any = None,
        preferred_element_type: Any = None,
        *,
        out_sharding: Any = None,
        step: ArrayLike = 0,
    ) -> Array:
        """Return the convolution; parameters are those of `jax.lax.conv_general_dilated`, and a step (spec 14.13)."""
        images, kernels = floats(lhs), floats(rhs)
        if batch_group_count != 1:
            raise DataError("convolution", f"batch_group_count must be 1 (spec 14.8), got {batch_group_count}")
        numbers = lax.conv_dimension_numbers(images.shape, kernels.shape, dimension_numbers)
        places = len(numbers.lhs_spec) - 2
        strides = _all(window_strides, places)
        expanded, dilation = _all(lhs_dilation, places), _all(rhs_dilation, places)
        product = Convolution(
            strides,
            _pairs(padding, images, kernels, numbers, strides, expanded, dilation),
            expanded,
            dilation,
            numbers,
            feature_group_count,
            given_options(
                precision=precision, preferred_element_type=preferred_element_type, out_sharding=out_sharding
            ),
            self.dtype,
        )
        return multiplied(product, self.config, images, kernels, key_of(self.config.layer_seed, step))


def conv_general_dilated(
    config: QATConfig | None = None, *, dtype: Any = None, **fields: Any
) -> QuantizedConvGeneralDilated:
    """Return a function that models take in place of `jax.lax.conv_general_dilated`.

    Blocks run along the input channels of a group, within one place of the kernel. The first operand is
    the activation, the second the weight.

    Parameters
    ----------
    config : QATConfig, optional
        What is quantised, and how; a keyword is a field of it.
    dtype : dtype, optional
        As for `dot_general`.

    Returns
    -------
    callable
        With the parameters of `jax.lax.conv_general_dilated`, and `step`, which stochastic rounding counts.

    Raises
    ------
    SpecError
        As `QATConfig`.
    DataTypeError, DataError
        When called: ``data-type``, ``shard``; ``convolution`` for groups of images, and with an accumulator
        for other than two axes in space, divided inputs or negative padding.

    Examples
    --------
    >>> import flax.linen as nn
    >>> layer = nn.Conv(8, (3, 3), conv_general_dilated=conv_general_dilated(weight_format="bfp4"))
    """
    return QuantizedConvGeneralDilated(check_bare(as_config(config, fields)), dtype)


def _all(values: Sequence[int] | None, places: int) -> tuple[int, ...]:
    return (1,) * places if values is None else tuple(int(value) for value in values)


def _pairs(
    padding: str | Sequence[tuple[int, int]],
    images: Array,
    kernels: Array,
    numbers: lax.ConvDimensionNumbers,
    strides: tuple[int, ...],
    expanded: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pairs:
    """Return the padding on both sides of each axis in space."""
    if not isinstance(padding, str):
        return tuple((int(low), int(high)) for low, high in padding)
    of_image = [(images.shape[axis] - 1) * step + 1 for axis, step in zip(numbers.lhs_spec[2:], expanded, strict=True)]
    of_kernel = [
        (kernels.shape[axis] - 1) * step + 1 for axis, step in zip(numbers.rhs_spec[2:], dilation, strict=True)
    ]
    return tuple(lax.padtype_to_pads(of_image, of_kernel, strides, padding))
