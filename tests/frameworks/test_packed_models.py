"""Models of Keras and Flax as `.bfp` files: the same logits, names kept, less space (spec 7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import numpy as np
import onnxruntime
import pytest
import torch
from flax import nnx

import bfpemu.jax as bj
import bfpemu.tensorflow as bk
import bfpemu.torch as bt
from bfpemu.cli import main
from bfpemu.errors import BfpError
from bfpemu.storage import Reader
from bfpemu.storage.loading import load
from tests.frameworks.contract import assert_same_bits

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).standard_normal((4, 8, 8, 6)).astype(np.float32)


def formats_in(path: Path) -> dict[str, str]:
    with Reader(path) as reader:
        return {name: reader.entry(name).known_preset().name for name in reader.names}


def keras_model(seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    inner = keras.Sequential([keras.Input((48,)), keras.layers.Dense(40, name="head")], name="inner")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 6)),
            keras.layers.Conv2D(4, 3, strides=2, padding="same", name="first"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(3, 1, name="second"),
            keras.layers.Flatten(),
            inner,
            keras.layers.Dense(5, name="head"),
        ],
        name="outer",
    )
    formats = {"first": "bfp6", r"(inner.)?head": "bfp4"}
    rules = [(name, bk.QATConfig(weight_format=each, quantize_input=False)) for name, each in formats.items()]
    return bk.quantize_model(model, rules)[0]


@pytest.fixture(scope="module")
def trained() -> Any:
    model = keras_model(1)
    model(X, training=True)  # moves the statistics
    return model


def test_a_keras_model_comes_back_from_its_file(trained: Any, tmp_path: Path) -> None:
    bk.save_packed(trained, tmp_path / "m.bfp")
    formats = formats_in(tmp_path / "m.bfp")
    assert [name for name, format in formats.items() if format == "bfp6"] == ["first/kernel"]
    assert [name for name, format in formats.items() if format == "bfp4"] == ["head/kernel", "inner/head/kernel"]
    found = bk.model_from_packed(tmp_path / "m.bfp")
    assert_same_bits(found(X).numpy(), trained(X).numpy())


def test_weights_are_read_into_a_keras_model_that_is_there(trained: Any, tmp_path: Path) -> None:
    bk.save_packed(trained, tmp_path / "m.bfp")
    other = keras_model(2)
    bk.load_packed(other, tmp_path / "m.bfp")
    assert_same_bits(other(X).numpy(), trained(X).numpy())


class Plain(keras.Model):
    """A class of one's own, which Keras can describe but does not know."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.body = bk.BFPDense(8, weight_format="bfp4", name="body")

    def call(self, inputs: Any) -> Any:
        return self.body(inputs)


@keras.saving.register_keras_serializable("tests")
class Known(Plain):
    """One that Keras makes from its description, but does not build."""


class Undescribed(Plain):
    """One with an argument and no `get_config`: Keras cannot describe it."""

    def __init__(self, layers: list[Any]) -> None:
        super().__init__()
        self.rest = layers


@pytest.mark.parametrize(
    "make, code",
    [(Plain, "keras-model"), (Known, "keras-model"), (lambda: Undescribed([keras.layers.ReLU()]), "bfp-header")],
    ids=["unknown", "known", "undescribed"],
)
def test_a_keras_model_of_another_class_is_read_into_one_that_is_there(make: Any, code: str, tmp_path: Path) -> None:
    path, x = tmp_path / "m.bfp", X[:, 0, 0]
    model, other = make(), make()
    for each in (lambda: bk.save_packed(model, path), lambda: bk.load_packed(other, path)):
        with pytest.raises(BfpError, match="call it once") as unbuilt:
            each()
        assert unbuilt.value.code == "keras-model"
        wanted = model(x).numpy()
        bk.save_packed(model, path)
    other(x)
    bk.load_packed(other, path)
    assert_same_bits(other(x).numpy(), wanted)
    with pytest.raises(BfpError, match="load_packed") as refused:
        bk.model_from_packed(path)
    assert refused.value.code == code


class Net(nnx.Module):
    def __init__(self, seed: int) -> None:
        rngs = nnx.Rngs(seed)
        self.conv = nnx.Conv(6, 4, (3, 3), feature_group_count=2, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.heads = nnx.LinearGeneral(4, (2, 3), rngs=rngs)
        self.read, self.kept = nnx.Linear(3, 3, rngs=rngs), nnx.Linear(3, 3, rngs=rngs)
        self.kept.kernel = self.read.kernel

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.kept(self.heads(self.norm(self.conv(x))))


def test_a_model_of_nnx_comes_back_from_its_file(tmp_path: Path) -> None:
    config = bj.QATConfig(weight_format="bfp4", quantize_input=False)
    rules = [("conv|heads|read", config), ("kept", None)]
    model, other = (bj.quantize_model(Net(seed), rules)[0] for seed in (0, 1))
    for each in (model, other):
        each.eval()
    run = nnx.jit(lambda model: model(X))
    wanted = np.asarray(run(model))
    assert not np.array_equal(np.asarray(run(other)), wanted)
    bj.save_packed_model(model, tmp_path / "m.bfp")
    # A kernel that another layer reads as floats stays.
    assert [name for name, format in formats_in(tmp_path / "m.bfp").items() if format == "bfp4"] == [
        "conv/kernel",
        "heads/kernel",
    ]
    bj.load_packed_model(other, tmp_path / "m.bfp")
    assert_same_bits(np.asarray(run(other)), wanted)


@pytest.mark.parametrize(
    "layer, options",
    [
        (lambda: nnx.LinearGeneral((2, 5), 3, axis=(-2, -1), rngs=nnx.Rngs(0)), {}),  # blocks run along two axes
        (lambda: nnx.Linear(40, 3, rngs=nnx.Rngs(0)), {"grad_format": "bfp8"}),  # training reads it along both axes
        (lambda: nnx.Linear(40, 3, rngs=nnx.Rngs(0)), {"rounding": "stochastic"}),
        (lambda: nnx.Linear(40, 3, rngs=nnx.Rngs(0)), {"weight_format": None}),
    ],
    ids=["axes", "gradient", "stochastic", "float"],
)
def test_kernels_without_numbers_of_their_own_stay_floats(layer: Any, options: Any, tmp_path: Path) -> None:
    model, _ = bj.quantize_model(layer(), **options)
    bj.save_packed_model(model, tmp_path / "m.bfp")
    assert set(formats_in(tmp_path / "m.bfp").values()) == {"words32"}


def test_variables_of_linen_come_back_from_their_file(tmp_path: Path) -> None:
    model = nn.Sequential([bj.BFPDense(40, weight_format="bfp6", quantize_input=False), nn.relu, nn.Dense(3)])
    variables = model.init(jax.random.key(0), X)
    bj.save_packed(variables, tmp_path / "p.bfp", {".*layers_0/kernel": "bfp6"})
    assert formats_in(tmp_path / "p.bfp")["params/layers_0/kernel"] == "bfp6"
    found = bj.load_packed(jax.tree.map(jnp.zeros_like, variables), tmp_path / "p.bfp")
    assert jax.tree.structure(found) == jax.tree.structure(variables)
    assert_same_bits(np.asarray(model.apply(found, X)), np.asarray(model.apply(variables, X)))


def test_leaves_of_any_dtype_are_kept_word_for_word(tmp_path: Path) -> None:
    leaves = {
        "b": jnp.linspace(0, 1, 70, dtype=jnp.bfloat16),
        "f": jnp.ones((2, 3), jnp.float8_e4m3fn),
        "i": [jnp.arange(3), np.arange(3, dtype=np.int64), np.array(True)],
        "none": np.zeros((0, 4), np.float32),
        "kernel": np.ones((4, 2), np.float64),
        "whole": {"kernel": np.arange(64, dtype=np.int32).reshape(32, 2)},
    }
    bj.save_packed(leaves, tmp_path / "p.bfp")
    found = bj.load_packed(leaves, tmp_path / "p.bfp")
    for one, other in zip(jax.tree.leaves(leaves), jax.tree.leaves(found), strict=True):
        assert (one.dtype, one.shape, np.asarray(one).tobytes()) == (
            other.dtype,
            other.shape,
            np.asarray(other).tobytes(),
        )


def test_leaves_in_another_order_of_bytes_keep_their_numbers(tmp_path: Path) -> None:
    leaves = {"kernel": np.ones((64, 2), ">f4"), "bias": np.array([1.0, -2.0], ">f4"), "step": np.array(3, ">i8")}
    bj.save_packed(leaves, tmp_path / "p.bfp")
    found = bj.load_packed(leaves, tmp_path / "p.bfp")
    assert {name: each.tolist() for name, each in found.items()} == {
        name: each.tolist() for name, each in leaves.items()
    }


def test_what_is_kept_word_for_word_is_never_taken_for_numbers(tmp_path: Path) -> None:
    layer = bt.BFPLinear(64, 8, weight_format="bfp8", dtype=torch.float16)
    bias = layer.bias.detach().numpy()
    bt.save_packed(layer, tmp_path / "m.bfp")
    for output, options in (("m4.bfp", ["--format", "bfp4"]), ("m.npz", ["--format", "bfp4"]), ("m.onnx", [])):
        assert main(["convert", str(tmp_path / "m.bfp"), str(tmp_path / output), *options]) == 0
    assert formats_in(tmp_path / "m4.bfp")["weight"] == "bfp4"
    assert_same_bits(load(tmp_path / "m4.bfp")["bias"], bias)
    with np.load(tmp_path / "m.npz") as found:
        assert_same_bits(found["bias"], bias)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert_same_bits(session.run(["bias"], {})[0], bias)
    assert_same_bits(session.run(["weight"], {})[0], load(tmp_path / "m.bfp")["weight"])


@pytest.mark.parametrize(
    "rules, code",
    [
        ({"kernel": "bfp9"}, "unknown-format"),
        ({"weight": "bfp8"}, "nothing-converted"),
        ({".*": "bfp8", "k.*": "bfp4"}, "layer-rules"),
    ],
)
def test_rules_that_fit_nothing_or_twice_are_refused(rules: dict[str, str], code: str, tmp_path: Path) -> None:
    with pytest.raises(BfpError) as refused:
        bj.save_packed({"kernel": jnp.ones((4, 4))}, tmp_path / "p.bfp", rules)
    assert refused.value.code == code


def test_a_file_of_another_model_is_refused(trained: Any, tmp_path: Path) -> None:
    bj.save_packed({"kernel": jnp.ones((4, 4))}, tmp_path / "p.bfp")
    loads: list[Any] = [
        lambda: bj.load_packed({"kernel": jnp.ones((4, 5))}, tmp_path / "p.bfp"),
        lambda: bj.load_packed({"weight": jnp.ones((4, 4))}, tmp_path / "p.bfp"),
        lambda: bk.load_packed(trained, tmp_path / "p.bfp"),
        lambda: bk.model_from_packed(tmp_path / "p.bfp"),
    ]
    for each, code in zip(loads, ["tensor-name"] * 3 + ["bfp-header"], strict=True):
        with pytest.raises(BfpError) as refused:
            each()
        assert refused.value.code == code


def test_a_model_of_pytorch_is_read_into_jax_and_tensorflow(tmp_path: Path) -> None:
    layer = bt.BFPLinear(70, 4, weight_format="bfp4")
    model = torch.nn.ModuleDict({"one": layer, "other": layer, "plain": torch.nn.Linear(3, 2, dtype=torch.bfloat16)})
    bt.save_packed(model, tmp_path / "m.bfp")
    assert main(["convert", str(tmp_path / "m.bfp"), str(tmp_path / "m.safetensors"), "--codes"]) == 0
    assert main(["unpack", str(tmp_path / "m.bfp"), str(tmp_path / "b.npy"), "--tensor", "one.bias"]) == 0
    assert np.load(tmp_path / "b.npy").tobytes() == layer.bias.detach().numpy().tobytes()
    assert main(["convert", str(tmp_path / "m.bfp"), str(tmp_path / "part.bfp"), "--tensor", "one.bias"]) == 0
    assert load(tmp_path / "part.bfp").keys() == {"one.bias", "other.bias"}
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    for name in ("one.weight", "other.weight"):
        state[name] = bt.bfp_quantize(state[name], "bfp4")
    for path in (tmp_path / "m.bfp", tmp_path / "m.safetensors"):
        for framework in ("jax", "tensorflow"):
            found = load(path, framework)
            assert found.keys() == state.keys()
            for name, array in found.items():
                assert str(state[name].dtype) == f"torch.{np.asarray(array).dtype}"
                assert np.asarray(array).tobytes() == state[name].contiguous().view(torch.uint8).numpy().tobytes()
