"""Tensors of codes as initialisers and blocked `DequantizeLinear` (spec 16.2, 16.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

from bfpemu.errors import DataError, SpecError
from bfpemu.formats import ReservedExponent
from bfpemu.formats.preset import Preset
from bfpemu.onnx.operations import FLOATS
from bfpemu.onnx.text import described
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]

_SIGNED = {2: ml_dtypes.int2, 4: ml_dtypes.int4, 8: np.int8, 16: np.int16, 32: np.int32}
_UNSIGNED = {2: ml_dtypes.uint2, 4: ml_dtypes.uint4, 8: np.uint8, 16: np.uint16, 32: np.int32}
_SMALLEST, _LARGEST = -149, 127
"""Exponents of the powers of two that float32 has."""
_QUIET_NAN = 0x7FC00000


@dataclass(frozen=True, slots=True)
class Weight:
    """What a graph needs to have the numbers of one tensor."""

    nodes: list[NodeProto]
    """The last one's output has the numbers."""
    initializers: list[TensorProto]


def weight(tensor: BFPTensor, name: str, stem: str | None = None) -> Weight:
    """Return a tensor as integers, scales that are powers of two, and nodes that multiply them.

    Parameters
    ----------
    tensor : BFPTensor
    name : str
        Of the value that has the numbers.
    stem : str, optional
        What names of initialisers start with; `name` unless given.

    Returns
    -------
    Weight
        Its value has the shape and the dtype of the tensor, and the bits of `BFPTensor.dequantize`.

    Raises
    ------
    SpecError
        ``onnx``, for elements of more than 24 bits without the sign.
    DataError
        ``onnx``, for a number that is no product of an integer and a power of two in float32: an element of -0,
        one that decodes to a pattern of its own, one outside the range of float32.

    Examples
    --------
    >>> found = weight(BFPTensor(np.array([1.0, -1.5, 0.01], np.float32), "bfp8"), "w")
    >>> numpy_helper.to_array(found.initializers[0]).tolist(), numpy_helper.to_array(found.initializers[1]).tolist()
    ([64, -96, 1], 0.015625)
    >>> [node.op_type for node in found.nodes]
    ['DequantizeLinear']
    """
    preset, stem = tensor.preset, stem or name
    if preset.format.magnitude_bits > 24:
        raise SpecError(
            "onnx",
            "elements must have at most 24 bits without the sign, which DequantizeLinear keeps (spec 16.2), "
            f"got {preset.format.magnitude_bits} in {preset.name!r} of {name!r}; export the numbers as float32",
        )
    elements, scales, attributes = _scaled(tensor)
    _check_numbers(tensor, name, elements, scales, attributes)
    return _multiplied(tensor, name, stem, elements, scales, attributes)


def plain_weight(array: AnyArray, name: str) -> Weight:
    """Return an array that is not quantised, in its own dtype."""
    initializer = numpy_helper.from_array(array, f"{name}.words")
    return Weight([helper.make_node("Identity", [initializer.name], [name], name=name)], [initializer])


def _multiplied(
    tensor: BFPTensor,
    name: str,
    stem: str,
    elements: AnyArray,
    scales: npt.NDArray[np.float32],
    attributes: dict[str, int],
) -> Weight:
    """Return initialisers, and the nodes that make the tensor of them."""
    # Of a matrix blocked along its first axis the transpose is written: onnxruntime 1.32 takes blocked integers
    # before a product as leave to round the other operand to 8 bits (`MatMulNBits`).
    is_turned = attributes.get("axis") == 0 and elements.ndim == 2
    if is_turned:
        elements, scales, attributes = elements.T, scales.T, attributes | {"axis": 1}
    kinds = _SIGNED if tensor.format.has_sign else _UNSIGNED
    bits = next(bits for bits in kinds if bits >= tensor.format.mantissa_bits)
    initializers = [
        numpy_helper.from_array(np.ascontiguousarray(elements).astype(kinds[bits]), f"{stem}.elements"),
        numpy_helper.from_array(scales.copy(), f"{stem}.scales"),
    ]
    inputs = [each.name for each in initializers]
    steps: list[tuple[str, list[str], dict[str, Any]]] = [("DequantizeLinear", inputs, attributes)]
    if is_turned:
        steps.append(("Transpose", [], {"perm": [1, 0]}))
    elif elements.shape != tensor.shape:
        initializers.append(numpy_helper.from_array(np.array(tensor.shape, np.int64), f"{stem}.shape"))
        steps.append(("Reshape", [initializers[-1].name], {"allowzero": 1}))
    if tensor.dtype != np.float32:
        steps.append(("Cast", [], {"to": FLOATS[tensor.dtype.name]}))
    return Weight(_chain(steps, name, tensor.preset, tensor.axis), initializers)


def _chain(
    steps: list[tuple[str, list[str], dict[str, Any]]], name: str, preset: Preset, axis: int | None
) -> list[NodeProto]:
    """Return nodes each of which takes what the one before it gives; the last gives `name`."""
    nodes: list[NodeProto] = []
    for number, (operator, inputs, attributes) in enumerate(steps):
        output = name if number == len(steps) - 1 else f"{name}.{operator.lower()}"
        before = [nodes[-1].output[0]] if nodes else []
        nodes.append(helper.make_node(operator, [*before, *inputs], [output], name=output, **attributes))
    for key, text in described(preset, axis).items():
        nodes[0].metadata_props.add(key=key, value=text)
    return nodes


def _scaled(tensor: BFPTensor) -> tuple[AnyArray, npt.NDArray[np.float32], dict[str, int]]:
    """Return significands, scales and the attributes of `DequantizeLinear`."""
    spec = tensor.format
    elements, places = tensor.mantissas, tensor.exponents - spec.fraction_bits
    reserved = np.zeros(places.shape, bool)
    if spec.exponent_reserved is not ReservedExponent.NONE:
        reserved = tensor.exponent_codes == (1 << spec.exponent_bits) - 1
    size, axis = spec.block_size, tensor.axis
    if axis is None:
        elements, axis = elements.reshape(-1), 0
    if spec.sub_block_size is not None:
        places = _merged(places[..., None] - tensor.shift_codes.astype(np.int32), axis)
        reserved = np.repeat(reserved, tensor.shift_codes.shape[-1], axis)
        size = spec.sub_block_size
    scales = _powers_of_two(places)
    scales[reserved] = np.uint32(_QUIET_NAN).view(np.float32) if spec.exponent_reserved is ReservedExponent.NAN else 0
    if size is None:
        return elements, scales.reshape(()), {}
    if isinstance(size, tuple):
        for number, count in enumerate(size[:-1], axis + 1 - len(size)):
            scales = _spread(scales, number, count, elements.shape[number])
        size = size[-1]
    # Codes may end with sub-blocks that no element lies in.
    scales = scales.take(range(-(-elements.shape[axis] // size)), axis)
    if scales.size == 1:  # a single scale is that of the whole tensor, and takes no block_size
        return elements, scales.reshape(()), {}
    return elements, scales, {"axis": axis, "block_size": size}


def _merged(places: AnyArray, axis: int) -> AnyArray:
    """Return exponents of sub-blocks, the last axis, in the order of the blocked axis."""
    moved = np.moveaxis(places, -1, axis + 1)
    return moved.reshape(*moved.shape[:axis], moved.shape[axis] * moved.shape[axis + 1], *moved.shape[axis + 2 :])


def _spread(array: AnyArray, axis: int, count: int, length: int) -> AnyArray:
    """Return what stands for blocks as what stands for their elements."""
    return np.repeat(array, count, axis).take(range(length), axis)


def _powers_of_two(exponents: AnyArray) -> npt.NDArray[np.float32]:
    """Return ``2.0 ** exponents`` from its bits; exponents beyond float32 become the nearest that it has."""
    within = np.clip(exponents.astype(np.int64), _SMALLEST, _LARGEST)
    words = np.where(within >= -126, (within + 127) << 23, 1 << np.maximum(within - _SMALLEST, 0) % 23)
    return words.astype(np.uint32).view(np.float32)


def _check_numbers(
    tensor: BFPTensor, name: str, elements: AnyArray, scales: npt.NDArray[np.float32], attributes: dict[str, int]
) -> None:
    """Refuse a tensor whose products are not its numbers, bit for bit."""
    if attributes:
        axis = attributes["axis"]
        scales = _spread(scales, axis, attributes["block_size"], elements.shape[axis])
    with np.errstate(all="ignore"):
        products = (elements.astype(np.float32) * scales).astype(tensor.dtype).reshape(tensor.shape)
    numbers = tensor.dequantize()
    words = f"u{tensor.dtype.itemsize}"
    differs = np.argwhere(products.view(words) != numbers.view(words))
    if len(differs):
        at = tuple(differs[0].tolist())
        raise DataError(
            "onnx",
            "every number must be an integer times a power of two of float32 (spec 16.2), "
            f"got {numbers[at]} at {at} of {name!r} in {tensor.preset.name!r}, where DequantizeLinear gives "
            f"{products[at]}; export the numbers themselves, in a model with packs_weights=False",
        )
