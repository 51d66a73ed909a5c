"""A reader of `.bfp` files, version 1 (spec 7), in the standard library alone.

It is here as proof that the files can be read with the specification and nothing else. It is frozen: later
versions of the package may not change it, and must write files that it reads. Numbers are computed
in exact fractions, so it is slow. It looks at magic, version and length, and leaves the other rules of 7.11
and the hashes alone: xxh3-64 is not in the standard library. Damaged files are for the package to find.

    python read_bfp.py FILE.bfp
"""

import json
import struct
import sys
from fractions import Fraction
from math import prod

FLOATS = {"float64": (11, 52), "float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
"""Exponent bits and fraction bits of the dtypes that tensors decode to."""


def read(data):
    """Return {name: tensor} of a file's bytes; a tensor is a dictionary, see `read_tensor`."""
    start = struct.unpack("<8sHHIQQQQQQ", data[:64])
    magic, major, _, features, offset, length, size, _, zero, _ = start
    if (magic, major, features, zero, size) != (b"\x89BFP\r\n\x1a\n", 1, 0, 0, len(data)) or offset == 0:
        raise ValueError("this must be a whole .bfp file of version 1")
    header = json.loads(data[offset : offset + length])
    specs = header["specs"]
    return {tensor["name"]: read_tensor(data, tensor, specs[tensor["spec"]]["decode"]) for tensor in header["tensors"]}


def read_tensor(data, tensor, spec):
    """Return shape, axis and dtype of a tensor, its codes, and its numbers as bit patterns of the dtype.

    `exponent_codes` and `shift_codes` are in the order of the planes, `element_codes` and `bits` in C order.
    """
    if spec["layout"] != "bfp-planar-1":
        raise ValueError(f"the layout must be bfp-planar-1, got {spec['layout']}")
    shape, axis = tensor["shape"], tensor["axis"]
    rows, blocks, size, place = blocking(shape, axis, spec["block_size"])
    planes = {part["role"]: data[part["offset"] : part["offset"] + part["nbytes"]] for part in tensor["segments"]}
    per_block = size // spec["sub_block_size"] if spec["sub_shift_bits"] else 0
    exponents = codes(planes["exponents"], rows, blocks, spec["exponent_bits"])
    shifts = codes(planes.get("shifts", b""), rows, blocks * per_block, spec["sub_shift_bits"])
    elements = codes(planes["elements"], rows, blocks * size, spec["mantissa_bits"])
    in_order, bits = [], []
    for position in range(prod(shape)):
        row, block, slot = place(position)
        exponent = exponents[row * blocks + block]
        code = elements[(row * blocks + block) * size + slot]
        shift = shifts[(row * blocks + block) * per_block + slot // spec["sub_block_size"]] if per_block else 0
        in_order.append(code)
        bits.append(to_bits(*value(code, exponent, shift, spec), *FLOATS[tensor["dtype"]]))
    return {
        "shape": shape,
        "axis": axis,
        "dtype": tensor["dtype"],
        "exponent_codes": exponents,
        "shift_codes": shifts,
        "element_codes": in_order,
        "bits": bits,
    }


def codes(plane, rows, count, width):
    """Return the codes of a plane: `count` of `width` bits a row, least significant first, rows on bytes (7.4)."""
    row_bytes = -(-count * width // 8)
    numbers = (int.from_bytes(plane[row * row_bytes : (row + 1) * row_bytes], "little") for row in range(rows))
    return [number >> (index * width) & (1 << width) - 1 for number in numbers for index in range(count)]


def blocking(shape, axis, block_size):
    """Return rows, blocks of a row, elements of a block, and where an element sits (chapter 4)."""
    if block_size is None or axis is None:
        elements = prod(shape)
        size = (elements or 1) if block_size is None else block_size
        return 1, -(-elements // size), size, lambda position: (0, position // size, position % size)
    counts = block_size if isinstance(block_size, list) else [block_size]
    first = axis + 1 - len(counts)
    others, blocked = shape[:first] + shape[axis + 1 :], shape[first : axis + 1]
    grid = [-(-length // count) for length, count in zip(blocked, counts)]

    def place(position):
        index = []
        for length in reversed(shape):
            position, digit = divmod(position, length)
            index.insert(0, digit)
        inner = index[first : axis + 1]
        return (
            flat(index[:first] + index[axis + 1 :], others),
            flat([digit // count for digit, count in zip(inner, counts)], grid),
            flat([digit % count for digit, count in zip(inner, counts)], counts),
        )

    return prod(others), prod(grid), prod(counts), place


def flat(index, shape):
    """Return the position of an index in C order."""
    position = 0
    for digit, length in zip(index, shape):
        position = position * length + digit
    return position


def value(code, exponent, shift, spec):
    """Return kind, sign and magnitude of an element: "number", "infinity" or "nan" (2.2 to 2.7)."""
    all_ones, bias = (1 << spec["exponent_bits"]) - 1, spec["exponent_bias"]
    if exponent == all_ones and spec["exponent_reserved"] != "none":
        return ("nan" if spec["exponent_reserved"] == "nan" else "number"), 0, Fraction(0)
    sign_bit = 1 << (spec["mantissa_bits"] - 1)
    significand, sign = code, 0
    if spec["encoding"] != "unsigned" and code >= sign_bit:
        sign = 1
        significand = code - sign_bit if spec["encoding"] == "sign_magnitude" else 2 * sign_bit - code
    if significand == 0:
        meaning = spec["negative_zero_code"] if sign else "zero"
        if meaning == "negative_infinity":
            return "infinity", 1, Fraction(0)
        if meaning == "all_ones_exponent":
            return "number", 1, Fraction(2) ** (all_ones - bias)
        return "number", int(meaning == "negative_zero"), Fraction(0)
    field = exponent - shift + significand.bit_length() - 1 - spec["fraction_bits"]
    underflow = spec["decode_underflow"]
    if field < {"flush": 1, "flush_below_zero": 0, "pattern": 0}.get(underflow, field):
        return "number", 0, Fraction(0)
    if underflow not in ("pattern", "wrap"):
        return "number", sign, significand * Fraction(2) ** (exponent - shift - bias - spec["fraction_bits"])
    field %= all_ones + 1
    fraction = Fraction(significand, 1 << (significand.bit_length() - 1)) - 1
    if field == all_ones:
        return ("nan" if fraction else "infinity"), sign, fraction
    if field == 0:
        return "number", sign, fraction * Fraction(2) ** (1 - bias)
    return "number", sign, (1 + fraction) * Fraction(2) ** (field - bias)


def to_bits(kind, sign, magnitude, exponent_bits, fraction_bits):
    """Return the bit pattern of a value in a float dtype, rounded once, ties to even (2.10)."""
    sign <<= exponent_bits + fraction_bits
    infinity = (1 << exponent_bits) - 1 << fraction_bits
    if kind == "nan":
        return sign | infinity | (int(magnitude * (1 << fraction_bits)) or 1 << (fraction_bits - 1))
    if kind == "infinity":
        return sign | infinity
    if magnitude == 0:
        return sign
    lowest = 2 - (1 << (exponent_bits - 1))
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent = max(exponent - (magnitude < Fraction(2) ** exponent), lowest)
    units = round(magnitude / Fraction(2) ** (exponent - fraction_bits))  # Python rounds ties to even
    return sign | min((exponent - lowest << fraction_bits) + units, infinity)


def main():
    """Print every tensor of the file that is named."""
    with open(sys.argv[1], "rb") as file:
        tensors = read(file.read())
    for name, tensor in tensors.items():
        digits = sum(FLOATS[tensor["dtype"]]) // 4 + 1
        print(repr(name), tensor["dtype"], tensor["shape"], *(f"{bits:0{digits}x}" for bits in tensor["bits"]))


if __name__ == "__main__":
    main()
