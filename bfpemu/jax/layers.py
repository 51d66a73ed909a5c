"""What the layers of both Flax interfaces have in common."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from bfpemu.arithmetic.operations import UnitLike
from bfpemu.catalog import FormatLike
from bfpemu.jax.configuration import QATConfig


def layer_config(
    weight_format: FormatLike | None,
    act_format: FormatLike | None,
    quantize_input: bool,
    grad_format: FormatLike | None,
    accumulator: UnitLike | None,
    rounding: str | None,
    seed: int,
    ste: str,
) -> QATConfig:
    """Return the configuration that the arguments of a layer stand for, named as on the public page."""
    act = weight_format if act_format is None else act_format
    return QATConfig(
        weight=weight_format,
        act=act if quantize_input else None,
        gradient=grad_format,
        accumulator=accumulator,
        rounding=rounding,
        seed=seed,
        ste=ste,
    )


def unpromoted(*operands: Array | None, dtype: Any = None, inexact: bool = True) -> list[Array | None]:
    """Return inputs and kernel as they are, to be quantised before they are cast; the bias in the dtype of results.

    It has the signature of `flax.linen.dtypes.promote_dtype`, which it replaces.
    """
    inputs, kernel, bias = operands
    assert inputs is not None
    assert kernel is not None
    found = jnp.result_type(inputs, kernel) if dtype is None else dtype
    return [inputs, kernel, None if bias is None else bias.astype(found)]
