"""The forward pass of JAX layers through dot-product units, in float32 where that is proven (spec 6, 14.8)."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bfpemu
from bfpemu.catalog import resolve
from bfpemu.errors import BfpError
from bfpemu.jax import BFPDense, conv_general_dilated, dot_general
from bfpemu.jax.emulated import in_float32
from bfpemu.jax.exactness import Plan, Way, holds, plan
from tests.frameworks.contract import AnyArray, assert_same_bits

pytestmark = pytest.mark.slow

MATRICES = (((1,), (0,)), ((), ()))


def gaussian(shape: tuple[int, ...], seed: int) -> AnyArray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def spread(shape: tuple[int, int], axis: int, seed: int, exponents: int) -> AnyArray:
    """Return blocks of very different sizes, as gradients have: the order of additions decides bits."""
    random = np.random.default_rng(seed)
    blocks = tuple(-(-length // 32) if number == axis else length for number, length in enumerate(shape))
    sizes = np.repeat(random.integers(-exponents, exponents + 1, blocks), 32, axis).take(range(shape[axis]), axis)
    return np.ldexp(random.standard_normal(shape), sizes).astype(np.float32)


def of_unit(x: AnyArray, w: AnyArray, unit: str) -> AnyArray:
    found = bfpemu.unit(unit).matmul(bfpemu.BFPTensor(x, "bfp8"), bfpemu.BFPTensor(w, "bfp8", axis=0))
    assert isinstance(found, np.ndarray)
    return found


def planned(unit: str, length: int) -> Plan:
    spec = resolve("bfp8").format
    return plan(bfpemu.unit(unit), spec, spec, length)


def quantized(x: AnyArray, w: AnyArray) -> tuple[Any, Any]:
    return jnp.asarray(bfpemu.bfp_quantize(x, "bfp8")), jnp.asarray(bfpemu.bfp_quantize(w, "bfp8", axis=0))


@pytest.mark.parametrize("unit", ["fp32_sequential", "achronix_mlp"])
def test_a_layer_gives_the_bits_of_its_unit(unit: str) -> None:
    product = jax.jit(lambda x, w: dot_general(accumulator=unit)(x, w, MATRICES))
    for x, w in (
        (gaussian((5, 70), 1), gaussian((70, 3), 2)),
        (spread((5, 70), 1, 3, 30), spread((70, 3), 0, 4, 30)),
        # Products and sums that float32 holds as subnormals only, which the device would flush.
        (gaussian((5, 70), 5) * np.float32(2**-66), gaussian((70, 3), 6) * np.float32(2**-66)),
        (gaussian((5, 70), 7) * np.float32(2**-130), gaussian((70, 3), 8)),
        (np.where(gaussian((5, 70), 9) > 2, np.float32("nan"), gaussian((5, 70), 9)), gaussian((70, 3), 10)),
    ):
        assert_same_bits(np.asarray(product(x, w)), of_unit(x, w, unit).astype(np.float32))


def test_where_float32_is_proven_it_has_the_bits_of_the_unit_and_nowhere_else_is_it_taken() -> None:
    taken = {}
    for unit, way in (("fp32_sequential", Way.IN_ORDER), ("exact", Way.ANY_ORDER)):
        found = planned(unit, 96)
        assert found.way is way
        check = jax.jit(lambda a, b, found=found: (holds(found, a, b), in_float32(found, a, b)))
        for exponents in (0, 4, 20, 70):
            for seed in range(4):
                x, w = spread((6, 96), 1, seed, exponents), spread((96, 5), 0, seed + 100, exponents)
                is_proven, product = check(*quantized(x, w))
                taken[unit, exponents] = taken.get((unit, exponents), 0) + int(is_proven)
                if is_proven and unit == "exact":
                    a, b = (np.asarray(operand, np.float64) for operand in quantized(x, w))
                    assert_same_bits(np.asarray(product), (a @ b).astype(np.float32))
                elif is_proven:
                    assert_same_bits(np.asarray(product), of_unit(x, w, unit))
    assert taken == {
        ("fp32_sequential", 0): 4, ("fp32_sequential", 4): 4, ("fp32_sequential", 20): 4, ("fp32_sequential", 70): 0,
        ("exact", 0): 4, ("exact", 4): 0, ("exact", 20): 0, ("exact", 70): 0,
    }  # fmt: skip


def test_the_order_of_additions_decides_bits_that_the_layer_gets_right() -> None:
    x, w = spread((40, 320), 1, 1, 8), spread((320, 30), 0, 2, 8)
    wanted = of_unit(x, w, "fp32_sequential")
    assert (np.asarray(jnp.matmul(*quantized(x, w))) != wanted).any()
    assert_same_bits(np.asarray(dot_general(accumulator="fp32_sequential")(x, w, MATRICES)), wanted)


def test_what_float32_cannot_do_is_known_from_the_formats() -> None:
    bfp16, tt = resolve("bfp16").format, resolve("tt_bfp8_b_hw").format
    bfp8 = resolve("bfp8").format
    assert plan(bfpemu.unit("fp32_sequential"), bfp16, bfp8, 64).way is Way.NONE  # sums of 28 bits
    assert plan(bfpemu.unit("fp32_sequential"), tt, bfp8, 64).way is Way.NONE  # codes say more than values
    assert plan(bfpemu.unit("mxdotp"), bfp8, bfp8, 64).way is Way.ANY_ORDER
    assert plan(bfpemu.unit("t_fdpa_25"), bfp8, bfp8, 64).way is Way.NONE


@pytest.mark.parametrize("padding, stride, groups", [("SAME", 2, 1), (((1, 1), (0, 0)), 1, 2)])
@pytest.mark.parametrize("unit", ["fp32_sequential", "achronix_mlp"])
def test_a_convolution_gives_the_bits_of_its_unit(unit: str, padding: Any, stride: int, groups: int) -> None:
    images, kernel = gaussian((2, 6, 5, 64), 1), gaussian((3, 2, 64 // groups, 4), 2)
    convolve = conv_general_dilated(accumulator=unit)
    found = jax.jit(
        lambda x, w: convolve(
            x, w, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
        )
    )(images, kernel)
    margins = padding if groups == 2 else ((0, 1), (0, 1))  # what "SAME" is for 6 x 5, a kernel of 3 x 2 and stride 2
    padded = np.pad(images, ((0, 0), *margins, (0, 0))).transpose(0, 3, 1, 2)
    wanted = bfpemu.conv2d(
        bfpemu.BFPTensor(padded, "bfp8", axis=1),
        bfpemu.BFPTensor(kernel.transpose(3, 2, 0, 1), "bfp8", axis=1),
        unit,
        stride=stride,
        groups=groups,
    )
    assert isinstance(wanted, np.ndarray)
    assert_same_bits(np.asarray(found), np.ascontiguousarray(wanted.transpose(0, 2, 3, 1)).astype(np.float32))


def test_the_backward_pass_is_that_of_the_quantised_operands_and_rows_do_not_see_each_other() -> None:
    x, w = gaussian((5, 70), 1), gaussian((70, 3), 2)
    emulated, plain = (BFPDense(3, accumulator=unit) for unit in ("fp32_sequential", None))
    variables = {"params": {"kernel": w, "bias": gaussian((3,), 3)}}
    grads = [
        jax.grad(lambda v, layer=layer: jnp.sum(jnp.sin(layer.apply(v, x))))(variables) for layer in (emulated, plain)
    ]
    for one, other in zip(*map(jax.tree.leaves, grads), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    batch = np.asarray(emulated.apply(variables, x))
    assert_same_bits(np.asarray(emulated.apply(variables, x[2:3])), batch[2:3])
    mapped = jax.vmap(lambda row: emulated.apply(variables, row[None])[0])(x)
    assert_same_bits(np.asarray(mapped), batch)


def test_stochastic_operands_meet_the_unit_with_the_words_of_their_slots() -> None:
    x, w = gaussian((5, 70), 1), gaussian((70, 3), 2)
    options = {"rounding": "stochastic", "seed": 11}
    plain = dot_general(**options)(x, w, MATRICES)
    for unit in ("exact", "achronix_mlp"):  # one in float32, one on the host
        found = dot_general(accumulator=unit, **options)(x, w, MATRICES)
        np.testing.assert_allclose(np.asarray(found), np.asarray(plain), rtol=2**-12)


def test_a_result_that_float32_does_not_hold_is_refused() -> None:
    wide = bfpemu.DotProductUnit(output="fp64")
    with pytest.raises(BfpError) as refused:
        dot_general(accumulator=wide)(gaussian((2, 8), 1), gaussian((8, 2), 2), MATRICES)
    assert refused.value.code == "data-type"


def test_an_operand_that_the_host_cannot_take_in_pieces_is_refused() -> None:
    large = jax.ShapeDtypeStruct((1 << 12, 1 << 12), jnp.float32)
    with pytest.raises(BfpError) as refused:
        jax.eval_shape(lambda x, w: dot_general(accumulator="achronix_mlp")(x, w, MATRICES), large, large)
    assert refused.value.code == "operand-shape"


def test_a_machine_with_one_core_does_not_wait_for_itself() -> None:
    script = """
        import os
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import jax, numpy as np
        from bfpemu.jax import dot_general
        product = jax.jit(lambda x, w: dot_general(accumulator="achronix_mlp")(x, w, (((1,), (0,)), ((), ()))))
        found = product(np.eye(512, dtype=np.float32), np.ones((512, 4), np.float32))
        assert (np.asarray(found) == 1).all()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=300)
