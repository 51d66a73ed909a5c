"""PyTorch by the contract of all frameworks (spec 14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bfpemu.catalog import FormatLike
from bfpemu.errors import BfpError
from bfpemu.torch import BFPConv2d, BFPLinear, bfp_quantize, next_step
from bfpemu.torch.kernels import as_array, as_tensor
from tests.frameworks.contract import DTYPES, AnyArray, LayerContract, QuantizerContract

pytestmark = pytest.mark.slow


class TorchAdapter:
    """Tensors as they are, with subnormals flushed, and in compiled graphs; layers of `bfpemu.torch`."""

    dtypes = tuple(DTYPES)

    def __init__(self, *modes: str) -> None:
        self.modes = modes

    def quantize(
        self, values: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, seed: int | None = None
    ) -> AnyArray:
        return array_of(run(mode, lambda x: bfp_quantize(x, format, axis, seed=seed), tensor_of(values)))

    def gradient(
        self, values: AnyArray, upstream: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, ste: str
    ) -> AnyArray:
        x = tensor_of(values).requires_grad_()
        run(mode, lambda given: bfp_quantize(given, format, axis, ste=ste), x).backward(tensor_of(upstream))
        return array_of(x.grad)

    def second_derivative(self, values: AnyArray, format: FormatLike) -> AnyArray:
        x = tensor_of(values).requires_grad_()
        (first,) = torch.autograd.grad((bfp_quantize(x, format) ** 2).sum(), x, create_graph=True)
        return array_of(torch.autograd.grad(first.sum(), x)[0])

    def dense(
        self, inputs: AnyArray, weights: AnyArray, bias: AnyArray | None, *, mode: str, step: int = 0, **options: Any
    ) -> AnyArray:
        return array_of(run(mode, linear_layer(weights, bias, step, options), tensor_of(inputs)))

    def dense_gradients(
        self, inputs: AnyArray, weights: AnyArray, upstream: AnyArray, *, step: int = 0, **options: Any
    ) -> tuple[AnyArray, AnyArray]:
        layer, x = linear_layer(weights, None, step, options), tensor_of(inputs).requires_grad_()
        layer(x).backward(tensor_of(upstream))
        return array_of(x.grad), array_of(layer.weight.grad.t())

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
        layer = convolution(kernel, bias, step, groups, options)
        return array_of(run(mode, layer, tensor_of(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1))

    def conv2d_gradients(
        self, images: AnyArray, kernel: AnyArray, upstream: AnyArray, *, step: int = 0, **options: Any
    ) -> tuple[AnyArray, AnyArray]:
        layer, x = convolution(kernel, None, step, 1, options), tensor_of(images).requires_grad_()
        layer(x.permute(0, 3, 1, 2)).backward(tensor_of(upstream).permute(0, 3, 1, 2))
        return array_of(x.grad), array_of(layer.weight.grad.permute(2, 3, 1, 0))


def tensor_of(values: AnyArray) -> torch.Tensor:
    return as_tensor(values.copy())


def array_of(tensor: torch.Tensor) -> AnyArray:
    return np.array(as_array(tensor))


def run(mode: str, function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    if mode == "compiled":
        torch.compiler.reset()
        # The graph is captured and differentiated; the operator is one opaque node in it.
        return torch.compile(function, fullgraph=True, backend="aot_eager")(x)
    torch.set_flush_denormal(mode == "flushed")
    try:
        return function(x)
    finally:
        torch.set_flush_denormal(False)


def fill(layer: torch.nn.Module, weight: AnyArray, bias: AnyArray | None, step: int) -> None:
    with torch.no_grad():
        layer.weight.copy_(tensor_of(weight))
        if bias is not None:
            layer.bias.copy_(tensor_of(bias))
    for _ in range(step):
        next_step(layer)


def linear_layer(weights: AnyArray, bias: AnyArray | None, step: int, options: dict[str, Any]) -> BFPLinear:
    layer = BFPLinear(*weights.shape, bias=bias is not None, **options)
    fill(layer, weights.T, bias, step)
    return layer


def convolution(kernel: AnyArray, bias: AnyArray | None, step: int, groups: int, options: dict[str, Any]) -> BFPConv2d:
    rows, columns, inputs, outputs = kernel.shape
    layer = BFPConv2d(groups * inputs, outputs, (rows, columns), groups=groups, bias=bias is not None, **options)
    fill(layer, kernel.transpose(3, 2, 0, 1), bias, step)
    return layer


class TestQuantizer(QuantizerContract):
    adapter = TorchAdapter("eager", "flushed")


class TestLayers(LayerContract):
    adapter = TorchAdapter("eager", "flushed", "compiled")


class TestCompiledQuantizer(QuantizerContract):
    """All but refusals: an error in a graph is the compiler's."""

    adapter = TorchAdapter("compiled")
    test_what_cannot_be_done_is_refused_with_a_code = None
    test_integers_and_complex_numbers_are_refused = None


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.to_sparse(),
        lambda x: torch.nested.nested_tensor([x[0], x[1, :5]], layout=torch.jagged),
    ],
    ids=["sparse", "nested"],
)
def test_tensors_that_are_not_dense_are_refused(make: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(BfpError) as refused:
        bfp_quantize(make(torch.eye(32)))
    assert refused.value.code == "data-type"


@pytest.mark.parametrize("seed", [torch.tensor(1.5), torch.tensor([1, 2]), torch.tensor(True)], ids=str)
def test_a_seed_is_one_integer(seed: torch.Tensor) -> None:
    with pytest.raises(BfpError) as refused:
        bfp_quantize(torch.eye(32), rounding="stochastic", seed=seed)
    assert refused.value.code == "random-words"


@pytest.mark.parametrize("axis", [True, 1.0, (0, 1)])
def test_an_axis_is_a_number(axis: Any) -> None:
    with pytest.raises(BfpError) as refused:
        bfp_quantize(torch.eye(32), axis=axis)
    assert refused.value.code == "axis"
