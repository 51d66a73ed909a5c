"""Models of Flax linen that exist, quantised (spec 14.12)."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import bfpemu.jax
from bfpemu.adapters.configuration import QATConfig
from bfpemu.errors import BfpError
from bfpemu.jax.linen import BFPConv, BFPDense, next_step, nonfinite_blocks, quantize_model
from tests.frameworks.contract import AnyArray, assert_same_bits, expected, whole_numbers

pytestmark = pytest.mark.slow

X = np.random.default_rng(1).standard_normal((3, 40)).astype(np.float32)
CONFIG = QATConfig(weight_format="bfp4", act_format="bfp6")


class Block(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.LayerNorm()(nn.Dense(40)(x)) + x


JITTED = nn.jit(Block)  # made once, so that it keeps what it traced


class Network(nn.Module):
    block: type[nn.Module] = Block

    def setup(self) -> None:
        self.table = nn.Embed(9, 40)
        self.body = self.block()
        self.head = nn.Dense(4)

    def __call__(self, words: Any, *, train: bool) -> Any:
        y = self.head(self.body(self.table(words)))
        return y if train else nn.softmax(y)

    def logits(self, words: Any) -> Any:
        return self.table.attend(self.body(self.table(words)))


WORDS = jnp.array([[1, 8, 3]])
BOTH: dict[str, Any] = {"method": lambda model, words: (model(words, train=True), model.logits(words))}


def same(found: Any, wanted: Any) -> None:
    """Fail unless two trees of arrays have the same bits."""
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert_same_bits(np.asarray(one), np.asarray(other))


def test_a_report_tells_of_every_layer_with_weights() -> None:
    _, report = quantize_model(Network(), WORDS, CONFIG, keywords={"train": False})
    assert str(report).split("\n") == [
        "converted body.Dense_0: Dense -> BFPDense, weight bfp4, act bfp6",
        "converted head: Dense -> BFPDense, weight bfp4, act bfp6",
        "skipped table: Embed, only a rule converts its type",
        "skipped body.LayerNorm_0: LayerNorm, its type is not converted",
    ]
    rules = [("table", CONFIG), ("body.*", None), ("head", CONFIG.with_(seed=3))]
    _, report = quantize_model(Network(), (jax.ShapeDtypeStruct((1, 3), jnp.int32),), rules, **BOTH)
    assert [(entry.name, entry.new, entry.config.layer_number) for entry in report.converted] == [
        ("table", "BFPEmbed", 0),
        ("head", "BFPDense", 1),
    ]
    _, report = quantize_model(Network(), WORDS, CONFIG, lambda layer, name: layer.features == 4, **BOTH)
    assert [entry.name for entry in report.converted] == ["head"]


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": jnp.bfloat16, "grad_format": "bfp8"},
        {"rounding": "stochastic", "counts_nonfinite": True, "quantize_output": True, "output_format": "bfp3"},
    ],
    ids=lambda options: "-".join(options),
)
def test_a_dense_layer_computes_as_ours_does(options: dict[str, Any]) -> None:
    fields = dict(options)
    dtype = fields.pop("dtype", None)
    config, x = CONFIG.with_(**fields), np.where(X > 2, np.inf, X) if "counts_nonfinite" in options else X
    ours, (theirs, _) = BFPDense(5, dtype=dtype, config=config), quantize_model(nn.Dense(5, dtype=dtype), x, config)

    @partial(jax.jit, static_argnums=0)
    def results(model: Any) -> Any:
        variables = next_step(model.init(jax.random.key(0), x))
        y, state = model.apply(variables, x, mutable=["bfpemu"])
        gradients = jax.grad(lambda given: jnp.sum(model.apply({**variables, **given}, X) ** 2))
        return variables, y, state, gradients({"params": variables["params"]})

    found, wanted = results(theirs), results(ours)
    same(found, wanted)
    if "counts_nonfinite" in options:
        assert nonfinite_blocks(found[2])[""] > 0


def test_convolutions_and_layers_of_several_axes_compute_as_ours_do() -> None:
    images, kernel = whole_numbers((2, 3, 4, 40), 2), whole_numbers((3, 2, 20, 6), 3)
    arguments: dict[str, Any] = {"features": 6, "kernel_size": (3, 2), "strides": 2, "feature_group_count": 2}
    ours, (theirs, _) = BFPConv(**arguments, config=CONFIG), quantize_model(nn.Conv(**arguments), images, CONFIG)
    variables = {"params": {"kernel": kernel, "bias": whole_numbers((6,), 4)}}
    same(jax.jit(theirs.apply)(variables, images), jax.jit(ours.apply)(variables, images))
    several, weights = nn.DenseGeneral(5, axis=(-2, -1), use_bias=False), whole_numbers((4, 40, 5), 5)
    found = jax.jit(quantize_model(several, images, CONFIG)[0].apply)({"params": {"kernel": weights}}, images)
    flat = expected(images.reshape(6, 160), "bfp6") @ expected(weights.reshape(160, 5), "bfp4", 0)
    assert_same_bits(np.asarray(found), flat.reshape(2, 3, 5))


def test_a_table_is_looked_up_and_multiplied_in_its_format() -> None:
    vectors, query = whole_numbers((9, 40), 3), whole_numbers((2, 40), 4)
    table = nn.Embed(9, 40)
    rules = [("", CONFIG)]
    quantized, _ = quantize_model(table, (WORDS,), rules)
    variables = {"params": {"embedding": vectors}}
    found = jax.jit(quantized.apply)(variables, WORDS)
    assert_same_bits(np.asarray(found), expected(vectors, "bfp4")[np.asarray(WORDS)])
    products = jax.jit(partial(quantized.apply, method="attend"))(variables, query)
    assert_same_bits(np.asarray(products), expected(query, "bfp6") @ expected(vectors, "bfp4").T)


def test_layers_inside_a_compiled_module_are_quantized_every_time() -> None:
    plain, model = Block(), JITTED()
    variables = {
        "params": {
            "Dense_0": {"kernel": whole_numbers((40, 40), 1), "bias": whole_numbers((40,), 2)},
            "LayerNorm_0": {"scale": whole_numbers((40,), 3), "bias": whole_numbers((40,), 4)},
        }
    }
    (wanted, _), (quantized, _) = (quantize_model(each, X, CONFIG) for each in (plain, model))
    for _ in range(2):  # what is traced for the one must not be taken for the other
        for found, reference in ((model, plain), (quantized, wanted)):
            np.testing.assert_allclose(found.apply(variables, X), reference.apply(variables, X), rtol=1e-4, atol=1e-4)
    assert not np.allclose(model.apply(variables, X), quantized.apply(variables, X), rtol=1e-2)


def test_layers_that_are_ours_take_a_new_configuration_and_keep_their_inside() -> None:
    class Mixed(nn.Module):
        @nn.compact
        def __call__(self, x: AnyArray) -> Any:
            x = BFPConv(8, (2,), use_bias=False, name="one")(x)
            return BFPConv(8, (2,), use_bias=False, name="two")(x)

    x, kernels = whole_numbers((3, 8, 8), 1), [{"kernel": whole_numbers((2, 8, 8), seed)} for seed in (2, 3)]
    quantized, report = quantize_model(Mixed(), x, [("two", CONFIG)])
    assert str(report).split("\n") == [
        "converted two: BFPConv -> BFPConv, weight bfp4, act bfp6",
        "skipped one: BFPConv, no rule fits its name",
    ]

    def one_by_one(x: AnyArray) -> Any:
        middle = BFPConv(8, (2,), use_bias=False).apply({"params": kernels[0]}, x)
        return BFPConv(8, (2,), use_bias=False, config=CONFIG).apply({"params": kernels[1]}, middle)

    found = jax.jit(quantized.apply)({"params": dict(zip(("one", "two"), kernels, strict=True))}, x)
    same(found, jax.jit(one_by_one)(x))


def test_a_layer_that_was_not_seen_is_an_error_when_it_is_called() -> None:
    quantized, _ = quantize_model(Network(), WORDS, CONFIG, method="logits")
    variables = jax.eval_shape(lambda key: Network().init(key, WORDS, **BOTH), jax.random.key(0))
    with pytest.raises(BfpError, match="'head' only now") as refused:
        jax.eval_shape(lambda given: quantized.apply(given, WORDS, train=True), variables)
    assert refused.value.code == "layer-rules"


class Norm(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.LayerNorm()(x)


@pytest.mark.parametrize(
    "model, rules, code",
    [
        (Norm(), CONFIG, "nothing-converted"),
        (nn.Embed(9, 40), CONFIG, "nothing-converted"),
        (Block(), [("Dense_0", None)], "nothing-converted"),
        (Block(), [("Dense_1", CONFIG)], "layer-rules"),
        (Block(), [("Dense_0", CONFIG), (".*", CONFIG)], "layer-rules"),
        (Block(), [("Dense_0", CONFIG), ("LayerNorm_0", CONFIG), ("head", CONFIG)], "layer-rules"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_a_code(model: nn.Module, rules: Any, code: str) -> None:
    with pytest.raises(BfpError) as refused:
        quantize_model(model, WORDS if isinstance(model, nn.Embed) else X, rules)
    assert refused.value.code == code


def test_each_flax_has_its_own_door() -> None:
    with pytest.raises(BfpError, match="linen") as refused:
        bfpemu.jax.quantize_model(Block(), weight_format="bfp4")
    assert refused.value.code == "nothing-converted"
