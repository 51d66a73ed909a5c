"""Graphs of ONNX, run in onnxruntime: weights of codes and quantisers (spec 16.2 to 16.4)."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bfpemu import BFPTensor
from bfpemu.catalog import FormatLike, presets, resolve
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec, ExponentRule, NegativeZero
from bfpemu.onnx import quantizer_model, tensor_model, weight, with_functions
from bfpemu.onnx.operations import FLOATS
from tests.frameworks.contract import (
    CLOSE_ERRORS,
    DTYPES,
    OPTIONS,
    SEED_FORMATS,
    AnyArray,
    adversarial,
    array_of,
    assert_same_bits,
    close_errors,
    expected,
    specified_word,
    whole_numbers,
)
from tests.frameworks.onnx_session import run

pytestmark = pytest.mark.slow

SHAPES: list[tuple[tuple[int, ...], int | None]] = [
    ((71,), 0),
    ((5, 40), 0),
    ((5, 40), None),
    ((3, 37, 5), 1),
    ((2, 3, 33, 2), -2),
    ((7, 3), 1),
    ((), -1),
    ((0, 5), 1),
]
KEEPS_MINUS_ZERO = "minus zero, source chain"


def with_words(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of bfloat16, which NumPy cannot give to onnxruntime, with 16-bit integers at its ends."""
    graph = model.graph
    for end in (*graph.input, *graph.output):
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [f"{end.name}.float" if name == end.name else name for name in names]
        end.type.tensor_type.elem_type = TensorProto.UINT16
    for end in graph.input:
        graph.node.insert(0, helper.make_node("BitCast", [end.name], [f"{end.name}.float"], to=FLOATS["bfloat16"]))
    for end in graph.output:
        graph.node.append(helper.make_node("BitCast", [f"{end.name}.float"], [end.name], to=int(TensorProto.UINT16)))
    return model


def check_weight(tensor: BFPTensor, **options: bool) -> None:
    model = tensor_model({"w": tensor})
    if tensor.dtype.name != "bfloat16":
        assert_same_bits(run(model, **options), tensor.dequantize())
        return
    assert_same_bits(array_of(run(with_words(model), **options), "bfloat16"), tensor.dequantize())


# -------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("specials", [False, True], ids=["finite", "specials"])
@pytest.mark.parametrize("format", SEED_FORMATS)
def test_a_seed_format_is_integers_and_scales(format: str, specials: bool) -> None:
    check_weight(BFPTensor(adversarial("float32", specials), format))


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != KEEPS_MINUS_ZERO])
def test_an_option_is_integers_and_scales(option: str) -> None:
    check_weight(BFPTensor(adversarial("float32", specials=False), OPTIONS[option]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_has_the_dtype_of_its_tensor(dtype: str) -> None:
    check_weight(BFPTensor(adversarial(dtype, specials=True), "bfp8"))


@pytest.mark.parametrize("shape, axis", SHAPES)
def test_a_weight_is_blocked_along_any_axis(shape: tuple[int, ...], axis: int | None) -> None:
    values = np.resize(adversarial("float32", specials=False), shape)
    for format in ("bfp6", "mx6"):
        check_weight(BFPTensor(values, format, axis=axis))


@pytest.mark.parametrize(
    "format, kind",
    [("bfp16", "INT16"), ("bfp8", "INT8"), ("bfp6", "INT8"), ("bfp4", "INT4"), ("bfp3", "INT4"), ("bfp2", "INT2")],
)
def test_elements_have_the_narrowest_integers_that_hold_them(format: str, kind: str) -> None:
    elements, scales = weight(BFPTensor(np.ones((2, 256), np.float32), format), "w").initializers
    assert TensorProto.DataType.Name(elements.data_type) == kind
    assert numpy_helper.to_array(scales).shape == (2, 256 // resolve(format).format.block_size)  # type: ignore[operator]


@pytest.mark.parametrize("bits", [2, 5, 17, 25])
def test_every_unit_of_float32_is_exact(bits: int) -> None:
    random = np.random.default_rng(1)
    spec = BFPSpec("units", bits, 2, exponent_bits=9, fraction_bits=0, exponent_bias=149)
    codes = random.integers(0, 1 << bits, (4, 554), np.uint32)
    codes[:, ::5] = 1 << (bits - 1)
    exponents = np.broadcast_to(np.arange(277), (4, 277))  # of 2**-149 to 2**127
    check_weight(BFPTensor.from_codes(exponents, codes, spec))


def test_a_format_of_the_catalogue_has_such_a_form_unless_it_keeps_minus_zero() -> None:
    values = np.random.default_rng(0).standard_normal((4, 96)).astype(np.float32)
    values[0, 3] = -0.0
    kinds = {}
    for preset in presets().values():
        kinds[dataclasses.replace(preset.format, name="any"), preset.conversion.negative_zero] = preset
    for preset in kinds.values():
        if preset.conversion.exponent_rule is ExponentRule.GIVEN:
            continue
        if preset.conversion.negative_zero is NegativeZero.KEEP:
            with pytest.raises(BfpError, match=r"got -0\.0") as refused:
                weight(BFPTensor(values, preset), "w")
            assert refused.value.code == "onnx"
        else:
            check_weight(BFPTensor(values, preset))


def test_flushing_of_subnormals_does_not_reach_a_quantiser() -> None:
    values = adversarial("float32", specials=False)
    wanted = expected(values, "bfp8")
    assert np.any((wanted != 0) & (np.abs(wanted) < np.finfo(np.float32).smallest_normal))
    assert_same_bits(run(quantizer_model("bfp8", values.shape), values, flushes=True), wanted)


@pytest.mark.parametrize(
    "codes, spec, message",
    [
        ([1 << 24], BFPSpec("wide", 26, 1), "at most 24 bits"),
        ([1], BFPSpec("small", 8, 1, fraction_bits=24), "in 'small', where DequantizeLinear gives"),
        ([128], BFPSpec("signed", 8, 1, encoding="sign_magnitude"), r"got -0\.0 at \(0,\) of 'w'"),
    ],
    ids=["width", "unit", "minus zero"],
)
def test_a_tensor_that_has_no_such_form_is_refused(codes: list[int], spec: BFPSpec, message: str) -> None:
    with pytest.raises(BfpError, match=message) as refused:
        weight(BFPTensor.from_codes([0], codes, spec), "w")
    assert refused.value.code == "onnx"


@pytest.mark.parametrize("format", ["bfp8", "bfp4", "bfp2"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_runtime_multiplies_with_the_numbers_themselves(axis: int, format: str) -> None:
    # onnxruntime rounds activations to 8 bits where blocked integers stand right before a product.
    inputs = (whole_numbers((5, 128), 1) * 64 + 1).astype(np.float32)
    matrix = whole_numbers((128, 48), 2)
    tensor = BFPTensor(matrix if axis == 0 else np.ascontiguousarray(matrix.T), format, axis=axis)
    part = weight(tensor, "w")
    product = helper.make_node("Gemm", ["x", "w"], ["y"], transB=axis)
    plain = helper.make_node("MatMul", ["x", "w"], ["y"])
    numbers = tensor.dequantize() if axis == 0 else tensor.dequantize().T
    for node in [product, plain][: 2 - axis]:
        ends = [helper.make_tensor_value_info(name, 1, ["N", length]) for name, length in (("x", 128), ("y", 48))]
        graph = helper.make_graph([*part.nodes, node], "product", ends[:1], ends[1:], part.initializers)
        model = with_functions(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 26)]))
        assert_same_bits(run(model, inputs), inputs @ numbers)


# ----------------------------------------------------------------------------------- quantisers


def check_quantizer(values: AnyArray, format: FormatLike, axis: int | None = -1) -> None:
    dtype = values.dtype.name
    model = quantizer_model(format, values.shape, axis, dtype=dtype)
    if dtype != "bfloat16":
        assert_same_bits(run(model, values), expected(values, format, axis))
        return
    found = run(with_words(model), values.view(np.uint16))
    assert_same_bits(array_of(found, dtype), expected(values, format, axis))


@pytest.mark.parametrize("format", SEED_FORMATS)
def test_a_quantiser_of_a_seed_format_has_the_bits_of_the_reference(format: str) -> None:
    check_quantizer(adversarial("float32", specials=False), format)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_quantiser_with_an_option_has_the_bits_of_the_reference(option: str) -> None:
    check_quantizer(adversarial("float32", specials=False), OPTIONS[option])


@pytest.mark.parametrize(
    "format", ["bfp8", OPTIONS["infinities alone, NaN are zeros"], "tt_mxint8"], ids=["blocks", "elements", "zeros"]
)
def test_nan_and_infinities_have_the_bits_of_the_reference(format: FormatLike) -> None:
    check_quantizer(adversarial("float32", specials=True), format)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_quantiser_of_a_dtype_has_the_bits_of_the_reference(dtype: str) -> None:
    check_quantizer(adversarial(dtype, specials=False), "bfp8")


@pytest.mark.parametrize("shape, axis", SHAPES[:-1])
def test_a_quantiser_runs_along_any_axis(shape: tuple[int, ...], axis: int | None) -> None:
    check_quantizer(np.resize(adversarial("float32", specials=False), shape), "bfp6", axis)


def test_axes_that_are_not_blocked_may_have_any_length() -> None:
    values = np.resize(adversarial("float32", specials=False), (3, 2, 40, 5))
    model = quantizer_model("bfp6", (None, None, 40, None), 2)
    for part in (values, values[:1, :, :, :4], values[:0]):
        wanted = expected(np.ascontiguousarray(part), "bfp6", 2) if part.size else part
        assert_same_bits(run(model, part), wanted)


def test_squared_errors_are_compared_to_the_last_bit() -> None:
    check_quantizer(close_errors("float32"), CLOSE_ERRORS["to nearest"])


def test_stochastic_rounding_draws_the_words_of_the_specification() -> None:
    values = adversarial("float32", specials=False)
    preset = resolve("bfp8").with_(rounding="stochastic")
    words = [specified_word(number, 2**32 - 5) for number in range(values.size)]
    model = quantizer_model(preset, (None, values.shape[1]), seed=2**32 - 5)
    assert_same_bits(run(model, values), expected(values, preset, random_words=words))


@pytest.mark.parametrize(
    "format, axis, code",
    [
        ("bfp9000", -1, "unknown-format"),
        ("bfp8", 7, "axis"),
        ("bfp8", 0, "axis"),
        ("flex16_5", -1, "onnx"),
        ("bfp8:stochastic", -1, "random-words"),
    ],
)
def test_what_cannot_be_a_function_is_refused_with_a_code(format: str, axis: int, code: str) -> None:
    with pytest.raises(BfpError) as refused:
        quantizer_model(format, (None, 64), axis)
    assert refused.value.code == code
