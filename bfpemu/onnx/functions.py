"""The fake quantiser as a function of a model: its name for those who know it, its body for all others (spec 16.4)."""

from __future__ import annotations

import re

from onnx import FunctionProto, NodeProto, helper

from bfpemu.bitwise import fake_quantize, random_words
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import SpecError
from bfpemu.formats import ExponentRule
from bfpemu.formats.preset import Preset
from bfpemu.onnx.graph import GraphBuilder, Length
from bfpemu.onnx.operations import FLOATS, GraphOperations
from bfpemu.onnx.text import described

DOMAIN = "com.bfpemu"
"""Of the functions, and of the nodes that call them."""
DOMAIN_VERSION = 1
OPSET, IR_VERSION = 26, 13
"""Of the operators: the first with `BitCast`, and the first version of files that has them."""


def quantizer_function(
    format: FormatLike,
    shape: tuple[Length, ...],
    axis: int | None = -1,
    *,
    dtype: str = "float32",
    rounding: str | None = None,
    seed: int | None = None,
    name: str | None = None,
) -> FunctionProto:
    """Return the fake quantiser of spec 14.1 as a function of one input and one output.

    Parameters
    ----------
    format : str, tuple, BFPSpec or Preset
        As for `bfpemu.BFPTensor`.
    shape : tuple of int or None
        Lengths of the input's axes; None for one that is not known and not blocked.
    axis : int or None
        The axis that blocks run along; None flattens (spec 4.3).
    dtype : {"float32", "float64", "float16", "bfloat16"}
    rounding : str, optional
        Replaces the rounding of the format.
    seed : int, optional
        For stochastic rounding: 0 to 2**32 - 1. Every run draws the same words (spec 14.6).
    name : str, optional
        Of the function; made of the other parameters unless given.

    Raises
    ------
    SpecError
        ``unknown-format``, the codes of a format's fields, ``adapter-format``; ``onnx``, for the rule `given`.
    DataTypeError
        ``data-type``.
    DataError
        ``axis`` or ``random-words``.

    Examples
    --------
    >>> found = quantizer_function("bfp8", (None, 70))
    >>> found.domain, found.name, len(found.node) > 100
    ('com.bfpemu', 'quantize_bfp8_axis1_of_Nx70_float32', True)
    """
    preset = resolve(format, rounding=rounding)
    check_preset(preset)
    graph, operations = GraphBuilder(), GraphOperations()
    values = graph.value("x", FLOATS.get(dtype, 0), shape)
    words = None if seed is None else random_words(operations, values, seed)
    found = fake_quantize(operations, values, preset, axis, random_words=words)
    nodes = [*graph.nodes, helper.make_node("Identity", [found.name], ["y"])]
    name = name or function_name(preset, shape, axis, dtype)
    function = helper.make_function(DOMAIN, name, ["x"], ["y"], nodes, [helper.make_opsetid("", OPSET)])
    for key, text in described(preset, axis).items():
        function.metadata_props.add(key=key, value=text)
    return function


def call(function: FunctionProto, x: str, y: str) -> NodeProto:
    """Return the node that calls a function."""
    return helper.make_node(function.name, [x], [y], domain=function.domain, name=y)


def function_name(preset: Preset, shape: tuple[Length, ...], axis: int | None, dtype: str) -> str:
    """Return what tells the functions of one model apart for a reader; two formats may have one name."""
    lengths = "x".join("N" if length is None else str(length) for length in shape) or "scalar"
    place = "flat" if axis is None or not shape else f"axis{axis % len(shape)}"
    return f"quantize_{re.sub(r'[^0-9A-Za-z_]', '_', preset.name)}_{place}_of_{lengths}_{dtype}"


def check_preset(preset: Preset) -> None:
    """Refuse a conversion that needs exponents, for which a function has no input.

    Raises
    ------
    SpecError
        ``onnx``.
    """
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        raise SpecError(
            "onnx",
            f"a function must find its own exponents (spec 16.4), got the rule 'given' of {preset.name!r}; "
            "export a BFPTensor, which has its exponents",
        )
