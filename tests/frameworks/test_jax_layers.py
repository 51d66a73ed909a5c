"""Products and layers of JAX and Flax beyond the contract: models that exist, units, seeds, dtypes (spec 14.8)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import linen, nnx

from bfpemu.errors import BfpError
from bfpemu.jax import (
    BFPDense,
    BFPLinear,
    BFPQuantizerSTE,
    QATConfig,
    bfp_quantize,
    conv_general_dilated,
    dot_general,
    quantize_model,
)
from bfpemu.jax import linen as of_linen
from bfpemu.jax.linen import BFPConv
from bfpemu.jax.nnx import BFPConv as BFPConvNnx
from bfpemu.jax.nnx import next_step, nonfinite_blocks
from tests.frameworks.contract import assert_same_bits, expected, whole_numbers

pytestmark = pytest.mark.slow

X, W = whole_numbers((5, 75), 1), whole_numbers((75, 9), 2)
WANTED = expected(X, "bfp6") @ expected(W, "bfp4", 0)
CONFIG = QATConfig(weight_format="bfp4", act_format="bfp6")
MATRICES = (((1,), (0,)), ((), ()))


def test_a_linen_model_takes_the_product_and_keeps_its_parameters() -> None:
    layer = linen.Dense(9, use_bias=False, dot_general=dot_general(CONFIG))
    assert_same_bits(np.asarray(layer.apply({"params": {"kernel": W}}, X)), WANTED)
    trees = [jax.tree.structure(made.init(jax.random.key(0), X)) for made in (layer, linen.Dense(9, use_bias=False))]
    assert trees[0] == trees[1]


def test_a_copy_of_an_nnx_model_is_quantised() -> None:
    linear = nnx.Linear(75, 9, use_bias=False, rngs=nnx.Rngs(0))
    model = nnx.Sequential(linear, nnx.relu, nnx.Linear(9, 2, rngs=nnx.Rngs(1)), nnx.BatchNorm(2, rngs=nnx.Rngs(2)))
    kernel = linear.kernel[...]
    quantized, report = quantize_model(model, [(r"layers\.0", CONFIG)])
    assert str(report).splitlines() == [
        "converted layers.0: Linear -> BFPLinear, weight bfp4, act bfp6",
        "skipped layers.2: Linear, no rule fits its name",
        "skipped layers.3: BatchNorm, its type is not converted",
    ]
    assert type(model.layers[0]) is nnx.Linear
    first = quantized.layers[0]
    assert isinstance(first, BFPLinear)
    assert (first.kernel[...] == kernel).all()
    first.kernel.set_value(jnp.asarray(W))
    assert_same_bits(np.asarray(nnx.jit(lambda layer, x: layer(x))(first, X)), WANTED)
    assert_same_bits(np.asarray(quantized.layers[2](WANTED)), np.asarray(nnx.Linear(9, 2, rngs=nnx.Rngs(1))(WANTED)))
    again, _ = quantize_model(quantized, [(r"layers\.0", QATConfig(weight_format="bfp8"))])
    assert again.layers[0].config.weight_format.name == "bfp8"


def test_a_layer_that_was_there_quantises_its_kernel_before_it_is_cast() -> None:
    layers = (
        nnx.Linear(1, 1, use_bias=False, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)),
        nnx.LinearGeneral(1, 1, use_bias=False, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)),
        nnx.Conv(1, 1, (1,), use_bias=False, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)),
    )
    for layer in layers:
        # As bfloat16 it would be 1.375, a tie that goes to 1.5.
        layer.kernel.set_value(jnp.full(layer.kernel.shape, 1.37475586, jnp.float32))
        quantized, _ = quantize_model(layer, weight_format=(4, 8), quantize_input=False)
        found = quantized(jnp.ones((1, 1), jnp.float32))
        assert found.dtype == jnp.bfloat16
        assert found.item() == 1.25


def test_a_model_without_a_layer_to_convert_is_refused() -> None:
    for model in (nnx.Sequential(nnx.relu), nnx.Sequential(nnx.LayerNorm(4, rngs=nnx.Rngs(0)))):
        with pytest.raises(BfpError) as refused:
            quantize_model(model)
        assert refused.value.code == "nothing-converted"


def test_several_contracted_axes_are_one_and_batches_stay_apart() -> None:
    x, w = whole_numbers((4, 2, 3, 15), 3), whole_numbers((4, 3, 15, 6), 4)
    taken = expected(x.reshape(4, 2, 45), "bfp6").reshape(x.shape)
    kernel = expected(w.reshape(4, 45, 6), "bfp4", 1).reshape(w.shape)
    found = dot_general(CONFIG)(x, w, (((2, 3), (1, 2)), ((0,), (0,))))
    assert_same_bits(np.asarray(found), np.einsum("bmkl,bkln->bmn", taken, kernel))


def test_nnx_layers_compute_what_those_of_linen_do() -> None:
    images, kernel = whole_numbers((2, 5, 5, 37), 5), whole_numbers((3, 3, 37, 4), 6)
    layers = {
        (75, 9): (
            BFPLinear(75, 9, weight_format="bfp4", act_format="bfp6", rngs=nnx.Rngs(0)),
            BFPDense(9, weight_format="bfp4", act_format="bfp6"),
            X,
            W,
        ),
        (37, 4): (
            BFPConvNnx(37, 4, (3, 3), 2, "bfp4", "bfp6", rngs=nnx.Rngs(0)),
            BFPConv(4, (3, 3), 2, weight_format="bfp4", act_format="bfp6"),
            images,
            kernel,
        ),
    }
    for one, other, x, weights in layers.values():
        one.kernel.set_value(jnp.asarray(weights))
        variables = {"params": {"kernel": weights, "bias": np.zeros(weights.shape[-1], np.float32)}}
        assert_same_bits(np.asarray(one(x)), np.asarray(other.apply(variables, x)))


def test_a_group_of_channels_has_blocks_of_its_own() -> None:
    images, kernel = whole_numbers((2, 4, 4, 40), 5), whole_numbers((2, 2, 20, 6), 6)
    convolve = conv_general_dilated(CONFIG)
    order = ("NHWC", "HWIO", "NHWC")
    whole = convolve(images, kernel, (1, 1), "VALID", dimension_numbers=order, feature_group_count=2)
    parts = [
        convolve(
            images[..., 20 * g : 20 * g + 20], kernel[..., 3 * g : 3 * g + 3], (1, 1), "VALID", dimension_numbers=order
        )
        for g in range(2)
    ]
    assert_same_bits(np.asarray(whole), np.concatenate(parts, -1))


def test_the_backward_pass_of_a_convolution_blocks_outputs_and_images() -> None:
    images, kernel, upstream = (
        whole_numbers((34, 4, 4, 5), 5),
        whole_numbers((2, 2, 5, 40), 6),
        whole_numbers((34, 3, 3, 40), 7),
    )
    order = ("NHWC", "HWIO", "NHWC")

    def plain(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=order)

    convolve = conv_general_dilated(CONFIG, grad_format="bfp8")
    _, pull = jax.vjp(lambda x, w: convolve(x, w, (1, 1), "VALID", dimension_numbers=order), images, kernel)
    of_images, of_kernel = pull(jnp.asarray(upstream))
    wanted_images = jax.vjp(lambda x: plain(x, expected(kernel, "bfp4", 3)), images)[1](
        jnp.asarray(expected(upstream, "bfp8", 3))
    )
    wanted_kernel = jax.vjp(lambda w: plain(expected(images, "bfp6", 0), w), kernel)[1](
        jnp.asarray(expected(upstream, "bfp8", 0))
    )
    assert_same_bits(np.asarray(of_images), np.asarray(wanted_images[0]))
    assert_same_bits(np.asarray(of_kernel), np.asarray(wanted_kernel[0]))


def test_the_kernel_is_quantised_before_it_is_cast() -> None:
    kernel = np.random.default_rng(1).standard_normal((64, 3)).astype(np.float32)
    x = np.eye(64, dtype=ml_dtypes.bfloat16)
    wanted = expected(kernel, "bfp8", 0).astype(ml_dtypes.bfloat16)
    variables = {"params": {"kernel": kernel}}
    found = BFPDense(3, use_bias=False, dtype=jnp.bfloat16).apply(variables, x)
    assert_same_bits(np.asarray(found), wanted)
    cast_first = linen.Dense(3, use_bias=False, dtype=jnp.bfloat16, dot_general=dot_general()).apply(variables, x)
    assert (np.asarray(cast_first) != wanted).any()  # the layer of Flax rounds twice


def test_every_operand_has_a_stream_of_its_own_and_every_step_other_words() -> None:
    x = np.random.default_rng(2).standard_normal((3, 64)).astype(np.float32)
    product = dot_general(weight_format=None, act_format="bfp4", rounding="stochastic", seed=7)
    identity = np.eye(64, dtype=np.float32)
    found = [np.asarray(product(x, identity, MATRICES, step=step)) for step in (0, 0, 1)]
    assert_same_bits(found[0], found[1])
    assert (found[1] != found[2]).any()
    of_weight = dot_general(weight_format="bfp4", quantize_input=False, rounding="stochastic", seed=7)(
        identity, x.T.copy(), MATRICES
    )
    assert (found[0] != np.asarray(of_weight).T).any()
    layer = BFPDense(64, use_bias=False, weight_format="bfp4", rounding="stochastic", seed=7)
    variables = {"params": {"kernel": identity}}
    assert_same_bits(np.asarray(layer.apply(variables, x)), np.asarray(layer.apply(variables, x, step=0)))
    linear = BFPLinear(64, 64, False, "bfp4", rounding="stochastic", seed=7, rngs=nnx.Rngs(0))
    linear.kernel.set_value(jnp.asarray(identity))
    assert_same_bits(np.asarray(linear(x, step=9)), np.asarray(layer.apply(variables, x, step=9)))


def test_the_output_is_quantised_with_its_bias() -> None:
    bias = whole_numbers((9,), 3)
    wanted = expected(WANTED + bias, "bfp3")
    options = {"config": CONFIG.with_(quantize_output=True, output_format="bfp3")}
    variables = {"params": {"kernel": W, "bias": bias}}
    assert_same_bits(np.asarray(BFPDense(9, **options).apply(variables, X)), wanted)
    for float_layer in (nnx.Linear(75, 9, rngs=nnx.Rngs(0)), nnx.LinearGeneral(75, 9, rngs=nnx.Rngs(0))):
        layer, _ = quantize_model(float_layer, options["config"])
        layer.kernel.set_value(jnp.asarray(W))
        layer.bias.set_value(jnp.asarray(bias))
        assert_same_bits(np.asarray(layer(X)), wanted)


def test_layers_keep_their_steps_and_counts() -> None:
    x = np.random.default_rng(2).standard_normal((3, 64)).astype(np.float32)
    x[1, 40] = x[2, 0] = np.inf
    layer = BFPDense(8, rounding="stochastic", counts_nonfinite=True)
    variables = layer.init(jax.random.key(0), x)
    _, state = layer.apply(variables, x, mutable=["bfpemu"])
    assert of_linen.nonfinite_blocks(state) == {"": 2}
    later = of_linen.next_step(of_linen.next_step(variables))
    wanted = np.asarray(layer.apply(variables, X[:, :64], step=2))
    assert_same_bits(np.asarray(layer.apply(later, X[:, :64])), wanted)
    # Without the collection, as in a checkpoint of the float layer, it is step 0.
    plain = {"params": variables["params"]}
    assert_same_bits(np.asarray(layer.apply(plain, X[:, :64])), np.asarray(layer.apply(variables, X[:, :64])))
    model = BFPLinear(64, 8, rounding="stochastic", counts_nonfinite=True, rngs=nnx.Rngs(0))
    model.kernel.set_value(variables["params"]["kernel"])
    next_step(model), next_step(model)
    graph, state = nnx.split(model)
    assert_same_bits(np.asarray(nnx.merge(graph, state)(X[:, :64])), wanted)
    nnx.jit(lambda model, x: model(x))(model, x)
    assert nonfinite_blocks(model) == {"": 2}


def test_blocks_that_are_counted_are_those_of_groups_and_of_several_axes() -> None:
    images = np.zeros((1, 2, 2, 40), np.float32)
    images[0, 0, 0, [3, 25, 38]] = np.nan  # blocks of 20 channels each: one place in the first, two in the second
    options = {"counts_nonfinite": True, "rngs": nnx.Rngs(0)}
    convolution = BFPConvNnx(40, 2, (1, 1), feature_group_count=2, **options)
    convolution(images)
    of_groups = BFPConv(2, (1, 1), feature_group_count=2, counts_nonfinite=True)
    _, state = of_groups.apply(of_groups.init(jax.random.key(0), images), images, mutable=["bfpemu"])
    several = nnx.LinearGeneral((2, 40), 3, axis=(-2, -1), rngs=nnx.Rngs(0))
    general, _ = quantize_model(several, counts_nonfinite=True)
    general(images)
    found = [*nonfinite_blocks(convolution).values(), *of_linen.nonfinite_blocks(state).values()]
    assert [*found, *nonfinite_blocks(general).values()] == [2, 2, 2]


def test_the_second_derivative_of_a_product_is_there() -> None:
    product = dot_general(CONFIG, grad_format="bfp8")
    first = jax.grad(lambda x: jnp.sum(product(x, W, MATRICES) ** 2))
    found = np.asarray(jax.grad(lambda x: jnp.sum(first(x)))(jnp.asarray(X)))
    assert np.isfinite(found).all()
    assert (found != 0).any()


@pytest.mark.parametrize(
    "call, code",
    [
        (lambda: dot_general(weight_format="bfp9000"), "unknown-format"),
        (lambda: dot_general(weight="bfp8"), "unknown-key"),
        (lambda: dot_general("bfp8"), "field-type"),
        (lambda: dot_general(ste="soft"), "field-type"),
        (lambda: dot_general(seed=-1), "field-type"),
        (lambda: dot_general(accumulator="fp7"), "unknown-unit"),
        (lambda: dot_general(accumulator="exact", quantize_input=False), "unit"),
        (lambda: dot_general(accumulator=3), "unit"),
        (lambda: dot_general()(X, W, (((), ()), ((), ()))), "operand-shape"),
        (lambda: dot_general()(X.astype(np.int32), W, MATRICES), "data-type"),
        (lambda: dot_general()(X, W.astype(np.complex64), MATRICES), "data-type"),
        (lambda: dot_general(accumulator="exact", act_format="hbfp8"), "unit"),
        (lambda: dot_general(quantize_output=True), "layer-type"),
        (lambda: conv_general_dilated(counts_nonfinite=True), "layer-type"),
        (lambda: dot_general(weight_format="flex16_5"), "exponent-given"),
        (lambda: dot_general(rounding="stochastic")(X, W, MATRICES, step=-1), "random-words"),
        (lambda: quantize_model(nnx.Linear(4, 4, rngs=nnx.Rngs(0)), [("head", CONFIG)]), "layer-rules"),
        (lambda: BFPQuantizerSTE("flex16_5"), "exponent-given"),
        (lambda: BFPQuantizerSTE("bfp8", seed=3), "random-words"),
        (lambda: bfp_quantize([[1.0], [2.0, 3.0]]), "data-type"),
        (lambda: bfp_quantize(X, ste="soft"), "field-type"),
        (lambda: convolution(batch_group_count=2), "convolution"),
        (lambda: convolution(accumulator="exact", lhs_dilation=(2, 2)), "convolution"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_code(call: Any, code: str) -> None:
    with pytest.raises(BfpError) as refused:
        call()
    assert refused.value.code == code


def convolution(accumulator: str | None = None, **options: Any) -> Any:
    images, kernel = whole_numbers((2, 4, 4, 5), 5), whole_numbers((2, 2, 5, 4), 6)
    order = ("NHWC", "HWIO", "NHWC")
    return conv_general_dilated(accumulator=accumulator)(
        images, kernel, (1, 1), "VALID", dimension_numbers=order, **options
    )
