"""Layers whose products an emulated unit computes, and where a float32 product may take its place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bfpemu import Accumulator, BFPTensor, DotProductUnit, unit
from bfpemu.adapters.configuration import Slot
from bfpemu.catalog import resolve
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec
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


def certified_and_compared(x: np.ndarray, weight: np.ndarray, format: str, device: DotProductUnit) -> int:
    """Return how many rows are certified, after they were compared with those of the unit, in two orders."""
    rows = certified_rows(x, weight, significand_bits(device))
    wanted = emulated(x, weight, format, device)
    with np.errstate(all="ignore"):  # what is not certified may overflow
        found = x @ weight.T + np.float32(0)
        halves = x[:, 50:] @ weight[:, 50:].T + x[:, 49::-1] @ weight[:, 49::-1].T
    assert found[rows].tobytes() == wanted[rows].tobytes()
    assert (halves + np.float32(0))[rows].tobytes() == wanted[rows].tobytes()
    return int(rows.sum())


@pytest.mark.parametrize("device", [unit("fp32_sequential"), unit("exact")], ids=["fp32", "exact"])
def test_certified_rows_of_any_numbers_have_the_bits_of_the_unit(device):
    random = np.random.default_rng(7)
    certified = 0
    for spread, scale in ((0, 0), (4, 60), (9, -70), (2, 63)):
        shape = (40, 96)
        x = random.standard_normal(shape) * 2.0 ** (random.integers(-spread, spread + 1, shape) + scale)
        weight = random.standard_normal((5, 96)) * 2.0 ** random.integers(-spread, spread + 1, (5, 96))
        x = BFPTensor(x.astype(np.float32), "bfp8").dequantize()
        weight = BFPTensor((weight * 2.0**scale).astype(np.float32), "bfp8").dequantize()
        certified += certified_and_compared(x, weight, "bfp8", device)
    assert certified > 0


@pytest.mark.parametrize("scale", [-60, 0, 60])
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
def test_certified_rows_have_the_bits_of_the_unit(format, device, scale):
    random = np.random.default_rng(7)
    x = random.integers(-7, 8, (40, 96)).astype(np.float32) * np.float32(2.0**scale)
    weight = random.integers(-7, 8, (5, 96)).astype(np.float32)
    assert (BFPTensor(x, format).dequantize() == x).all()
    assert certified_and_compared(x, weight, format, device) == len(x)


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


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_stochastic_rounding_draws_for_the_images_and_not_for_their_padding(padding_mode):
    torch.manual_seed(0)
    options = {"weight_format": "bfp4", "rounding": "stochastic", "seed": 3}
    plain = BFPConv2d(37, 4, 3, padding=(1, 2), padding_mode=padding_mode, config=QATConfig(**options))
    unit_layer = BFPConv2d(
        37, 4, 3, padding=(1, 2), padding_mode=padding_mode, config=QATConfig(**options, accumulator="exact")
    )
    with torch.no_grad():
        # Whole numbers, so that no addition of the plain product rounds.
        for parameter in plain.parameters():
            parameter.copy_(torch.randint(-99, 99, parameter.shape))
    unit_layer.load_state_dict(plain.state_dict())
    x = torch.randint(-99, 99, (2, 37, 6, 5)).float()
    assert torch.equal(unit_layer(x), plain(x))
    assert torch.equal(unit_layer(x[0]), plain(x[0]))


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "circular"])
@pytest.mark.parametrize("groups", [1, 2])
def test_backward_products_draw_for_the_images_and_not_for_their_padding(padding_mode, groups):
    # In units of 16 the largest element is 112, so the words decide which of 112 to 127 saturate.
    act = resolve((4, 32)).with_(exponent_rule="floor")
    options = {"weight_format": None, "act_format": act, "rounding": "stochastic", "seed": 3, "ste": "clip"}
    arguments = {"padding": (1, 2), "padding_mode": padding_mode, "groups": groups, "bias": False}
    plain = BFPConv2d(36, 4, 3, **arguments, config=QATConfig(**options))
    # Gradients in a format that holds them exactly, so that the masks alone could differ.
    other = BFPConv2d(36, 4, 3, **arguments, config=QATConfig(**options, grad_format=(24, 1)))
    torch.manual_seed(0)
    with torch.no_grad():
        plain.weight.copy_(torch.randint(1, 4, plain.weight.shape))
    other.load_state_dict(plain.state_dict())
    x = torch.randint(80, 128, (33, 36, 6, 5)).float()
    gradients = []
    for layer in (plain, other):
        given = x.clone().requires_grad_()
        layer(given).sum().backward()
        gradients.append(given.grad)
    assert 0 < (gradients[0] == 0).sum() < x.numel()
    assert torch.equal(*gradients)

    # The activation of the second product is that of the images, padded afterwards.
    step = other.rounding_step
    images = other.operands.quantized(x, Slot.DW_ACT, 0, step, (0, 2, 3, 1))
    margins = [2, 2, 1, 1]
    padded = torch.nn.functional.pad(images, margins, mode="constant" if padding_mode == "zeros" else padding_mode)
    kernel = other.weight.detach().clone().requires_grad_()
    torch.nn.functional.conv2d(padded, kernel, groups=groups).sum().backward()
    assert torch.equal(other.weight.grad, kernel.grad)


def test_units_and_layers_that_do_not_fit_are_refused():
    for refused in (
        lambda: QATConfig(accumulator="fp33"),
        lambda: QATConfig(accumulator="exact", quantize_input=False),
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


@pytest.mark.parametrize(
    "format, x, weight, wanted",
    [
        (BFPSpec("wide", 28, 2), [1 + 2.0**-25, -1], [1, 1], 2.0**-25),
        (BFPSpec("far", 4, 2, exponent_bits=11), [2.0**-160, 0], [2.0**100, 0], 2.0**-60),
    ],
    ids=["significands", "exponents"],
)
def test_doubles_that_float32_does_not_hold_go_to_the_unit(format, x, weight, wanted):
    layer = BFPLinear(2, 1, bias=False, weight_format=format, accumulator="exact", dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weight]))
    assert layer(torch.tensor(x, dtype=torch.float64)).tolist() == [wanted]
