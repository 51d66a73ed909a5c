"""Forward products through an emulated unit (spec 6), as opaque operators; gradients pass straight through.

A float32 product takes the place of the unit in the rows in which it provably has the same bits.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bfpemu.arithmetic.unit import DotProductUnit, Result
from bfpemu.formats import Rounding
from bfpemu.formats import unit as formats
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit_serialise import unit_from_dict, unit_to_dict
from bfpemu.tensor import BFPTensor
from bfpemu.torch.certificate import certified_rows, significand_bits
from bfpemu.torch.format_text import preset_of
from bfpemu.torch.kernels import as_array, as_tensor, seeded_words

_PADDING_MODES: dict[str, Any] = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""What NumPy calls a ``padding_mode``."""
_SCHEMA = "(Tensor x, Tensor weight, Tensor x_q, Tensor weight_q, str[] texts, Tensor? seed) -> Tensor"


def unit_text(unit: formats.DotProductUnit) -> str:
    """Return a unit as one text, for the operators."""
    return json.dumps(unit_to_dict(unit), sort_keys=True)


@lru_cache(maxsize=64)
def _unit(text: str) -> DotProductUnit:
    return unit_from_dict(json.loads(text), DotProductUnit)


@torch.library.custom_op("bfpemu::emulated_linear", mutates_args=(), schema=_SCHEMA)
def emulated_linear(
    x: Tensor, weight: Tensor, x_q: Tensor, weight_q: Tensor, texts: list[str], seed: Tensor | None
) -> Tensor:
    """Return ``x @ weight.T`` as a unit computes it.

    Parameters
    ----------
    x, weight : Tensor, shapes (..., K) and (N, K)
    x_q, weight_q : Tensor
        The same, quantised.
    texts : list of str
        The formats of x and of the weight, and the unit.
    seed : Tensor, optional
        For stochastic rounding: of both operands, whose slots are their streams.
    """
    act, of_weight, unit = preset_of(texts[0]), preset_of(texts[1]), _unit(texts[2])
    rows = as_array(x.cpu()).reshape(-1, x.shape[-1])
    product = np.empty((len(rows), len(weight)), np.float32)
    left = np.ones(len(rows), np.bool_)
    bits = significand_bits(unit)
    if (
        bits is not None
        and isinstance(act.format.block_size, int)
        and act.conversion.rounding is not Rounding.STOCHASTIC
    ):
        taken = as_array(x_q.cpu().float()).reshape(rows.shape)
        columns = as_array(weight_q.cpu().float())
        left = ~certified_rows(taken, columns, bits)
        # NumPy's product is float32 throughout, whatever precision torch was told to multiply in; zeros are +0.
        product[~left] = taken[~left] @ columns.T + np.float32(0)
    if left.any():
        words = _words(act, seed, 0, tuple(x.shape))
        a = BFPTensor(
            rows[left] if not left.all() else rows,
            act,
            random_words=None if words is None else words.reshape(rows.shape),
        )
        kernel = as_array(weight.cpu())
        b = BFPTensor(kernel, of_weight, random_words=_words(of_weight, seed, 1, kernel.shape))
        product[left] = _numbers(unit.matmul(a, _transposed(b), threads=torch.get_num_threads()))
    return as_tensor(product).reshape(*x.shape[:-1], len(weight)).to(x_q)


@emulated_linear.register_fake
def _emulated_linear_fake(
    x: Tensor, weight: Tensor, x_q: Tensor, weight_q: Tensor, texts: list[str], seed: Tensor | None
) -> Tensor:
    return x_q.new_empty((*x.shape[:-1], weight.shape[0]))


@torch.library.custom_op(
    "bfpemu::emulated_convolution",
    mutates_args=(),
    schema="(Tensor x, Tensor weight, str[] texts, Tensor? seed, int[] stride, int[] dilation, int groups, "
    "int[] around, str mode) -> Tensor",
)
def emulated_convolution(
    x: Tensor,
    weight: Tensor,
    texts: list[str],
    seed: Tensor | None,
    stride: list[int],
    dilation: list[int],
    groups: int,
    around: list[int],
    mode: str,
) -> Tensor:
    """Return the convolution of padded images (N, C, H, W) with kernels as a unit computes it (spec 6.14).

    `around` and `mode` say how the images were padded: left, right, top and bottom, and the ``padding_mode`` of
    the layer. Random words are those of the images without padding (spec 14.6), padded likewise.
    """
    act, of_weight, unit = preset_of(texts[0]), preset_of(texts[1]), _unit(texts[2])
    left, right, top, bottom = around
    inner = (*x.shape[:2], x.shape[2] - top - bottom, x.shape[3] - left - right)
    words = _words(act, seed, 0, inner)
    if words is not None:
        words = np.pad(words, ((0, 0), (0, 0), (top, bottom), (left, right)), _PADDING_MODES[mode])
    a = BFPTensor(as_array(x.cpu()), act, axis=1, random_words=words)
    kernels = as_array(weight.cpu())
    b = BFPTensor(kernels, of_weight, axis=1, random_words=_words(of_weight, seed, 1, kernels.shape))
    steps: dict[str, Any] = {"stride": tuple(stride), "dilation": tuple(dilation), "groups": groups}
    found = unit.conv2d(a, b, **steps, threads=torch.get_num_threads())
    return as_tensor(_numbers(found)).to(x)


@emulated_convolution.register_fake
def _emulated_convolution_fake(
    x: Tensor,
    weight: Tensor,
    texts: list[str],
    seed: Tensor | None,
    stride: list[int],
    dilation: list[int],
    groups: int,
    around: list[int],
    mode: str,
) -> Tensor:
    lengths = [(x.shape[2 + i] - dilation[i] * (weight.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in range(2)]
    return x.new_empty((x.shape[0], weight.shape[0], *lengths))


def _words(preset: Preset, seed: Tensor | None, stream: int, shape: tuple[int, ...]) -> Any:
    """Return a random word for each element of an array, where its conversion takes them."""
    if preset.conversion.rounding is not Rounding.STOCHASTIC:
        return None
    return seeded_words(np.empty(shape, np.uint8), seed, stream)


def _transposed(tensor: BFPTensor) -> BFPTensor:
    """Return a matrix of rows in blocks as one of columns in blocks; no code changes."""
    axis = None if tensor.axis is None else 0
    exponents = tensor.exponent_codes if axis is None else tensor.exponent_codes.T
    shifts = tensor.shift_codes if axis is None else tensor.shift_codes.swapaxes(0, 1)
    return BFPTensor.from_codes(exponents, tensor.element_codes.T, tensor.preset, axis, shift_codes=shifts)


def _numbers(result: Result) -> np.ndarray[Any, Any]:
    found = result.dequantize(np.float32) if isinstance(result, BFPTensor) else result
    return np.ascontiguousarray(found)
