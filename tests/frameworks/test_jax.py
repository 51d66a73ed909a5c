"""JAX and Flax by the contract of all frameworks (spec 14)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bfpemu.catalog import FormatLike
from bfpemu.jax import BFPDense, bfp_quantize
from bfpemu.jax.linen import BFPConv
from tests.frameworks.contract import DTYPES, AnyArray, LayerContract, QuantizerContract, adversarial

pytestmark = pytest.mark.slow


class JaxAdapter:
    """JAX arrays, as they are and jitted; `BFPDense` and `BFPConv` of linen."""

    modes = ("eager", "jit")
    dtypes = ("float32", "bfloat16", "float16")

    def quantize(
        self, values: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, seed: int | None = None
    ) -> AnyArray:
        return np.asarray(_as(mode, lambda x: bfp_quantize(x, format, axis, seed=seed))(values))

    def gradient(
        self, values: AnyArray, upstream: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, ste: str
    ) -> AnyArray:
        def pulled_back(x: Any, gradient: Any) -> Any:
            return jax.vjp(lambda given: bfp_quantize(given, format, axis, ste=ste), x)[1](gradient)[0]

        return np.asarray(_as(mode, pulled_back)(values, upstream))

    def second_derivative(self, values: AnyArray, format: FormatLike) -> AnyArray:
        first = jax.grad(lambda x: jnp.sum(bfp_quantize(x, format) ** 2))
        return np.asarray(jax.grad(lambda x: jnp.sum(first(x)))(jnp.asarray(values)))

    def dense(
        self, inputs: AnyArray, weights: AnyArray, bias: AnyArray | None, *, mode: str, step: int = 0, **options: Any
    ) -> AnyArray:
        layer = BFPDense(weights.shape[1], use_bias=bias is not None, **options)
        return np.asarray(_as(mode, layer.apply)(_variables(weights, bias, step), inputs))

    def dense_gradients(
        self, inputs: AnyArray, weights: AnyArray, upstream: AnyArray, *, step: int = 0, **options: Any
    ) -> tuple[AnyArray, AnyArray]:
        return _gradients(BFPDense(weights.shape[1], use_bias=False, **options), inputs, weights, upstream, step)

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
        options |= {"padding": "VALID", "feature_group_count": groups, "use_bias": bias is not None}
        layer = BFPConv(kernel.shape[3], kernel.shape[:2], **options)
        return np.asarray(_as(mode, layer.apply)(_variables(kernel, bias, step), images))

    def conv2d_gradients(
        self, images: AnyArray, kernel: AnyArray, upstream: AnyArray, *, step: int = 0, **options: Any
    ) -> tuple[AnyArray, AnyArray]:
        layer = BFPConv(kernel.shape[3], kernel.shape[:2], padding="VALID", use_bias=False, **options)
        return _gradients(layer, images, kernel, upstream, step)


def _as(mode: str, function: Any) -> Any:
    return jax.jit(function) if mode == "jit" else function


def _variables(kernel: AnyArray, bias: AnyArray | None, step: int) -> dict[str, Any]:
    params = {"kernel": jnp.asarray(kernel)} | ({} if bias is None else {"bias": jnp.asarray(bias)})
    return {"params": params, "bfpemu": {"rounding_step": jnp.int32(step)}}


def _gradients(
    layer: Any, inputs: AnyArray, kernel: AnyArray, upstream: AnyArray, step: int
) -> tuple[AnyArray, AnyArray]:
    variables = _variables(kernel, None, step)
    _, pull = jax.vjp(lambda params, x: layer.apply(variables | {"params": params}, x), variables["params"], inputs)
    of_params, of_inputs = pull(jnp.asarray(upstream))
    return np.asarray(of_inputs), np.asarray(of_params["kernel"])


class TestQuantizer(QuantizerContract):
    adapter = JaxAdapter()

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_dtype_has_the_bits_of_the_reference_in_64_bit_mode(self, dtype: str) -> None:
        with jax.enable_x64(True):
            self.check(adversarial(dtype, specials=False), "bfp8")


class TestLayers(LayerContract):
    adapter = JaxAdapter()
