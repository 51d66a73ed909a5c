"""The fake quantiser of TensorFlow, with its gradient (spec 14.1, 14.7)."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import tensorflow as tf

from bfpemu.adapters.configuration import Estimator, estimator
from bfpemu.bitwise import fake_quantize, make_plan, random_words, saturates
from bfpemu.bitwise.operations import Array
from bfpemu.bitwise.random_words import checked_seed
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import DataError, DataTypeError
from bfpemu.formats import Conversion
from bfpemu.formats.preset import Preset
from bfpemu.tensorflow.entry import entry
from bfpemu.tensorflow.operations import TensorflowOperations

DO = TensorflowOperations()


@entry
def bfp_quantize(
    data: Any,
    format: FormatLike = "bfp8",
    axis: int | None = -1,
    *,
    conversion: Conversion | None = None,
    rounding: str | None = None,
    ste: str = "identity",
    seed: int | Any = None,
    exponents: Any = None,
) -> Any:
    """Return a tensor rounded to a format, with a straight-through gradient (spec 14.1, 14.7).

    Parameters
    ----------
    data : tensor, variable or array of float64, float32, float16 or bfloat16
        Its rank and the lengths of blocked axes must be known while a function is traced.
    format, conversion, rounding
        As for `bfpemu.bfp_quantize`.
    axis : int or None
        The axis that blocks run along; None flattens.
    ste : "identity" or "clip"
        With "clip" no gradient passes where an element saturates.
    seed : int from 0 to 2**32 - 1, or an int32 tensor of one element, optional
        For stochastic rounding, and only for it (spec 14.6). A tensor may change without a new trace.
    exponents : integer tensor, optional
        For the rule `given` (spec 3.5).

    Returns
    -------
    tensor
        Shape and dtype of `data`.

    Raises
    ------
    SpecError
        ``unknown-format``, ``adapter-format`` or the code of a field.
    DataTypeError
        ``data-type``.
    DataError
        ``axis``, ``random-words`` or ``exponent-given``.

    Examples
    --------
    >>> bfp_quantize(tf.constant([1.0, 0.3]), (4, 32)).numpy().tolist()
    [1.0, 0.25]
    """
    return straight_through(
        as_tensor(data), resolve(format, conversion, rounding), axis, estimator(ste), seed=seed, exponents=exponents
    )


def straight_through(
    values: Array,
    preset: Preset,
    axis: int | None,
    ste: Estimator = Estimator.IDENTITY,
    *,
    seed: Any = None,
    exponents: Any = None,
) -> Array:
    """Return what `bfp_quantize` returns, from arguments that are resolved."""
    make_plan(preset, DO.dtype_name(values), DO.lanes)  # before a seed is looked at
    given = None if exponents is None else tf.convert_to_tensor(exponents)
    words = _words(values, seed)

    def quantized(x: Array) -> Any:
        def pulled_back(upstream: Array) -> Array:
            if ste is Estimator.IDENTITY:
                return upstream
            outside = saturates(DO, x, preset, axis, exponents=given, random_words=words)
            return tf.where(outside, tf.zeros_like(upstream), upstream)

        return fake_quantize(DO, x, preset, axis, exponents=given, random_words=words), pulled_back

    return tf.custom_gradient(quantized)(values)


def as_tensor(data: Any) -> Array:
    """Return data as a tensor of known rank; variables are read, those of Keras too.

    Raises
    ------
    DataTypeError
        ``data-type``, for what TensorFlow makes no tensor of.
    DataError
        ``axis``, for an unknown rank.
    """
    try:
        values = tf.convert_to_tensor(data)
    except (TypeError, ValueError) as error:
        raise DataTypeError(
            "data-type", f"data must be a tensor of numbers (spec 14.1), got a {type(data).__name__}: {error}"
        ) from error
    if values.shape.rank is None:
        raise DataError(
            "axis",
            "a tensor must have a number of axes that is known while tracing (spec 14.4), got an unknown rank; "
            "give it one by an input_signature or tf.ensure_shape",
        )
    return values


def _words(values: Array, seed: Any) -> Array | None:
    """Return the random words of a tensor, or None without a seed (spec 14.6)."""
    if seed is None:
        return None
    if isinstance(seed, Integral):
        return random_words(DO, values, checked_seed(seed))
    found = tf.convert_to_tensor(seed)
    if found.dtype not in (tf.int32, tf.uint32) or found.shape.num_elements() != 1:
        raise DataError(
            "random-words",
            f"seed must be an integer or an int32 tensor of one element (spec 14.6), got {found.dtype.name} "
            f"of shape {found.shape}",
        )
    return random_words(DO, values, tf.reshape(tf.bitcast(found, tf.int32), [1] * max(values.shape.rank, 1)))
