"""How functions of this package are called from traced code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import tensorflow as tf

from bfpemu.errors import BfpError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def entry(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return a function that AutoGraph leaves alone, and whose errors arrive as they were raised.

    AutoGraph and Keras put errors of their own in the place of errors that they cannot make anew from a
    message; both pass on an error that carries their mark.
    """

    @functools.wraps(function)
    def called(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except BfpError as error:
            for mark in ("ag_pass_through", "_keras_call_info_injected"):
                setattr(error, mark, True)
            raise

    untouched: Callable[Parameters, Result] = tf.autograph.experimental.do_not_convert(called)
    return untouched
