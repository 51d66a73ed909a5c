"""Cases of operations on elements (spec 6.12, 8.11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.formats.serialise import preset_to_dict, to_dict
from bfpemu.reference import EncodedTensor, add, multiply, negate, relu, requantize, subtract
from bfpemu.reference.elementwise import Target
from golden.case import json_text, spelled_codes
from golden.dot import Block, code_of
from golden.patterns import hex_words

BINARY: dict[str, Callable[[EncodedTensor, EncodedTensor, Target], EncodedTensor]] = {
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
}
UNARY: dict[str, Callable[[EncodedTensor, Target], EncodedTensor]] = {
    "negate": negate,
    "relu": relu,
    "requantize": requantize,
}


@dataclass(frozen=True)
class Elementwise:
    """One or two tensors, and what the result is encoded in."""

    name: str
    operands: tuple[EncodedTensor, ...]
    target: Target

    def record(self, operation: str) -> dict[str, Any]:
        """Return the operands, and the codes of the result or the error."""
        target = self.target
        record: dict[str, Any] = {"name": self.name, "shape": self.operands[0].shape}
        record |= {key: _spelled(operand) for key, operand in zip("ab", self.operands, strict=False)}
        record |= {"preset": target.preset.name, "axis": target.axis}
        if target.exponents is not None:
            record["exponents"] = list(target.exponents)
        if target.random_words is not None:
            record["random_words"] = hex_words(target.random_words, 32)
        try:
            if operation in UNARY:
                result = UNARY[operation](self.operands[0], target)
            else:
                result = BINARY[operation](*self.operands, target)
        except BfpError as error:
            return record | {"error": error.code}
        return record | spelled_codes(result)


def elementwise_texts() -> dict[str, str]:
    """Return the text of one file for each operation."""
    texts = {f"elementwise/{name}.json": _text(name, list(_binary_cases())) for name in BINARY}
    return texts | {f"elementwise/{name}.json": _text(name, list(_unary_cases())) for name in UNARY}


def _text(operation: str, cases: Sequence[Elementwise]) -> str:
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), sorted(names)
    formats = {operand.preset.name: operand.preset.format for case in cases for operand in case.operands}
    presets = {case.target.preset.name: case.target.preset for case in cases}
    head = {
        "function": operation,
        "formats": {name: to_dict(spec) for name, spec in formats.items()},
        "presets": {name: preset_to_dict(preset) for name, preset in presets.items()},
    }
    return json_text("elementwise", head, [case.record(operation) for case in cases])


def _spelled(operand: EncodedTensor) -> dict[str, Any]:
    return {"format": operand.preset.name, "axis": operand.axis} | spelled_codes(operand)


# --- operands -------------------------------------------------------------------------------

M8 = BFPSpec("m8_b4", 8, 4)
M4 = BFPSpec("m4_b2", 4, 2)
M16 = BFPSpec("m16_b8", 16, 8)
SIGN = BFPSpec("sign_magnitude", 8, 4, encoding="sign_magnitude")
LEVELS = BFPSpec("two_levels", 6, 4, sub_block_size=2, sub_shift_bits=3)
INFINITE = BFPSpec("minus_infinity_code", 8, 4, encoding="sign_magnitude", negative_zero_code="negative_infinity")
WRAPPING = BFPSpec("wraps", 8, 4, 5, encoding="sign_magnitude", exponent_reserved="none", decode_underflow="wrap")
FLUSHING = BFPSpec("flushes", 8, 4, 5, decode_underflow="flush")
ZEROS = BFPSpec("reserved_zero", 8, 4, exponent_reserved="zero")
WHOLE = BFPSpec("one_block", 12, None)
TILES = BFPSpec("blocks_of_2_by_2", 8, (2, 2))
WIDE = BFPSpec("m32_e11", 32, 4, 11)


def _tensor(
    spec: BFPSpec, *blocks: Block, shape: tuple[int, ...] | None = None, axis: int | None = -1
) -> EncodedTensor:
    """Return a tensor whose blocks are given in the order of its exponent codes, their elements in C order."""
    elements = [code_of(significand, spec) for block in blocks for significand in block.significands]
    exponents = [
        spec.all_ones_code if block.exponent is None else block.exponent + spec.exponent_bias for block in blocks
    ]
    shifts = [shift for block in blocks for shift in block.shifts]
    return EncodedTensor(Preset(spec), shape or (len(elements),), axis, exponents, shifts, elements)


def _result(name: str, spec: BFPSpec, axis: int | None = -1, **conversion: Any) -> Target:
    """Return what a result is encoded in: a preset of its own name, which differs from the default as named."""
    fields = to_dict(spec) | {"name": name}
    return Target(Preset(BFPSpec(**fields), Conversion(**conversion)), axis)


M8_RESULT = _result("result_m8_b4", M8)
RESULTS: dict[str, Target] = {
    "default": M8_RESULT,
    "m4_b2": _result("result_m4_b2", M4),
    "m16_b8": _result("result_m16_b8", M16),
    "m32_e11": _result("result_m32_e11", WIDE),
    "toward_negative": _result("toward_negative", M8, rounding="toward_negative"),
    "ties_away": _result("ties_away", M8, rounding="ties_away"),
    "floor": _result("floor", M8, exponent_rule="floor"),
    "two_levels": _result("result_two_levels", LEVELS),
    "keeps_minus_zero": _result("keeps_minus_zero", SIGN, negative_zero="keep"),
    "unsigned": _result("unsigned", BFPSpec("unsigned", 8, 4, has_sign=False)),
    "subnormals": _result("subnormals", BFPSpec("subnormals", 8, 4, 5, use_subnormals=True)),
    "narrow_exponent": _result("narrow_exponent", BFPSpec("narrow_exponent", 8, 4, 4)),
    "overflow_is_nan": _result("overflow_is_nan", BFPSpec("e4", 8, 4, 4), exponent_overflow="nan"),
    "overflow_is_an_error": _result("overflow_is_an_error", BFPSpec("e4", 8, 4, 4), exponent_overflow="error"),
    "nan_error": _result("nan_error", M8, nan="error"),
    "nan_zero": _result("nan_zero", M8, nan="zero"),
    "nan_infinity": _result("nan_infinity", M8, nan="infinity"),
    "specials_as_numbers": _result("specials_as_numbers", M8, nan="number", infinity="number"),
    "no_nan_code": _result("no_nan_code", BFPSpec("no_nan_code", 8, 4, exponent_reserved="none")),
    "infinity_block": _result("infinity_block", M8, infinity="block"),
    "infinity_saturates_its_element": _result("infinity_saturates_its_element", M8, infinity="saturate_element"),
    "source_subnormals_flush": _result("source_subnormals_flush", M8, source_subnormals="flush"),
    "alignment": _result("alignment", M8, alignment_bits=10, alignment_rounding="toward_zero"),
    "post_truncate": _result("post_truncate", SIGN, post_truncate_bits=2, rounding="toward_zero"),
}


MOST = ("default", "m16_b8", "keeps_minus_zero")
"""What every pair of operands is encoded in; those of `TELLING` in all of `RESULTS`."""
TELLING = (
    "exponents_differ",
    "minus_zero_and_numbers",
    "nan_in_a_part_of_the_block",
    "infinities",
    "largest_exponents",
)


def _targets(about: str) -> Iterator[tuple[str, Target]]:
    for name, target in RESULTS.items():
        if name in MOST or about in TELLING:
            yield name, target


def _pairs() -> Iterator[tuple[str, EncodedTensor, EncodedTensor]]:
    """Yield pairs of operands, named by what they are about."""
    ramp = _tensor(M8, Block(0, [127, -128, 5, 0]), Block(-3, [64, -77, 1, -1]), Block(2, [99]))
    yield "one_format", ramp, _tensor(M8, Block(0, [1, -1, 5, -3]), Block(-3, [-64, 77, 127, 3]), Block(-5, [-9]))
    yield "exponents_differ", ramp, _tensor(M8, Block(9, [1, -1, 5, -3]), Block(-9, [3, 5, 7, 9]), Block(-20, [1]))
    yield (
        "equal_and_opposite",
        ramp,
        _tensor(M8, Block(0, [-127, 127, -5, 0]), Block(-3, [-64, 77, -1, 1]), Block(2, [99])),
    )
    yield "far_apart", _tensor(M8, Block(100, [127, 1, -1, 0])), _tensor(M8, Block(-100, [1, -1, 127, -128]))
    yield (
        "tie_and_a_bit_far_below",
        _tensor(M16, Block(0, [32767, 384, 384, 640])),
        _tensor(M8, Block(-60, [1, 1, -1, 0])),
    )
    yield (
        "widest",
        _tensor(WIDE, Block(1000, [2**31 - 1, -(2**31), 1, 0])),
        _tensor(WIDE, Block(990, [2**31 - 1, -(2**31), -1, 5])),
    )
    yield (
        "widest_far_below",
        _tensor(WIDE, Block(-1000, [2**31 - 1, -(2**31), 1, 0])),
        _tensor(WIDE, Block(-1010, [77, 2**31 - 1, -1, 5])),
    )
    yield (
        "two_levels_and_one",
        _tensor(LEVELS, Block(1, [31, -32, 1, -1], [0, 7])),
        _tensor(M8, Block(0, [1, 2, 3, -4])),
    )
    yield (
        "one_block_and_many",
        _tensor(WHOLE, Block(0, [2047, -2048, 1, 0, -77, 5])),
        _tensor(M4, Block(0, [7, -8]), Block(1, [1, -1]), Block(-3, [3, 5])),
    )
    yield from _special_pairs()


def _special_pairs() -> Iterator[tuple[str, EncodedTensor, EncodedTensor]]:
    """Yield pairs with signs of zero, NaN, infinities, the ends of the exponents and other blocks."""
    yield "minus_zeros", _tensor(SIGN, Block(0, ["-0", "-0", 0, 5])), _tensor(SIGN, Block(0, ["-0", 0, 0, "-0"]))
    yield (
        "minus_zero_and_numbers",
        _tensor(SIGN, Block(0, ["-0", "-0", 0, -5])),
        _tensor(SIGN, Block(0, [3, -3, -3, 5])),
    )
    yield (
        "nan_block_first",
        _tensor(M8, Block(None, [0] * 4), Block(0, [1])),
        _tensor(M8, Block(0, [1, 0, -1, 3]), Block(0, [1])),
    )
    yield "nan_block_second", _tensor(M8, Block(0, [1, 2])), _tensor(M8, Block(None, [0, 0]))
    yield (
        "nan_in_a_part_of_the_block",
        _tensor(M8, Block(0, [1, 2, 3, 4])),
        _tensor(M4, Block(0, [1, 2]), Block(None, [0, 0])),
    )
    yield "reserved_zeros", _tensor(ZEROS, Block(None, [1, 2, 3, 4])), _tensor(M8, Block(0, [1, -1, 3, 0]))
    yield (
        "infinities",
        _tensor(INFINITE, Block(0, ["-0", "-0", 1, -1])),
        _tensor(INFINITE, Block(0, ["-0", 3, "-0", 5])),
    )
    yield "infinity_and_zero", _tensor(INFINITE, Block(0, ["-0", 3, -3, 0])), _tensor(M8, Block(0, [0, 3, 1, 0]))
    yield (
        "wrapped_infinities",
        _tensor(WRAPPING, Block(-15, [1, -1, 2, 127])),
        _tensor(WRAPPING, Block(-15, [-1, -1, 3, 5])),
    )
    yield "flushed_elements", _tensor(FLUSHING, Block(-14, [1, 64, -127, -3])), _tensor(M8, Block(-14, [1, 1, 1, 0]))
    yield "smallest_exponents", _tensor(M8, Block(-127, [1, -1, 127, -128])), _tensor(M8, Block(-127, [1, 1, -1, 127]))
    yield "largest_exponents", _tensor(M8, Block(127, [127, -128, 1, 0])), _tensor(M8, Block(127, [127, -128, -1, 1]))
    yield "zeros", _tensor(M8, Block(3, [0, 0, 0])), _tensor(M8, Block(-5, [0, 0, 0]))
    yield "no_elements", _tensor(M8), _tensor(M8)
    rows = [Block(n, [n * 9 + 1, -n * 7 - 3, n + 40, 5 - n]) for n in range(4)]
    columns = [Block(n % 3, [n * 11 - 20, 63 - n, -n, n]) for n in range(4)]
    yield "axes_differ", _tensor(M8, *rows, shape=(4, 4)), _tensor(M8, *columns, shape=(4, 4), axis=0)
    yield "blocks_over_two_axes", _tensor(TILES, *rows, shape=(4, 4)), _tensor(M8, *columns, shape=(4, 4))
    yield "flattened", _tensor(M8, *rows, shape=(2, 8), axis=None), _tensor(M8, *columns, shape=(2, 8))


def _binary_cases() -> Iterator[Elementwise]:
    for about, a, b in _pairs():
        for name, target in _targets(about):
            yield Elementwise(f"{about}_into_{name}", (a, b), target)
    a, b = _tensor(M8, Block(0, [127, 3, -5, 1])), _tensor(M8, Block(-9, [1, 2, 3, 200 - 256]))
    yield from _supplied((a, b))
    square = _tensor(M8, *[Block(n, [n * 9 + 1, -n * 7, n, 5]) for n in range(4)], shape=(4, 4))
    for name, axis in (("first_axis", 0), ("no_axis", None)):
        yield Elementwise(f"result_along_{name}", (square, square), Target(M8_RESULT.preset, axis))
    tiles = _result("result_blocks_of_2_by_2", TILES)
    yield Elementwise("result_in_blocks_of_2_by_2", (square, square), tiles)


def _unary_cases() -> Iterator[Elementwise]:
    for about, a, b in _pairs():
        for name, target in _targets(about):
            yield Elementwise(f"{about}_into_{name}", (a,), target)
            if b.preset.name != a.preset.name or about in ("axes_differ", "exponents_differ"):
                yield Elementwise(f"second_of_{about}_into_{name}", (b,), target)
    yield Elementwise("most_negative_of_one_block", (_tensor(M8, Block(0, [-128, 127])),), M8_RESULT)
    yield from _supplied((_tensor(M16, Block(0, [32767, 12345, -12345, 1])),))
    square = _tensor(M16, *[Block(n, [n * 999 + 1, -n * 777, n, 5]) for n in range(4)], shape=(4, 4))
    for name, axis in (("first_axis", 0), ("no_axis", None)):
        yield Elementwise(f"result_along_{name}", (square,), Target(M8_RESULT.preset, axis))
    tiles = _result("result_blocks_of_2_by_2", TILES)
    yield Elementwise("result_in_blocks_of_2_by_2", (square,), tiles)


def _supplied(operands: tuple[EncodedTensor, ...]) -> Iterator[Elementwise]:
    """Yield results whose exponents or random words are supplied."""
    given = _result("given", M8, exponent_rule="given")
    yield Elementwise("exponent_given", operands, Target(given.preset, exponents=[2]))
    yield Elementwise("exponent_given_too_small_saturates", operands, Target(given.preset, exponents=[-3]))
    yield Elementwise("exponent_not_given", operands, given)
    random = _result("stochastic", M8, rounding="stochastic", random_bits=16)
    for name, words in (("zeros", [0] * 4), ("ones", [0xFFFF] * 4), ("middle", [0x8000, 0x7FFF, 0x8000, 0x1234])):
        yield Elementwise(f"stochastic_{name}", operands, Target(random.preset, random_words=words))
    yield Elementwise("random_words_missing", operands, random)
