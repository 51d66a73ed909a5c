"""Autoflex on JAX arrays: bits and states of `bfpemu.autoflex`, use by use (spec 11)."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bfpemu.autoflex import AUTOFLEX_PAPER, Autoflex, AutoflexConfig, AutoflexState
from bfpemu.errors import BfpError
from bfpemu.jax.autoflex import FLEX16_5, autoflex_quantize, traced, untraced
from bfpemu.jax.linen import BFPAutoflex
from bfpemu.jax.nnx import BFPAutoflex as BFPAutoflexNnx
from tests.frameworks.contract import AnyArray, assert_same_bits

pytestmark = pytest.mark.slow


def uses() -> list[AnyArray]:
    """Return what a tensor holds over time: zeros, numbers of many sizes, a jump, and what is not finite."""
    random = np.random.default_rng(3)
    data = [np.zeros((3, 20), np.float32)] * 2
    data += [np.ldexp(random.standard_normal((3, 20)), size).astype(np.float32) for size in random.integers(-12, 6, 40)]
    data += [np.full((3, 20), 3e5, np.float32)] * 3
    return [*data, np.full((3, 20), np.nan, np.float32), np.full((3, 20), np.inf, np.float32), data[5]]


@pytest.mark.parametrize(
    "config", [FLEX16_5, AUTOFLEX_PAPER, dataclasses.replace(FLEX16_5, history_length=2, stale_shift=1)], ids=str
)
def test_every_use_gives_the_bits_and_the_state_of_the_host(config: AutoflexConfig) -> None:
    host, state = Autoflex("flex16_5", config), traced(None, config)
    use = jax.jit(lambda x, state: autoflex_quantize(x, state, config=config))
    for x in uses():
        wanted = host.encode(x).dequantize()
        found, state = use(x, state)
        assert_same_bits(np.asarray(found), wanted)
        assert untraced(state, config) == host.state
    again = traced(AutoflexState.from_dict(json.loads(json.dumps(host.state.to_dict()))))
    assert untraced(again, config) == host.state


def test_the_state_goes_through_scan_and_the_gradient_through_the_numbers() -> None:
    data = np.stack(uses()[:10])
    after, found = jax.lax.scan(lambda state, x: autoflex_quantize(x, state)[::-1], traced(), data)
    host = Autoflex("flex16_5", FLEX16_5)
    assert_same_bits(np.asarray(found), np.stack([host.encode(x).dequantize() for x in data]))
    assert untraced(after) == host.state
    gradient = jax.grad(lambda x: jnp.sum(3 * autoflex_quantize(x, traced())[0]))(data[3])
    assert np.asarray(gradient).tolist() == np.full((3, 20), 3.0).tolist()


def test_layers_keep_the_state_where_flax_keeps_such_things() -> None:
    linen, nnx, host = BFPAutoflex(), BFPAutoflexNnx(), Autoflex("flex16_5", FLEX16_5)
    variables = linen.init(jax.random.key(0), uses()[2])
    for x in uses()[2:6]:
        wanted = host.encode(x).dequantize()
        found, variables = linen.apply(variables, x, mutable=["autoflex"])
        assert_same_bits(np.asarray(found), wanted)
        assert_same_bits(np.asarray(nnx(x)), wanted)
    assert untraced(variables["autoflex"]["state"]) == untraced(nnx.state.get_value()) == host.state
    frozen = linen.apply(variables, uses()[2])
    assert_same_bits(np.asarray(frozen), np.asarray(linen.apply(variables, uses()[2])))


def test_float64_is_refused_and_not_rounded_twice() -> None:
    jax.config.update("jax_enable_x64", True)
    try:
        with pytest.raises(BfpError) as refused:
            autoflex_quantize(np.ones(4, np.float64), traced())
    finally:
        jax.config.update("jax_enable_x64", False)
    assert refused.value.code == "data-type"


def test_what_does_not_fit_is_refused_with_a_code() -> None:
    for call in (
        lambda: autoflex_quantize(np.ones(4, np.float32), traced(), "bfp8"),
        lambda: traced(None, AutoflexConfig(significand_bits=24, overflow_bits=8)),
    ):
        with pytest.raises(BfpError) as refused:
            call()
        assert refused.value.code == "autoflex"
