"""Layers whose products an emulated unit computes, and where a float32 product may take its place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bfpemu import Accumulator, BFPTensor, DotProductUnit, unit
from bfpemu.errors import BfpError
from bfpemu.torch import BFPConv2d, BFPLinear, QATConfig
from bfpemu.torch.certificate import certified_rows, significand_bits

pytestmark = pytest.mark.slow

NARROW = DotProductUnit(accumulator=Accumulator(kind="float", format="fp24"))


def emulated(x: np.ndarray, weight: np.ndarray, format: str, device: DotProductUnit) -> np.ndarray:
    return device.matmul(BFPTensor(x, format), BFPTensor(weight.T.copy(), format, axis=0))


@pytest.mark.parametrize("name", ["fp32_sequential", "exact", "t_fdpa_25", NARROW], ids=str)
@pytest.mark.parametrize("spread", [0, 1, 6])
def test_a_linear_layer_has_the_bits_of_the_unit_and_the_gradient_of_its_operands(name, spread):
    random = np.random.default_rng(spread)
    device = unit(name) if isinstance(name, str) else name
    x = (random.standard_normal((9, 200)) * 2.0 ** random.integers(-spread, spread + 1, (9, 200))).astype(np.float32)
    weight = random.standard_normal((6, 200)).astype(np.float32)
    layer = BFPLinear(200, 6, accumulator=name)
    plain = BFPLinear(200, 6)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        plain.load_state_dict(layer.state_dict())
    inputs = [torch.from_numpy(x.copy()).requires_grad_() for _ in range(2)]
    y, float_y = layer(inputs[0]), plain(inputs[1])
    expected = torch.from_numpy(emulated(x, weight, "bfp8", device).astype(np.float32)) + layer.bias
    assert y.detach().numpy().tobytes() == expected.detach().numpy().tobytes()
    y.sum().backward()
    float_y.sum().backward()
    assert torch.equal(inputs[0].grad, inputs[1].grad)
    assert torch.equal(layer.weight.grad, plain.weight.grad)


@pytest.mark.parametrize(
    "format, device",
    [
        ("bfp4", NARROW),
        ("bfp8", unit("fp32_sequential")),
        ("bfp8", unit("exact")),
        ("bfp12", unit("fp32_sequential")),
        ("bfp16", unit("fp32_sequential")),
    ],
    ids=["bfp4-fp24", "bfp8-fp32", "bfp8-exact", "bfp12-fp32", "bfp16-fp32"],
)
def test_certified_rows_have_the_bits_of_the_unit(format, device):
    random = np.random.default_rng(7)
    bits = significand_bits(device)
    certified = 0
    for spread, scale in ((0, 0), (4, 60), (9, -70), (2, 63)):
        shape = (40, 96)
        x = random.standard_normal(shape) * 2.0 ** (random.integers(-spread, spread + 1, shape) + scale)
        weight = random.standard_normal((5, 96)) * 2.0 ** random.integers(-spread, spread + 1, (5, 96))
        x = BFPTensor(x.astype(np.float32), format).dequantize()
        weight = BFPTensor((weight * 2.0**scale).astype(np.float32), format).dequantize()
        rows = certified_rows(x, weight, bits)
        wanted = emulated(x, weight, format, device)
        with np.errstate(all="ignore"):  # what is not certified may overflow
            found = x @ weight.T + np.float32(0)
            halves = x[:, 50:] @ weight[:, 50:].T + x[:, 49::-1] @ weight[:, 49::-1].T
        assert found[rows].tobytes() == wanted[rows].tobytes()
        # In another order, as well.
        assert (halves + np.float32(0))[rows].tobytes() == wanted[rows].tobytes()
        certified += int(rows.sum())
    assert certified > 0 or format != "bfp8"


def test_what_leaves_the_range_of_normal_numbers_is_not_certified():
    one = np.ones((1, 4), np.float32)
    for value in (2.0**-127, 2.0**104, np.inf, np.nan):
        assert not certified_rows(one * np.float32(value), one, 24).any()
    assert not certified_rows(one * np.float32(2.0**-70), one * np.float32(2.0**-70), 24).any()
    assert not certified_rows(one, one * np.float32(np.nan), 24).any()
    assert certified_rows(one * 0, one, 24).all()


@pytest.mark.parametrize("padding", [0, 1, "same"])
def test_a_convolution_has_the_bits_of_the_unit(padding):
    torch.manual_seed(0)
    layer = BFPConv2d(37, 4, 3, accumulator="t_fdpa_25", padding=padding)
    x = torch.randn(2, 37, 6, 5, requires_grad=True)
    blocked = [BFPTensor(tensor.detach().numpy(), "bfp8", axis=1) for tensor in (x, layer.weight)]
    wanted = torch.from_numpy(unit("t_fdpa_25").conv2d(*blocked, padding=1 if padding == "same" else padding))
    y = layer(x)
    assert torch.equal(y, wanted + layer.bias.view(1, -1, 1, 1))
    y.sum().backward()
    assert x.grad.abs().sum() > 0
    assert torch.equal(layer(x[0]), y[0])


def test_units_and_layers_that_do_not_fit_are_refused():
    for refused in (
        lambda: QATConfig(accumulator="fp33"),
        lambda: QATConfig(accumulator="exact", act=None),
        lambda: QATConfig(accumulator=3),
    ):
        with pytest.raises(BfpError) as error:
            refused()
        assert error.value.code in ("unit", "unknown-unit")


def test_autocast_rounds_the_results_of_a_unit_and_not_its_operands():
    torch.manual_seed(0)
    layer = BFPLinear(32, 8, bias=False, weight_format="bfp12", accumulator="fp32_sequential")
    x = torch.randn(4, 32)
    wanted = layer(x).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), wanted)
