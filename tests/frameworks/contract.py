"""What every framework adapter must do, told once; a file of each framework runs it (spec 14).

A test file brings an adapter with the methods of `Adapter` and derives its classes from the
contracts here. All data goes in and comes out as NumPy arrays. Layers are told in one layout:
weights of linear layers as (inputs, outputs), images as (batch, rows, columns, channels), kernels of
convolutions as (rows, columns, inputs, outputs). Expected bits come from the reference model.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import ml_dtypes
import numpy as np
import pytest

from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec, Conversion, Rounding
from bfpemu.formats.preset import Preset
from bfpemu.reference.tensor import decode_tensor, encode_tensor

AnyArray = np.ndarray[Any, Any]

SEED_FORMATS = ["bfp16", "bfp12", "bfp8", "bfp6", "bfp4", "bfp3", "bfp2", "flexpoint16", "flexpoint8"]
OPTIONS: dict[str, Preset] = {
    "toward zero": resolve("bfp8").with_(rounding="toward_zero"),
    "ties away, floor": resolve("bfp6").with_(rounding="ties_away", exponent_rule="floor"),
    "symmetric, ceil": resolve("bfp4").with_(significand_range="symmetric", exponent_rule="ceil"),
    "toward negative, gradual": resolve("flexpoint8").with_(rounding="toward_negative", use_subnormals=True),
    "to odd, unsigned": resolve(BFPSpec("unsigned", 6, 16, has_sign=False)).with_(rounding="to_odd"),
    "infinities alone, NaN are zeros": resolve("bfp8").with_(nan="zero", infinity="saturate_element"),
    "overflow is NaN": resolve("flexpoint16").with_(exponent_overflow="nan", infinity="block"),
    "one block": resolve(BFPSpec("one", 8, None)),
    "tiles": resolve(BFPSpec("tiles", 8, (2, 8))),
    "two levels": resolve("mx6"),
    "minus zero, source chain": resolve("quark_mx9"),
    "chain, truncation, wrap": resolve("tt_bfp4_b_hw"),
    "alignment": resolve("dmx_bfp12_64"),
    "even": resolve("quark_bfp16_bump"),
}
CLOSE_ERRORS: dict[str, Preset] = {  # for `close_errors`
    "to nearest": resolve(BFPSpec("nearest", 8, 8)).with_(exponent_rule="lower_error"),
    # One unit is made of any magnitude, so the lowest bits of the dtype count.
    "away from zero": resolve(BFPSpec("away", 8, 8)).with_(exponent_rule="lower_error", rounding="away_from_zero"),
}
DTYPES = ["float32", "bfloat16", "float16", "float64"]


class Adapter(Protocol):
    """How the contracts reach a framework; `mode` is one of `modes`, eager first."""

    modes: tuple[str, ...]
    dtypes: tuple[str, ...]

    def quantize(
        self, values: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, seed: int | None = None
    ) -> AnyArray:
        """Return `bfp_quantize` of the framework's array of these values."""

    def gradient(
        self, values: AnyArray, upstream: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, ste: str
    ) -> AnyArray:
        """Return the gradient with respect to the values for this gradient of the result."""

    def second_derivative(self, values: AnyArray, format: FormatLike) -> AnyArray:
        """Return the gradient of the sum of the gradient of ``sum(quantized ** 2)``."""

    def dense(
        self, inputs: AnyArray, weights: AnyArray, bias: AnyArray | None, *, mode: str, step: int = 0, **options: Any
    ) -> AnyArray:
        """Return the result of a linear layer with the options of the layers, such as ``weight_format``, at a step."""

    def dense_gradients(
        self, inputs: AnyArray, weights: AnyArray, upstream: AnyArray, *, step: int = 0, **options: Any
    ) -> tuple[AnyArray, AnyArray]:
        """Return the gradients of a linear layer without bias with respect to its inputs and its weights."""

    def conv2d(
        self,
        images: AnyArray,
        kernel: AnyArray,
        bias: AnyArray | None,
        *,
        mode: str,
        step: int = 0,
        groups: int = 1,
        **options: Any,
    ) -> AnyArray:
        """Return a convolution of stride 1 without padding."""

    def conv2d_gradients(
        self, images: AnyArray, kernel: AnyArray, upstream: AnyArray, *, step: int = 0, **options: Any
    ) -> tuple[AnyArray, AnyArray]:
        """Return the gradients of such a convolution without bias with respect to its images and its kernel."""


def array_of(words: AnyArray, dtype: str) -> AnyArray:
    """Return floats of these bits."""
    kind = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    return words.astype(f"u{kind.itemsize}").view(kind)


def words_of(values: AnyArray) -> AnyArray:
    """Return the bits of floats."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def expected(values: AnyArray, format: FormatLike, axis: int | None = -1, **extra: Any) -> AnyArray:
    """Return what the reference model makes of values."""
    words, name = words_of(values), values.dtype.name
    encoded = encode_tensor(words.reshape(-1).tolist(), name, values.shape, resolve(format), axis, **extra)
    return array_of(np.array(decode_tensor(encoded, name), np.uint64), name).reshape(values.shape)


def assert_same_bits(found: AnyArray, wanted: AnyArray) -> None:
    """Fail with the first difference, in hexadecimal, unless dtype, shape and every bit agree."""
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    differs = np.argwhere(words_of(found) != words_of(wanted))
    if len(differs):
        at = tuple(differs[0].tolist())
        pair = [hex(int(words_of(values)[at])) for values in (found, wanted)]
        raise AssertionError(f"{len(differs)} elements differ; the first, at {at}, is {pair[0]}, not {pair[1]}")


@cache
def adversarial(dtype: str, specials: bool) -> AnyArray:
    """Return rows of 71 values, short blocks at their ends, that find what gaussian data does not (spec 3).

    Random patterns; ties and their neighbours; one ulp around powers of two, which decide the exponent;
    subnormals alone and among others; the largest numbers; both zeros. With `specials` NaN with
    payloads and infinities too, each kind alone and together.
    """
    exponent_bits, point = {"float64": (11, 52), "float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}[dtype]
    random, length = np.random.default_rng(14), 71
    infinity, sign = ((1 << exponent_bits) - 1) << point, 1 << (exponent_bits + point)
    bias = (1 << (exponent_bits - 1)) - 1
    finite = [random.integers(0, infinity, length, np.uint64) for _ in range(2)]
    for field in (bias, 2 * bias, 1, 5):  # around 1, the largest numbers, the smallest
        top = field << point
        near = random.integers(max(top - (3 << point), 0), min(top + (1 << point), infinity), length, np.uint64)
        few = random.integers(max(field - 6, 0), field + 1, length, np.uint64) << np.uint64(point)
        few |= random.integers(0, 16, length, np.uint64) << np.uint64(point - 4)
        few[::5] += 1
        few[::7] -= (few[::7] > 0).astype(np.uint64)
        edges = np.full(length, top, np.uint64)
        edges[1::2] -= 1
        edges[2::3] >>= np.uint64(1)
        finite += [near, few, edges]
    finite.append(random.integers(0, 1 << point, length, np.uint64))  # subnormals
    finite.append(np.where(random.random(length) < 0.5, 0, finite[0]))
    rows = np.stack(finite)
    rows |= np.where(random.random(rows.shape) < 0.5, sign, 0).astype(np.uint64)
    rows = np.concatenate([rows, np.where(random.random((1, length)) < 0.5, sign, 0).astype(np.uint64)])
    if specials:
        marks = [infinity, infinity | sign, infinity | 1, infinity | sign | (1 << (point - 1)) | 3]
        rows = np.concatenate([rows[:6], rows[-1:]])
        for number, row in enumerate(rows):
            row[number :: 23 + number] = marks[number % 4]
        rows[1, 32:64] = marks[2]  # a whole block
    return array_of(rows, dtype)


@cache
def close_errors(dtype: str) -> AnyArray:
    """Return rows of one block and a short one whose two squared errors are equal or nearly so (spec 3.5).

    At the exponent of `floor` the unit is 1, or a power of two from the smallest to the largest; the errors differ by
    what one ulp does to one value, here a small and there the smallest number of the dtype.
    """
    exponent_bits, point = {"float64": (11, 52), "float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}[dtype]
    bias = (1 << (exponent_bits - 1)) - 1
    blocks = []
    for scale in (0, 8 - bias - point, 2 - bias, -3, bias - 7):
        least = 2.0 ** (1 - bias - point - scale)
        ulp, step = max(2.0 ** (-2 - point), least), max(2.0 ** (6 - point), least)  # of 1/4 and of 64
        rows = [[64, 0.5, *quarters] for quarters in ([0.25], [0.25 + ulp], [0.25 + ulp, 0.25], [0.25 - ulp, 0.25])]
        rows += [[64, 0.5 - ulp, 0.25 + ulp], [64, 0.5, -0.25 - ulp], [64, 0.5, 0.25, least], [-65, *[-least] * 4]]
        rows += [[65, *[least] * count] for count in (2, 3, 4, 7)] + [[65 - step, step, step, step]]
        rows += [[65 - step, step, step, step * (1 - 2.0 ** (-1 - point))]]  # what decides is far below both units
        blocks += [[value * 2.0**scale for value in row] + [0.0] * (8 - len(row)) for row in rows]
    whole = np.array(blocks)
    return np.concatenate([whole, whole[:, :5]], axis=1).astype(array_of(np.zeros(1), dtype).dtype)


def whole_numbers(shape: tuple[int, ...], seed: int) -> AnyArray:
    """Return float32 whole numbers whose sums of products are exact in float32 in any order."""
    return np.random.default_rng(seed).integers(-90, 91, shape).astype(np.float32)


class QuantizerContract:
    """The fake quantiser (spec 14.1 to 14.7)."""

    adapter: Adapter
    option_modes: tuple[str, ...] | None = None
    """The modes that options are run in; all unless a framework runs the same code in several."""

    def check(
        self, values: AnyArray, format: FormatLike, axis: int | None = -1, modes: tuple[str, ...] | None = None
    ) -> None:
        wanted = expected(values, format, axis)
        for mode in modes or self.adapter.modes:
            assert_same_bits(self.adapter.quantize(values, format, axis, mode=mode), wanted)

    @pytest.mark.parametrize("format", SEED_FORMATS)
    def test_a_seed_format_has_the_bits_of_the_reference(self, format: str) -> None:
        self.check(adversarial("float32", specials=False), format)

    @pytest.mark.parametrize("option", OPTIONS)
    def test_an_option_has_the_bits_of_the_reference(self, option: str) -> None:
        self.check(adversarial("float32", specials=False), OPTIONS[option], modes=self.option_modes)

    @pytest.mark.parametrize(
        "format", ["bfp8", OPTIONS["infinities alone, NaN are zeros"], "tt_mxint8"], ids=["blocks", "elements", "zeros"]
    )
    def test_nan_and_infinities_have_the_bits_of_the_reference(self, format: FormatLike) -> None:
        self.check(adversarial("float32", specials=True), format)

    @pytest.mark.parametrize("mode, dtype", [("to nearest", "float32"), ("away from zero", "float16")])
    def test_squared_errors_are_compared_to_the_last_bit(self, mode: str, dtype: str) -> None:
        self.check(close_errors(dtype), CLOSE_ERRORS[mode], modes=self.adapter.modes[-1:])

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_dtype_has_the_bits_of_the_reference_or_is_refused(self, dtype: str) -> None:
        values = adversarial(dtype, specials=False)
        if dtype in self.adapter.dtypes:
            self.check(values, "bfp8")
            return
        with pytest.raises(BfpError) as refused:
            self.adapter.quantize(values, "bfp8", mode=self.adapter.modes[0])
        assert refused.value.code in ("adapter-format", "data-type")

    @pytest.mark.parametrize(
        "shape, axis", [((71,), 0), ((5, 40), 0), ((5, 40), None), ((3, 37, 5), 1), ((2, 3, 33, 2), -2), ((), -1)]
    )
    def test_every_axis_has_the_bits_of_the_reference(self, shape: tuple[int, ...], axis: int | None) -> None:
        values = adversarial("float32", specials=False).reshape(-1)
        self.check(np.resize(values, shape), "bfp6", axis)

    def test_a_row_does_not_depend_on_its_batch(self) -> None:
        values = adversarial("float32", specials=False)
        for mode in self.adapter.modes:
            alone = self.adapter.quantize(values[3:4], "bfp8", mode=mode)
            assert_same_bits(alone, self.adapter.quantize(values, "bfp8", mode=mode)[3:4])

    @pytest.mark.parametrize("random_bits", [32, 8])
    def test_stochastic_rounding_draws_the_words_of_the_specification(self, random_bits: int) -> None:
        values = adversarial("float32", specials=False)
        preset = resolve("bfp8").with_(rounding=Rounding.STOCHASTIC, random_bits=random_bits)
        words = [specified_word(number, 2**32 - 5) for number in range(values.size)]
        wanted = expected(values, preset, random_words=words)
        for mode in self.adapter.modes:
            assert_same_bits(self.adapter.quantize(values, preset, mode=mode, seed=2**32 - 5), wanted)

    def test_where_the_conversion_asks_for_an_error_the_block_is_nan(self) -> None:
        values = np.ones((1, 64), np.float32)
        values[0, 3] = np.nan
        preset = resolve("bfp8").with_(nan="error")
        for mode in self.adapter.modes:
            found = self.adapter.quantize(values, preset, mode=mode)
            assert np.isnan(found[0, :32]).all()
            assert_same_bits(found[0, 32:], values[0, 32:])

    def test_the_gradient_is_the_identity(self) -> None:
        values = adversarial("float32", specials=False)
        upstream = np.arange(values.size, dtype=np.float32).reshape(values.shape) - 100
        for mode in self.adapter.modes:
            found = self.adapter.gradient(values, upstream, "bfp4", mode=mode, ste="identity")
            assert_same_bits(found, upstream)

    def test_the_clipped_gradient_is_zero_where_elements_saturate(self) -> None:
        values = np.array([[1.99, -1.99, 1.0, 0.3, -1.7, 0.0, 1.874, 1.876]], np.float32)
        preset = resolve((4, 8)).with_(exponent_rule="floor")  # units of 1/4: the largest are -2 and 1.75
        wanted = np.array([[0, 1, 1, 1, 1, 1, 1, 0]], np.float32)
        for mode in self.adapter.modes:
            found = self.adapter.gradient(values, np.ones_like(values), preset, mode=mode, ste="clip")
            assert found.tolist() == wanted.tolist()

    def test_the_second_derivative_is_that_of_the_identity(self) -> None:
        values = np.linspace(-2, 2, 64, dtype=np.float32).reshape(2, 32)
        assert self.adapter.second_derivative(values, "bfp8").tolist() == np.full((2, 32), 2.0).tolist()

    @pytest.mark.parametrize(
        "format, axis, code",
        [
            ("bfp9000", -1, "unknown-format"),
            ("bfp8", 7, "axis"),
            (Preset(BFPSpec("drawn", 8, 32), Conversion(rounding="stochastic")), -1, "random-words"),
            (Preset(BFPSpec("given", 8, 32), Conversion(exponent_rule="given")), -1, "exponent-given"),
        ],
        ids=["format", "axis", "seed", "exponents"],
    )
    def test_what_cannot_be_done_is_refused_with_a_code(self, format: FormatLike, axis: int, code: str) -> None:
        for mode in self.adapter.modes:
            with pytest.raises(BfpError) as refused:
                self.adapter.quantize(np.ones((4, 64), np.float32), format, axis, mode=mode)
            assert refused.value.code == code

    @pytest.mark.parametrize("dtype", [np.int32, np.complex64])
    def test_integers_and_complex_numbers_are_refused(self, dtype: Any) -> None:
        with pytest.raises(BfpError) as refused:
            self.adapter.quantize(np.ones((4, 64), dtype), "bfp8", mode=self.adapter.modes[0])
        assert refused.value.code == "data-type"


class LayerContract:
    """Linear layers and convolutions (spec 14.8 to 14.10); every sum of products here is exact in float32."""

    adapter: Adapter

    def operands(self) -> tuple[AnyArray, AnyArray, AnyArray]:
        return whole_numbers((5, 75), 1), whole_numbers((75, 9), 2), whole_numbers((9,), 3) + np.float32(1e-3)

    def test_a_linear_layer_blocks_its_operands_along_the_sum(self) -> None:
        inputs, weights, bias = self.operands()
        wanted = expected(inputs, "bfp6", -1) @ expected(weights, "bfp4", 0)
        for mode in self.adapter.modes:
            found = self.adapter.dense(inputs, weights, bias, mode=mode, weight_format="bfp4", act_format="bfp6")
            assert_same_bits(found, wanted + bias)

    def test_a_linear_layer_leaves_what_has_no_format(self) -> None:
        inputs, weights, _ = self.operands()
        wanted = inputs @ expected(weights, "bfp4", 0)
        for mode in self.adapter.modes:
            found = self.adapter.dense(inputs, weights, None, mode=mode, weight_format="bfp4", quantize_input=False)
            assert_same_bits(found, wanted)

    def test_a_row_of_a_linear_layer_does_not_depend_on_its_batch(self) -> None:
        random = np.random.default_rng(5)
        inputs, weights = random.standard_normal((7, 70)), random.standard_normal((70, 9))
        # Sums of 4-bit numbers need no rounding, so the order in which a framework adds them does not matter.
        inputs, weights = inputs.astype(np.float32), weights.astype(np.float32)
        bias = random.standard_normal(9).astype(np.float32)
        for mode in self.adapter.modes:
            batch = self.adapter.dense(inputs, weights, bias, mode=mode, weight_format="bfp4")
            alone = self.adapter.dense(inputs[2:3], weights, bias, mode=mode, weight_format="bfp4")
            assert_same_bits(alone, batch[2:3])

    def test_a_convolution_blocks_its_operands_along_the_channels(self) -> None:
        images, kernel = whole_numbers((2, 5, 6, 37), 6), whole_numbers((3, 2, 37, 4), 7)
        bias = whole_numbers((4,), 8) + np.float32(1e-3)
        taken, taps = expected(images, "bfp6", -1), expected(kernel, "bfp4", 2)
        wanted = convolved(taken, taps)
        for mode in self.adapter.modes:
            found = self.adapter.conv2d(images, kernel, bias, mode=mode, weight_format="bfp4", act_format="bfp6")
            assert_same_bits(found, wanted + bias)

    def test_gradients_without_a_format_are_those_of_the_quantized_operands(self) -> None:
        inputs, weights, _ = self.operands()
        upstream = whole_numbers((5, 9), 9)
        of_inputs, of_weights = self.adapter.dense_gradients(
            inputs, weights, upstream, weight_format="bfp4", act_format="bfp6"
        )
        assert_same_bits(of_inputs, upstream @ expected(weights, "bfp4", 0).T)
        assert_same_bits(of_weights, expected(inputs, "bfp6", -1).T @ upstream)

    def test_gradients_with_a_format_are_blocked_anew_along_their_own_sums(self) -> None:
        inputs, weights, _ = self.operands()
        upstream = whole_numbers((5, 9), 9)
        of_inputs, of_weights = self.adapter.dense_gradients(
            inputs, weights, upstream, weight_format="bfp4", act_format="bfp6", grad_format="bfp6"
        )
        assert_same_bits(of_inputs, expected(upstream, "bfp6", 1) @ expected(weights, "bfp4", 1).T)
        assert_same_bits(of_weights, expected(inputs, "bfp6", 0).T @ expected(upstream, "bfp6", 0))

    def test_a_linear_layer_draws_the_words_of_the_specification(self) -> None:
        inputs, weights, _ = self.operands()
        wanted = drawn(inputs, "bfp6", -1, 0) @ drawn(weights, "bfp4", 0, 1)
        for mode in self.adapter.modes:
            assert_same_bits(self.adapter.dense(inputs, weights, None, mode=mode, **DRAWING), wanted)

    def test_the_result_of_a_layer_draws_words_of_its_own(self) -> None:
        inputs, weights, bias = self.operands()
        product = drawn(inputs, "bfp6", -1, 0) @ drawn(weights, "bfp4", 0, 1)
        options = DRAWING | {"quantize_output": True, "output_format": "bfp3"}
        found = self.adapter.dense(inputs, weights, bias, mode=self.adapter.modes[0], **options)
        assert_same_bits(found, drawn(product + bias, "bfp3", -1, 6))

    def test_the_backward_products_draw_the_words_of_the_specification(self) -> None:
        inputs, weights, _ = self.operands()
        upstream = whole_numbers((5, 9), 9)
        of_inputs, of_weights = self.adapter.dense_gradients(inputs, weights, upstream, grad_format="bfp6", **DRAWING)
        assert_same_bits(of_inputs, drawn(upstream, "bfp6", 1, 2) @ drawn(weights, "bfp4", 1, 3).T)
        assert_same_bits(of_weights, drawn(inputs, "bfp6", 0, 5).T @ drawn(upstream, "bfp6", 0, 4))

    @pytest.mark.parametrize("groups, accumulator", [(1, None), (2, "fp32_sequential")])
    def test_a_convolution_draws_the_words_of_the_specification(self, groups: int, accumulator: str | None) -> None:
        # 20 channels in blocks of 32: those of the second group start with it.
        images, kernel = whole_numbers((2, 5, 6, 20 * groups), 6), whole_numbers((3, 2, 20, 4), 7)
        taken = drawn(images.reshape(2, 5, 6, groups, 20), "bfp6", -1, 0)
        taps = drawn(kernel, "bfp4", 2, 1).reshape(3, 2, 20, groups, 4 // groups)
        wanted = np.concatenate([convolved(taken[:, :, :, g], taps[:, :, :, g]) for g in range(groups)], axis=-1)
        options = DRAWING | {"accumulator": accumulator, "groups": groups}
        assert_same_bits(self.adapter.conv2d(images, kernel, None, mode=self.adapter.modes[0], **options), wanted)

    def test_the_backward_products_of_a_convolution_draw_the_words_of_the_specification(self) -> None:
        images, kernel = whole_numbers((5, 4, 4, 3), 1), whole_numbers((2, 2, 3, 20), 2)
        upstream = whole_numbers((5, 3, 3, 20), 3)
        of_images, of_kernel = self.adapter.conv2d_gradients(images, kernel, upstream, grad_format="bfp6", **DRAWING)
        left = np.pad(drawn(upstream, "bfp6", 3, 2), ((0, 0), (1, 1), (1, 1), (0, 0)))
        assert_same_bits(of_images, convolved(left, drawn(kernel, "bfp4", 3, 3)[::-1, ::-1].transpose(0, 1, 3, 2)))
        images_first = drawn(images, "bfp6", 0, 5).transpose(3, 1, 2, 0)
        by_tap = convolved(images_first, drawn(upstream, "bfp6", 0, 4).transpose(1, 2, 0, 3))
        assert_same_bits(of_kernel, np.ascontiguousarray(by_tap.transpose(1, 2, 0, 3)))


def convolved(images: AnyArray, kernel: AnyArray) -> AnyArray:
    """Return a convolution of stride 1 without padding, of numbers whose sums are exact in float32."""
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel.shape[:2], axis=(1, 2))
    exact = np.einsum("nrcikl,klio->nrco", windows.astype(np.float64), kernel.astype(np.float64))
    return exact.astype(np.float32)


DRAWING = {
    "weight_format": "bfp4",
    "act_format": "bfp6",
    "rounding": "stochastic",
    "seed": 2**32 - 3,
    "layer_number": 7,
    "step": 5,
}
"""A layer that rounds stochastically, and its step."""


def drawn(values: AnyArray, format: str, axis: int, operand: int) -> AnyArray:
    """Return what the reference model makes of an operand of such a layer, by the words of spec 14.13."""
    seed = DRAWING["seed"]
    for number in (DRAWING["layer_number"], DRAWING["step"], operand):
        seed = specified_hash(specified_hash(seed) ^ number)
    words = [specified_word(position, seed) for position in range(values.size)]
    return expected(np.ascontiguousarray(values), f"{format}:stochastic", axis, random_words=words)


def specified_word(position: int, seed: int) -> int:
    """Return the random word of an element, as spec 14.6 says it."""
    return specified_hash(specified_hash(position) ^ specified_hash(seed))


def specified_hash(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)
