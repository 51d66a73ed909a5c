"""What every device is built for in the tests: small blocks, and each policy of its unit at least once."""

from __future__ import annotations

from dataclasses import replace

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.formats.unit import Accumulator, DotProductUnit
from tests.rtl.devices import ROUNDINGS, Choice


def _choice(name: str, spec: BFPSpec, conversion: Conversion | None = None) -> Choice:
    assert isinstance(spec.block_size, int)
    return Choice(name, Preset(spec, conversion or Conversion()), spec.block_size)


BFP8 = BFPSpec("bfp8_by_8", 8, 8)

ENCODE = [
    replace(_choice("rceil", BFP8), in_verilator=True),
    *(
        _choice(f"floor_{mode}", BFPSpec("m5", 5, 4), Conversion(exponent_rule="floor", rounding=mode))
        for mode in ROUNDINGS
    ),
    _choice("one_magnitude_bit", BFPSpec("m2", 2, 3)),
    _choice("wide", BFPSpec("m23", 23, 2), Conversion(rounding="ties_up")),
    replace(
        _choice("few_exponents", BFPSpec("e5", 6, 5, 5, use_subnormals=True), Conversion(infinity="block")),
        in_verilator=True,
    ),
    _choice("few_exponents_flushed", BFPSpec("e4", 4, 4, 4), Conversion(significand_range="symmetric")),
    _choice(
        "bias", BFPSpec("b140", 8, 4, 8, use_subnormals=True, exponent_bias=133), Conversion(exponent_rule="floor")
    ),
]
