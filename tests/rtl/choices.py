"""What every device is built for in the tests: small blocks, and each policy of its unit at least once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.formats.unit import Accumulator, DotProductUnit
from tests.rtl.devices import ROUNDINGS, Choice


def _choice(name: str, spec: BFPSpec, conversion: Conversion | None = None) -> Choice:
    assert isinstance(spec.block_size, int)
    return Choice(name, Preset(spec, conversion or Conversion()), spec.block_size)


BOTH = ("icarus", "verilator")
BFP8 = BFPSpec("bfp8_by_8", 8, 8)

ENCODE = [
    replace(_choice("rceil", BFP8), simulators=BOTH),
    *(
        _choice(f"floor_{mode}", BFPSpec("m5", 5, 4), Conversion(exponent_rule="floor", rounding=mode))
        for mode in ROUNDINGS
    ),
    _choice("one_magnitude_bit", BFPSpec("m2", 2, 3)),
    _choice("wide", BFPSpec("m23", 23, 2), Conversion(rounding="ties_up")),
    replace(
        _choice("few_exponents", BFPSpec("e5", 6, 5, 5, use_subnormals=True), Conversion(infinity="block")),
        simulators=BOTH,
    ),
    _choice("few_exponents_flushed", BFPSpec("e4", 4, 4, 4), Conversion(significand_range="symmetric")),
    _choice(
        "bias", BFPSpec("b140", 8, 4, 8, use_subnormals=True, exponent_bias=133), Conversion(exponent_rule="floor")
    ),
]

DECODE = [
    replace(_choice("bfp8", BFP8), simulators=BOTH),
    _choice("few_bits", BFPSpec("m2", 2, 3)),
    _choice("wide", BFPSpec("m24", 24, 4)),
    _choice("sign_magnitude", BFPSpec("s5", 5, 4, encoding="sign_magnitude")),
    replace(_choice("overflows", BFPSpec("e9", 9, 4, 9)), simulators=BOTH),
    _choice("underflows", BFPSpec("b160", 12, 4, 8, exponent_bias=160)),
]

ADD = [
    replace(_choice("six_exponent_bits", BFPSpec("e6", 8, 8, 6)), simulators=BOTH),
    # The window of the serial adder has 264 bits here, with which Icarus takes seconds.
    replace(_choice("bfp8", BFP8), simulators=("verilator",)),
    *(
        _choice(f"floor_{mode}", BFPSpec("m5", 5, 4, 5), Conversion(exponent_rule="floor", rounding=mode))
        for mode in ROUNDINGS
    ),
    _choice("one_magnitude_bit", BFPSpec("m2", 2, 3, 5)),
    replace(
        _choice("subnormals", BFPSpec("e5", 6, 5, 5, use_subnormals=True), Conversion(significand_range="symmetric")),
        simulators=BOTH,
    ),
    _choice("wide", BFPSpec("m16", 16, 2, 5), Conversion(rounding="ties_down")),
]

MULTIPLY = [
    _choice("rceil", BFP8),
    *(
        _choice(f"floor_{mode}", BFPSpec("m5", 5, 4, 5), Conversion(exponent_rule="floor", rounding=mode))
        for mode in ("ties_to_even", "ties_away", "toward_zero", "away_from_zero", "toward_negative", "to_odd")
    ),
    _choice("one_magnitude_bit", BFPSpec("m2", 2, 3, 5)),
    replace(
        _choice(
            "subnormals",
            BFPSpec("e4", 6, 5, 4, use_subnormals=True),
            Conversion(exponent_rule="ceil", significand_range="symmetric"),
        ),
        simulators=BOTH,
    ),
    _choice("bias", BFPSpec("b22", 4, 4, 5, exponent_bias=22), Conversion(exponent_rule="ceil")),
    _choice("wide", BFPSpec("m16", 16, 2, 5), Conversion(rounding="ties_down")),
]


def _dot(
    name: str, spec: BFPSpec, blocks: int, *, simulators: tuple[str, ...] = ("icarus",), **accumulator: Any
) -> Choice:
    unit = DotProductUnit(accumulator=Accumulator(**accumulator), name=name)
    assert isinstance(spec.block_size, int)
    return Choice(name, Preset(spec), spec.block_size * blocks, unit, simulators)


_SMALL = BFPSpec("m5", 5, 4, 6)

DOT = [
    _dot("float32", BFP8, 4, kind="float", format="fp32", simulators=BOTH),
    _dot("float32_overflows", BFPSpec("e9", 6, 3, 9), 3, kind="float", format="fp32"),
    _dot("float32_subnormals", BFPSpec("m16", 16, 2, exponent_bias=140), 2, kind="float", format="fp32"),
    _dot("fixed_wraps", _SMALL, 3, kind="fixed", bits=20, lsb_exponent=-12, simulators=BOTH),
    _dot("fixed_saturates", _SMALL, 3, kind="fixed", bits=12, lsb_exponent=-6, overflow="saturate"),
    _dot("fixed_wide", BFP8, 2, kind="fixed", bits=48, lsb_exponent=-20, overflow="saturate"),
    _dot("aligned_saturates", BFP8, 4, kind="aligned", bits=24, fraction_bits=20, overflow="saturate", simulators=BOTH),
    _dot("aligned_wraps", _SMALL, 3, kind="aligned", bits=10, fraction_bits=8),
    _dot("aligned_coarse", _SMALL, 4, kind="aligned", bits=8, fraction_bits=-1, overflow="saturate"),
    _dot("aligned_fine", _SMALL, 4, kind="aligned", bits=40, fraction_bits=30),
]


def _conversion(
    name: str, source: BFPSpec, target: BFPSpec, *, simulators: tuple[str, ...] = ("icarus",), **conversion: Any
) -> Choice:
    assert isinstance(source.block_size, int)
    assert isinstance(target.block_size, int)
    result = Preset(target, Conversion(**conversion))
    elements = max(source.block_size, target.block_size)
    return Choice(name, Preset(source), elements, simulators=simulators, result=result)


_NARROW = BFPSpec("m4", 4, 4, 4)
_SIGNED = BFPSpec("s4", 4, 4, 5, encoding="sign_magnitude")

REQUANTIZE = [
    _conversion("merges", BFPSpec("m8", 8, 4, 6), BFPSpec("m5", 5, 8, 5), simulators=BOTH),
    *(
        _conversion(f"{rule}_{mode}", BFPSpec("m7", 7, 2, 5), _NARROW, exponent_rule=rule, rounding=mode)
        for number, mode in enumerate(ROUNDINGS)
        for rule in (("floor", "ceil")[number % 2],)
    ),
    _conversion("splits", BFPSpec("m6", 6, 8, 5), BFPSpec("m4", 4, 4, 5), exponent_rule="ceil"),
    _conversion(
        "widens",
        _SIGNED,
        BFPSpec("m9", 9, 2, 4, use_subnormals=True),
        exponent_rule="floor",
        significand_range="symmetric",
    ),
    _conversion("sign_magnitude", BFPSpec("m6", 6, 4, 4, exponent_reserved="none"), _SIGNED, rounding="ties_away"),
    _conversion(
        "narrow_exponents",
        BFPSpec("e6", 6, 2, 6, exponent_bias=20, exponent_reserved="zero"),
        BFPSpec("e3", 4, 4, 3, exponent_bias=-6, use_subnormals=True, exponent_reserved="none"),
        exponent_rule="floor",
    ),
    _conversion("one_magnitude_bit", BFPSpec("m3", 3, 2, 3), BFPSpec("m2", 2, 4, 3), rounding="ties_toward_zero"),
]

CHOICES = {
    "encode": ENCODE,
    "decode": DECODE,
    "add": ADD,
    "multiply": MULTIPLY,
    "requantize": REQUANTIZE,
    "dot": DOT,
}
"""Unit of spec 12.2 -> what its devices are built for."""
