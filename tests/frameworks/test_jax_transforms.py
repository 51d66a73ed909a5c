"""The JAX quantiser under every transformation; each gives the bits of the kernels (spec 14.1, 14.6, 14.7)."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bfpemu import bfp_quantize as on_the_host
from bfpemu.errors import BfpError
from bfpemu.formats import Conversion
from bfpemu.jax import BFPQuantizerSTE, bfp_quantize
from tests.frameworks.contract import adversarial, assert_same_bits, expected, words_of

pytestmark = pytest.mark.slow

ROWS = adversarial("float32", specials=True)
GIVEN = Conversion(exponent_rule="given")


def test_vmap_and_scan_and_checkpoint_change_no_bit() -> None:
    wanted = expected(ROWS, "bfp8")
    quantizer = BFPQuantizerSTE("bfp8")
    assert_same_bits(np.asarray(jax.vmap(quantizer)(ROWS)), wanted)
    assert_same_bits(np.asarray(jax.vmap(jax.vmap(quantizer))(ROWS[None]))[0], wanted)
    assert_same_bits(np.asarray(jax.lax.scan(lambda carry, row: (carry, quantizer(row)), 0, ROWS)[1]), wanted)
    assert_same_bits(np.asarray(jax.jit(jax.checkpoint(quantizer))(ROWS)), wanted)


def test_a_gradient_passes_through_scan_checkpoint_and_vmap() -> None:
    quantizer = BFPQuantizerSTE("bfp4")

    def loss(x: Any) -> Any:
        return jax.lax.scan(lambda total, row: (total + jnp.sum(jax.checkpoint(quantizer)(row) * 3), None), 0.0, x)[0]

    assert np.asarray(jax.grad(loss)(jnp.ones((2, 40)))).tolist() == np.full((2, 40), 3.0).tolist()
    rows = jax.vmap(jax.grad(lambda row: jnp.sum(quantizer(row) * 3)))(jnp.ones((2, 40)))
    assert np.asarray(rows).tolist() == np.full((2, 40), 3.0).tolist()


def test_an_exported_program_has_the_bits_after_a_round_trip() -> None:
    exported = jax.export.export(jax.jit(BFPQuantizerSTE("bfp8")))(jax.ShapeDtypeStruct(ROWS.shape, jnp.float32))
    loaded = jax.export.deserialize(exported.serialize())
    assert_same_bits(np.asarray(loaded.call(ROWS)), expected(ROWS, "bfp8"))


def test_a_format_is_no_reason_to_trace_again() -> None:
    traces = []

    @jax.jit
    def step(x: Any) -> Any:
        traces.append(1)
        return bfp_quantize(x, "bfp8") + BFPQuantizerSTE((8, 32))(x)

    step(ROWS), step(-ROWS)
    assert len(traces) == 1


def test_a_traced_seed_draws_the_words_of_the_same_seed_outside() -> None:
    values = adversarial("float32", specials=False)
    outside = bfp_quantize(values, "bfp8", rounding="stochastic", seed=2**32 - 5)
    traced = jax.jit(lambda x, seed: bfp_quantize(x, "bfp8", rounding="stochastic", seed=seed))
    assert_same_bits(np.asarray(traced(values, np.uint32(2**32 - 5))), np.asarray(outside))
    assert (words_of(np.asarray(traced(values, np.uint32(1)))) != words_of(np.asarray(outside))).any()


@pytest.mark.parametrize("seed, code", [(-1, "random-words"), (2**32, "random-words"), (np.ones(2), "random-words")])
def test_a_seed_that_is_none_is_refused(seed: Any, code: str) -> None:
    with pytest.raises(BfpError) as refused:
        bfp_quantize(ROWS, "bfp8", rounding="stochastic", seed=seed)
    assert refused.value.code == code


def test_given_exponents_are_those_of_the_kernels() -> None:
    values = adversarial("float32", specials=False)[:4]
    exponents = np.array([[3, -2, 0]] * 4)
    wanted = on_the_host(values, "bfp8", conversion=GIVEN, exponents=exponents)
    assert_same_bits(np.asarray(bfp_quantize(values, "bfp8", conversion=GIVEN, exponents=exponents)), wanted)


def test_shards_of_whole_blocks_have_the_bits_and_others_are_refused() -> None:
    """In a process of its own, which is told that it has two devices."""
    script = """
        import jax, numpy as np
        from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
        from bfpemu import bfp_quantize as on_the_host
        from bfpemu.errors import BfpError
        from bfpemu.jax import bfp_quantize, dot_general

        x = np.random.default_rng(0).standard_normal((4, 128), dtype=np.float32)
        wanted = on_the_host(x, "bfp8")

        def code(function, *arguments):
            try:
                function(*arguments)
            except BfpError as error:
                return error.code
            return None

        auto = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))
        explicit = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Explicit,))
        for spec in (P("d", None), P(None, "d")):
            of_shards = jax.shard_map(bfp_quantize, mesh=auto, in_specs=spec, out_specs=spec)
            assert (np.asarray(jax.jit(of_shards)(x)) == wanted).all()
            for mesh in (auto, explicit):
                divided = jax.device_put(x, NamedSharding(mesh, spec))
                with jax.set_mesh(mesh):
                    assert (np.asarray(jax.jit(bfp_quantize)(divided)) == wanted).all()
        short = x[:, :96]  # 48 columns on each device, blocks of 32
        across = jax.shard_map(bfp_quantize, mesh=auto, in_specs=P(None, "d"), out_specs=P(None, "d"))
        assert code(across, short) == "shard"
        with jax.set_mesh(explicit):
            assert code(bfp_quantize, jax.device_put(short, NamedSharding(explicit, P(None, "d")))) == "shard"
        along = dict(mesh=auto, in_specs=P("d", None), out_specs=P("d", None))
        ragged = x[:, :100]
        assert code(jax.shard_map(bfp_quantize, **along), ragged) == "shard"
        whole = jax.shard_map(lambda rows: bfp_quantize(rows, whole_axis=True), **along)
        assert (np.asarray(whole(ragged)) == on_the_host(ragged, "bfp8")).all()
        assert (np.asarray(jax.jit(bfp_quantize)(jax.device_put(ragged, NamedSharding(auto, P("d", None)))))
                == on_the_host(ragged, "bfp8")).all()

        # An array brings its mesh where none is set.
        divided = jax.device_put(x, NamedSharding(explicit, P("d", None)))
        assert (np.asarray(bfp_quantize(divided)) == wanted).all()
        assert (np.asarray(jax.jit(bfp_quantize)(divided)) == wanted).all()
        assert code(bfp_quantize, jax.device_put(short, NamedSharding(explicit, P(None, "d")))) == "shard"

        def drawn(rows, seed=3):
            return bfp_quantize(rows, "bfp4", rounding="stochastic", seed=seed)

        assert code(jax.shard_map(drawn, **along), x) == code(drawn, divided) == "shard"
        jax.shard_map(lambda rows: drawn(rows, 3 + jax.lax.axis_index("d")), **along)(x)
        everywhere = jax.shard_map(drawn, mesh=auto, in_specs=P(), out_specs=P())
        assert (np.asarray(everywhere(x)) == np.asarray(drawn(x))).all()

        weight, pair = x.T.copy(), (((1,), (0,)), ((), ()))
        for unit in ("fp32_sequential", "t_fdpa_25"):
            product = dot_general(weight_format="bfp8", accumulator=unit)
            of_unit = np.asarray(product(x, weight, pair))
            rows = dict(mesh=auto, in_specs=(P("d"), P()), out_specs=P("d"))
            shared = jax.jit(jax.shard_map(lambda a, b: product(a, b, pair), **rows))
            assert (np.asarray(shared(x, weight)) == of_unit).all()
            across = dict(mesh=auto, in_specs=(P(None, "d"), P("d")), out_specs=P("d"))
            assert code(jax.shard_map(lambda a, b: product(a, b, pair), **across), short, weight[:96]) == "shard"
            with jax.set_mesh(explicit):
                gradient = jax.grad(lambda a: product(a, weight, pair).sum())
                assert (np.asarray(jax.jit(lambda a: product(a, weight, pair))(divided)) == of_unit).all()
                assert jax.jit(gradient)(divided).shape == x.shape
    """
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
