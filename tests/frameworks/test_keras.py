"""Layers of Keras beyond the contract: files, fit, conversion, emulated products (spec 14.8 to 14.12)."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import bfpemu
from bfpemu import BFPSpec, BFPTensor, Conversion, create_bfp_spec
from bfpemu.bitwise import folded_seed, random_words
from bfpemu.bitwise.numpy_operations import NumpyOperations
from bfpemu.errors import BfpError
from bfpemu.tensorflow import (
    BFPConv2D,
    BFPDense,
    BFPQuantizerSTE,
    QATConfig,
    bfp_quantize,
    nonfinite_blocks,
    quantize_model,
)
from tests.frameworks.contract import AnyArray, adversarial, assert_same_bits, expected, whole_numbers
from tools.training_tensorflow import run

pytestmark = pytest.mark.slow


def image_model() -> Any:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="first"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(6, 3, strides=2, name="second"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, name="head"),
        ]
    )


# ------------------------------------------------------------------------------------ quantiser


def test_a_graph_may_have_an_unknown_batch() -> None:
    traced = tf.function(lambda x: bfp_quantize(x, "bfp8"), input_signature=[tf.TensorSpec([None, None, 70])])
    values = adversarial("float32", specials=False)[:, :70]
    for shape in ((2, 2, 70), (1, 5, 70), (0, 2, 70)):
        part = np.resize(values, shape)
        assert_same_bits(traced(part).numpy(), expected(part, "bfp8"))


@pytest.mark.parametrize("shape, message", [(None, "unknown rank"), ([3, None], "axis 1 has none")])
def test_a_shape_that_is_not_known_is_refused(shape: Any, message: str) -> None:
    with pytest.raises(BfpError, match=message) as refused:
        tf.function(lambda x: bfp_quantize(x, "bfp8"), input_signature=[tf.TensorSpec(shape)]).get_concrete_function()
    assert refused.value.code == "axis"


def test_flushing_of_subnormals_changes_nothing() -> None:
    values = adversarial("float32", specials=False)
    wanted = expected(values, "bfp8")
    # What TensorFlow's own arithmetic does to the same numbers shows that there is something to withstand.
    assert (tf.constant(values) * 1.0).numpy().tobytes() != values.tobytes()
    assert_same_bits(bfp_quantize(values, "bfp8").numpy(), wanted)


def test_a_variable_moves_along_the_gradient() -> None:
    variable = tf.Variable([[1.0, 0.3, -0.7]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(bfp_quantize(variable, "bfp4") ** 2)
    gradient = tape.gradient(loss, variable)
    assert gradient.numpy().tolist() == [[2.0, 0.5, -1.5]]


def test_a_seed_may_be_a_tensor_that_changes_between_calls() -> None:
    preset = bfpemu.preset("bfp4:stochastic")
    traced = tf.function(lambda x, seed: bfp_quantize(x, preset, seed=seed))
    values = np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32)
    found = [traced(values, tf.constant([seed])).numpy() for seed in (1, 2)]
    assert found[0].tolist() != found[1].tolist()
    assert_same_bits(found[1], bfp_quantize(values, preset, seed=2).numpy())


def test_exponents_are_given_to_flex16() -> None:
    values = np.linspace(-3, 3, 40, dtype=np.float32)
    found = bfp_quantize(values, "flex16_5", exponents=[-13]).numpy()
    assert_same_bits(found, expected(values, "flex16_5", exponents=[-13]))


@pytest.mark.parametrize("data", [["a"], np.ones(3, np.int32), np.ones(3, bool)], ids=["text", "integers", "masks"])
def test_what_is_no_float_is_refused(data: Any) -> None:
    with pytest.raises(BfpError) as refused:
        bfp_quantize(data)
    assert refused.value.code == "data-type"


# --------------------------------------------------------------------------------------- layers


def test_layers_come_back_from_their_configuration() -> None:
    spec = create_bfp_spec(5, 16)
    layers = [
        BFPQuantizerSTE((5, 16), axis=None, ste="clip"),
        BFPQuantizerSTE("bfp4", rounding="stochastic", seed=3),
        BFPDense(3, weight_format=spec, act_format="bfp8:toward_zero", grad_format="bfp6", accumulator=None),
        BFPDense(3, accumulator="fp32_sequential", rounding="ties_away"),
        BFPConv2D(4, 3, strides=2, groups=2, weight_format=None, quantize_output=True, act_format=(6, 8)),
    ]
    for layer in layers:
        config = layer.get_config()
        again = type(layer).from_config(config)
        assert again.get_config() == config
        if not isinstance(layer, BFPQuantizerSTE):
            assert again.config == layer.config


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras writes variables so
def test_a_model_in_a_file_predicts_the_same_bits(tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 1))
    options = {"act_format": create_bfp_spec(6, 8), "counts_nonfinite": True, "name": "first"}
    x = BFPConv2D(5, 3, weight_format="bfp4", activation="relu", **options)(inputs)
    x = BFPQuantizerSTE("bfp8", axis=-1)(keras.layers.Flatten()(x))
    last = BFPDense(3, rounding="stochastic", seed=5)
    model = keras.Model(inputs, last(x))
    images = np.random.default_rng(1).standard_normal((4, 8, 8, 1)).astype(np.float32)
    last.rounding_step.assign(7)
    images[1, 0, 0, 0] = np.inf
    model(images)
    assert nonfinite_blocks(model) == {"first": 1}
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert int(again.layers[-1].rounding_step.numpy()) == 7
    assert nonfinite_blocks(again) == {"first": 1}
    images[1, 0, 0, 0] = 1
    assert_same_bits(again.predict(images, verbose=0), model.predict(images, verbose=0))


def test_blocks_that_are_counted_are_those_of_groups() -> None:
    images = np.zeros((1, 2, 2, 40), np.float32)
    images[0, 0, 0, [3, 25, 38]] = np.nan  # blocks of 20 channels each: one place in the first, two in the second
    layer = BFPConv2D(2, 1, groups=2, counts_nonfinite=True, name="layer")
    layer(images)
    assert nonfinite_blocks(layer) == {"layer": 2}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras writes variables so
def test_weights_of_layers_that_count_nothing_load_into_layers_that_do(tmp_path: Path) -> None:
    plain, _ = quantize_model(keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, name="head")]))
    plain.save_weights(tmp_path / "plain.weights.h5")
    counting, _ = quantize_model(plain, rounding="stochastic", counts_nonfinite=True)
    counting.get_layer("head").kernel.assign(np.zeros((8, 2)))
    counting.get_layer("head").rounding_step.assign(3)
    counting.load_weights(tmp_path / "plain.weights.h5")
    assert_same_bits(counting.get_layer("head").kernel.numpy(), plain.get_layer("head").kernel.numpy())
    assert int(counting.get_layer("head").rounding_step.numpy()) == 3


@pytest.mark.parametrize(
    "options", [{"rounding": "stochastic", "grad_format": "bfp12"}, {"jit_compile": True}], ids=str
)
def test_fit_lowers_the_loss(options: dict[str, Any]) -> None:
    options, jit_compile = dict(options), options.get("jit_compile", False)
    options.pop("jit_compile", None)
    keras.utils.set_random_seed(1)
    model, _ = quantize_model(keras.Sequential([keras.Input((20,)), keras.layers.Dense(3, name="head")]), **options)
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=jit_compile)
    random = np.random.default_rng(2)
    inputs = random.standard_normal((40, 20)).astype(np.float32)
    targets = inputs @ random.standard_normal((20, 3)).astype(np.float32)
    head = model.get_layer("head")
    before = head.kernel.numpy()
    losses = model.fit(inputs, targets, batch_size=16, epochs=8, verbose=0).history["loss"]  # batches of 16, 16 and 8
    assert losses[-1] < 0.8 * losses[0]
    assert not np.array_equal(before, head.kernel.numpy())
    assert jit_compile or int(head.rounding_step.numpy()) == 24


def test_training_in_the_format_makes_good_half_of_what_it_cost() -> None:
    found = run("bfp4", epochs=10, further=6)
    assert found.after_training < found.float32
    assert found.recovered >= 0.5


def test_each_step_in_training_draws_anew() -> None:
    layer = BFPDense(4, weight_format=None, act_format="bfp4", rounding="stochastic", seed=9, use_bias=False)
    inputs = np.random.default_rng(3).standard_normal((2, 32)).astype(np.float32)
    layer.build((2, 32))
    layer.kernel.assign(np.eye(32, 4, dtype=np.float32))
    for step in range(2):
        seed = folded_seed(folded_seed(folded_seed(9, 0), step), 0)  # layer 0, the step, the operand 0
        words = random_words(NumpyOperations(), inputs, seed).view(np.uint32).reshape(-1).tolist()
        wanted = np.ascontiguousarray(expected(inputs, "bfp4:stochastic", random_words=words)[:, :4])
        assert_same_bits(layer(inputs, training=True).numpy(), wanted)


def test_the_master_weight_is_quantized_before_it_is_cast() -> None:
    layer = BFPDense(4, weight_format="bfp8", quantize_input=False, use_bias=False, dtype="mixed_bfloat16")
    weights = np.random.default_rng(4).standard_normal((32, 4)).astype(np.float32)
    layer.build((1, 32))
    layer.set_weights([weights])
    found = layer(np.eye(32, dtype=np.float32))
    assert found.dtype == tf.bfloat16
    assert tf.cast(found, tf.float32).numpy().tolist() == expected(weights, "bfp8", 0).tolist()


@pytest.mark.parametrize("groups", [1, 2])
def test_no_block_of_a_convolution_crosses_a_group(groups: int) -> None:
    images, kernel = whole_numbers((2, 4, 4, 20), 1), whole_numbers((2, 2, 20 // groups, 6), 2)
    layer = BFPConv2D(6, 2, groups=groups, use_bias=False, weight_format="bfp4", act_format=(4, 16))
    layer.build(images.shape)
    layer.set_weights([kernel])
    by_group = images.reshape(2, 4, 4, groups, 20 // groups)
    taken = expected(by_group, (4, 16)).reshape(images.shape)
    parts = [
        tf.nn.conv2d(images_part, kernel_part, 1, "VALID").numpy()
        for images_part, kernel_part in zip(
            np.split(taken, groups, axis=3), np.split(expected(kernel, "bfp4", 2), groups, axis=3), strict=True
        )
    ]
    assert_same_bits(layer(images).numpy(), np.concatenate(parts, axis=3))


def test_gradients_of_a_convolution_are_blocked_anew() -> None:
    images, kernel = whole_numbers((5, 4, 4, 3), 1), whole_numbers((2, 2, 3, 20), 2)
    upstream = whole_numbers((5, 3, 3, 20), 3)
    layer = BFPConv2D(20, 2, use_bias=False, weight_format=(4, 16), act_format=(5, 4), grad_format=(6, 4))
    layer.build(images.shape)
    layer.set_weights([kernel])
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    of_images, of_kernel = tape.gradient(y, [x, layer.kernel.value], upstream)
    along_outputs, along_images = expected(upstream, (6, 4), 3), expected(upstream, (6, 4), 0)
    wanted = tf.nn.conv2d_transpose(along_outputs, expected(kernel, (4, 16), 3), images.shape, 1, "VALID")
    assert_same_bits(of_images.numpy(), wanted.numpy())
    rows = np.lib.stride_tricks.sliding_window_view(expected(images, (5, 4), 0), (2, 2), axis=(1, 2))
    wanted = np.einsum("nrcikl,nrco->klio", rows.astype(np.float64), along_images.astype(np.float64))
    assert_same_bits(of_kernel.numpy(), wanted.astype(np.float32))


# ---------------------------------------------------------------------------- emulated products


def test_an_accumulator_gives_the_bits_of_the_unit() -> None:
    unit = "fp32_sequential"
    random = np.random.default_rng(6)
    inputs, weights = (random.standard_normal(shape).astype(np.float32) for shape in ((6, 100), (100, 7)))
    inputs[0] *= np.float32(2.0**-130)  # sums that a thread which flushes would lose
    bias = random.standard_normal(7).astype(np.float32)
    layer = BFPDense(7, weight_format="bfp16", act_format="bfp8", accumulator=unit)
    layer.build(inputs.shape)
    layer.set_weights([weights, bias])
    product = bfpemu.matmul(BFPTensor(inputs, "bfp8"), BFPTensor(weights, "bfp16", axis=0), unit)
    wanted = product.astype(np.float32) + bias
    assert_same_bits(layer(inputs).numpy(), wanted)
    assert_same_bits(tf.function(layer)(inputs).numpy(), wanted)
    with tf.GradientTape() as tape:
        y = layer(inputs)
    found = tape.gradient(y, layer.kernel.value, np.ones((6, 7), np.float32)).numpy()
    wanted = expected(inputs, "bfp8").T.astype(np.float64) @ np.ones((6, 7))
    assert np.abs(found - wanted).max() < 1e-4


@pytest.mark.parametrize("padding, strides", [("valid", 1), ("same", 2)])
def test_an_accumulator_of_a_convolution_gives_the_bits_of_the_unit(padding: str, strides: int) -> None:
    random = np.random.default_rng(7)
    images, kernel = (random.standard_normal(s).astype(np.float32) for s in ((2, 7, 6, 9), (3, 2, 9, 4)))
    layer = BFPConv2D(4, (3, 2), padding=padding, strides=strides, use_bias=False, accumulator="fp32_sequential")
    layer.build(images.shape)
    layer.set_weights([kernel])
    if padding == "same":
        images_padded = np.pad(images, [(0, 0), (1, 1), (0, 0), (0, 0)])
    else:
        images_padded = images
    x = BFPTensor(images_padded.transpose(0, 3, 1, 2), "bfp8", axis=1)
    wanted = bfpemu.conv2d(
        x, BFPTensor(kernel.transpose(3, 2, 0, 1), "bfp8", axis=1), "fp32_sequential", stride=strides
    )
    assert_same_bits(layer(images).numpy(), np.ascontiguousarray(wanted.transpose(0, 2, 3, 1)))


def test_xla_refuses_an_accumulator_and_fit_does_without_it() -> None:
    layer = BFPDense(3, accumulator="fp32_sequential")
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.function(layer, jit_compile=True)(np.ones((2, 40), np.float32))
    model = keras.Sequential([keras.Input((40,)), layer])
    model.compile("sgd", "mse")  # jit_compile is "auto"
    assert not model.jit_compile
    model.fit(np.ones((4, 40)), np.ones((4, 3)), verbose=0)


# ----------------------------------------------------------------------------------- conversion


def test_a_converted_model_has_the_weights_and_the_report_says_what_was_done() -> None:
    model = image_model()
    quantized, report = quantize_model(
        model, [("first|second", QATConfig(weight_format="bfp6", act_format="bfp12")), ("head", None)]
    )
    assert str(report).splitlines() == [
        "converted first: Conv2D -> BFPConv2D, weight bfp6, act bfp12",
        "converted second: Conv2D -> BFPConv2D, weight bfp6, act bfp12",
        "skipped norm: BatchNormalization, its type is not converted",
        "skipped head: Dense, its rule says so",
    ]
    assert quantized.get_layer("first").config.weight_format.name == "bfp6"
    assert quantized.get_layer("second").config.layer_number == 1
    for old, new in zip(model.get_weights(), quantized.get_weights(), strict=True):
        assert_same_bits(new, old)


def test_a_model_within_a_model_is_converted() -> None:
    inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, name="within", trainable=False)])
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="last")(inner(inputs)))
    quantized, report = quantize_model(model, rounding="stochastic")
    assert {entry.name for entry in report.converted} == {"within", "last"}
    assert len(quantized.trainable_variables) == 2
    wanted = [weight.numpy().tolist() for weight in model.weights]
    found = [weight.numpy().tolist() for weight in quantized.weights if weight.name != "rounding_step"]
    assert found == wanted
    again, report = quantize_model(quantized, weight_format="bfp4")
    assert [entry.old for entry in report.converted] == ["BFPDense", "BFPDense"]
    assert [weight.numpy().tolist() for weight in again.weights] == wanted


CONFIG = QATConfig()


class Written(keras.Model):
    """A model in code."""


@pytest.mark.parametrize(
    "model, rules, options, code",
    [
        (lambda: keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]), None, {}, "nothing-converted"),
        (image_model, [("nobody", CONFIG)], {}, "layer-rules"),
        (Written, None, {}, "nothing-converted"),
        (image_model, [("first", CONFIG), ("f.*", CONFIG)], {}, "layer-rules"),
        (image_model, [("(", CONFIG)], {}, "layer-rules"),
        (image_model, ["first"], {}, "layer-rules"),
        (image_model, None, {"weight_format": "bfp9000"}, "unknown-format"),
        (image_model, None, {"weight": "bfp4"}, "unknown-key"),
        (image_model, [("first", {"weight_format": "bfp4"})], {}, "layer-rules"),
        (image_model, CONFIG, {"weight_format": "bfp4"}, "layer-rules"),
        (image_model, [("first", None)], {}, "nothing-converted"),
        (image_model, None, {"weight_format": "flex16_5"}, "exponent-given"),
        (image_model, None, {"accumulator": "abacus"}, "unknown-unit"),
        (image_model, None, {"accumulator": "exact", "weight_format": None}, "unit"),
        (image_model, None, {"ste": "soft"}, "field-type"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_a_code(model: Any, rules: Any, options: Any, code: str) -> None:
    with pytest.raises(BfpError) as refused:
        quantize_model(model(), rules, **options)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "make, code",
    [
        (lambda: BFPConv2D(3, 3, data_format="channels_first"), "convolution"),
        (lambda: BFPQuantizerSTE("bfp8", seed=3), "random-words"),
        (lambda: BFPQuantizerSTE("bfp8:stochastic"), "random-words"),
        (lambda: BFPQuantizerSTE("flex16_5"), "exponent-given"),
        (lambda: BFPDense(3, weight_format="bfp8", accumulator="mx_dot_agilex5"), "unknown-unit"),
    ],
    ids=["channels", "seed", "no seed", "exponents", "unit"],
)
def test_a_layer_that_cannot_be_is_refused_with_a_code(make: Any, code: str) -> None:
    with pytest.raises(BfpError) as refused:
        make()
    assert refused.value.code == code


def test_the_lines_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (lines,) = [block for block in blocks if "bfpemu.tensorflow" in block]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras writes variables in a way that NumPy deprecates
        exec(lines, {})
    assert Path("model.keras").stat().st_size > 0


# ---------------------------------------------------------------- the public page, imports changed


def test_the_gradient_of_the_page_flows_inside_the_tape() -> None:
    # The page quantises before the tape starts, where nothing is recorded.
    x = tf.Variable(tf.random.stateless_normal([128, 768], [1, 2]))
    with tf.GradientTape() as tape:
        x_q = bfp_quantize(x, format="bfp8")
        loss = tf.reduce_sum(x_q)
    assert tape.gradient(loss, x).shape == (128, 768)


def test_the_keras_model_of_the_page_trains() -> None:
    class QuantizedModel(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.quantizer = BFPQuantizerSTE(format="bfp8")
            self.dense = tf.keras.layers.Dense(3072)

        def call(self, x):
            x = self.quantizer(x)  # Quantize activations
            return self.dense(x)

    model = QuantizedModel()
    optimizer = tf.keras.optimizers.Adam()
    random = np.random.default_rng(8)
    batch, target = random.standard_normal((4, 64), np.float32), random.standard_normal((4, 3072), np.float32)
    losses = []
    for _ in range(3):
        with tf.GradientTape() as tape:
            output = model(batch)
            loss = tf.reduce_mean((output - target) ** 2)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        losses.append(float(loss))
    assert losses[2] < losses[0]


def test_formats_of_the_page_are_taken_in_every_spelling() -> None:
    values: AnyArray = np.random.default_rng(9).standard_normal((4, 64)).astype(np.float32)
    for format in ((5, 64), create_bfp_spec(5, 64, 8, "my_bfp5"), BFPSpec("mine", 5, 64)):
        assert_same_bits(bfp_quantize(values, format=format).numpy(), expected(values, format))
    floor = bfp_quantize(values, "bfp6", conversion=Conversion(exponent_rule="floor"))
    assert_same_bits(floor.numpy(), expected(values, bfpemu.preset("bfp6").with_(exponent_rule="floor")))
