"""Forward products through an emulated unit (spec 6), as opaque operators; gradients pass straight through.

A float32 product takes the place of the unit in the rows in which it provably has the same bits.
"""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bfpemu.adapters.configuration import Slot
from bfpemu.adapters.emulated import AnyArray, Emulator, Geometry, Margins, emulator
from bfpemu.adapters.seeds import is_stochastic
from bfpemu.adapters.text import preset_of, resolved_unit
from bfpemu.formats.preset import Preset
from bfpemu.torch.certificate import certified_rows, significand_bits
from bfpemu.torch.kernels import as_array, as_tensor, seeded_words

_PADDING_MODES: dict[str, Margins] = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}
"""What NumPy calls a ``padding_mode``."""
_SCHEMA = "(Tensor x, Tensor weight, Tensor x_q, Tensor weight_q, str[] texts, Tensor? seed) -> Tensor"


@lru_cache(maxsize=64)
def _emulator(act: str, weight: str, unit: str) -> Emulator:
    return emulator(resolved_unit(json.loads(unit)), preset_of(act), preset_of(weight))


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
    found = _emulator(*texts)
    rows = as_array(x.cpu()).reshape(-1, x.shape[-1])
    product = np.empty((len(rows), len(weight)), np.float32)
    left = np.ones(len(rows), np.bool_)
    bits = significand_bits(found.unit)
    if (
        bits is not None
        and isinstance(found.act.format.block_size, int)
        and not is_stochastic(found.act)
        and _holds(x_q, found.act)
        and _holds(weight_q, found.weight)
    ):
        taken = as_array(x_q.cpu().float()).reshape(rows.shape)
        columns = as_array(weight_q.cpu().float())
        left = ~certified_rows(taken, columns, bits)
        # NumPy's product is float32 throughout, whatever precision torch was told to multiply in; zeros are +0.
        product[~left] = taken[~left] @ columns.T + np.float32(0)
    if left.any():
        columns = as_array(weight.cpu()).T
        words = _words(found.act, seed, Slot.ACT, rows), _words(found.weight, seed, Slot.WEIGHT, columns)
        given = rows[left] if not left.all() else rows
        product[left] = found.matmul(given, columns, *words, threads=torch.get_num_threads())
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
    """Return the convolution of images (N, C, H, W) with kernels as a unit computes it (spec 6.14).

    `around` and `mode` say what lies around the images: left, right, top and bottom, and the ``padding_mode`` of
    the layer.
    """
    found = _emulator(*texts)
    left, right, top, bottom = around
    padding, margins = ((top, bottom), (left, right)), _PADDING_MODES[mode]
    geometry = Geometry(tuple(stride), padding, tuple(dilation), groups, margins)
    images, kernels = as_array(x.cpu()), as_array(weight.cpu())
    words = (
        _words(found.act, seed, Slot.ACT, images, (0, 2, 3, 1)),
        _words(found.weight, seed, Slot.WEIGHT, kernels, (2, 3, 1, 0)),
    )
    product = found.conv2d(images, kernels, *words, geometry=geometry, threads=torch.get_num_threads())
    return as_tensor(np.ascontiguousarray(product)).to(x)


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
    left, right, top, bottom = around
    geometry = Geometry(tuple(stride), ((top, bottom), (left, right)), tuple(dilation))
    return x.new_empty((x.shape[0], weight.shape[0], *geometry.places(x.shape[2:], weight.shape[2:])))


def _holds(quantised: Tensor, preset: Preset) -> bool:
    """Return whether a quantised operand has the numbers of its codes in float32, too.

    A format with more bits than the dtype was rounded to it, and numbers of a float64 operand need not be float32's.
    """
    if quantised.dtype == torch.float64:
        return bool((quantised == quantised.float()).all())
    return preset.format.magnitude_bits <= {torch.float16: 11, torch.bfloat16: 8}.get(quantised.dtype, 24)


def _words(
    preset: Preset, seed: Tensor | None, stream: int, array: AnyArray, order: tuple[int, ...] | None = None
) -> AnyArray | None:
    """Return a random word for each element of an array, where its conversion takes them (spec 14.13)."""
    if not is_stochastic(preset):
        return None
    if order is None:
        return seeded_words(array, seed, stream)
    return seeded_words(array.transpose(order), seed, stream).transpose([order.index(axis) for axis in range(4)])
