"""Formats and units as users describe them: every value of every parameter, one at a time (spec 12.10)."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bfpemu.errors import SpecError  # noqa: E402
from bfpemu.formats import (  # noqa: E402
    BFPSpec,
    Conversion,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    NegativeZero,
    Rounding,
    SourceSubnormals,
)
from bfpemu.formats.preset import Preset  # noqa: E402
from bfpemu.formats.unit import FLOAT_FORMATS, Accumulator, DotProductUnit  # noqa: E402
from bfpemu.vectors.problem import Problem  # noqa: E402

Parameters = dict[str, Any]
_SIGN_MAGNITUDE: Parameters = {"encoding": "sign_magnitude"}
_SPECS: tuple[Parameters, ...] = (
    {},
    _SIGN_MAGNITUDE,
    {"use_subnormals": True},
    _SIGN_MAGNITUDE | {"use_subnormals": True, "exponent_bits": 5},
    *({"mantissa_bits": bits} for bits in (4, 12)),
    {"mantissa_bits": 16, "exponent_bits": 6},
    *({"block_size": size} for size in (1, 4, 16)),
    {"fraction_bits": 0},
    {"exponent_bias": 64},
    {"exponent_reserved": "none"},
    {"exponent_reserved": "zero"},
    {"has_sign": False, "encoding": None},
    {"decode_underflow": "flush"},
    {"sub_block_size": 2, "sub_shift_bits": 1},
    _SIGN_MAGNITUDE | {"sub_block_size": 4, "sub_shift_bits": 2},
)
"""What formats have that differ from one of 8 bits in blocks of 8."""
_ROUNDINGS = tuple(mode for mode in Rounding if mode is not Rounding.STOCHASTIC)


def _conversions() -> Iterator[Parameters]:
    """Yield what conversions have that differ from the default one."""
    yield from ({"exponent_rule": rule} for rule in ExponentRule if rule is not ExponentRule.GIVEN)
    yield from ({"rounding": mode} for mode in Rounding)
    yield from ({"exponent_rule": "floor", "rounding": mode} for mode in _ROUNDINGS)
    yield from ({"exponent_offset": step} for step in (-1, 1))
    yield from ({"significand_range": "symmetric", "exponent_rule": rule} for rule in ("rceil", "floor"))
    for bits in (8, 9, 10):
        yield from ({"alignment_bits": bits, "alignment_rounding": mode} for mode in ("toward_zero", "to_odd"))
    yield from ({"ignored_bit": 1}, {"post_truncate_bits": 1}, {"post_truncate_bits": 2, "exponent_rule": "floor"})
    yield from ({"zero_exponent": 0},)
    for field, choices in (
        ("nan", NanPolicy),
        ("infinity", InfinityPolicy),
        ("negative_zero", NegativeZero),
        ("source_subnormals", SourceSubnormals),
        ("exponent_overflow", ExponentOverflow),
    ):
        yield from ({field: choice} for choice in choices)


def _units() -> Iterator[tuple[str, DotProductUnit]]:
    """Yield dot-product units and what they are."""
    formats = {name: FLOAT_FORMATS[name] for name in ("fp32", "bf16", "fp16")}
    single = formats["fp32"]
    yield "exact", DotProductUnit()
    for name, format in formats.items():
        yield f"float {name}", DotProductUnit(accumulator=Accumulator(kind="float", format=format))
        yield f"{name} to {name}", DotProductUnit(accumulator=Accumulator(kind="float", format=format), output=format)
        yield f"fp32 to {name}", DotProductUnit(accumulator=Accumulator(kind="float", format=single), output=format)
    for field, choice in (("rounding", "toward_zero"), ("subnormals", "flush"), ("overflow", "saturate")):
        format = dataclasses.replace(single, **{field: choice})
        yield f"fp32 {choice}", DotProductUnit(accumulator=Accumulator(kind="float", format=format), output=format)
    yield "fused", DotProductUnit(accumulator=Accumulator(kind="float", format=single, fused=True))
    for mode in ("toward_negative", "toward_zero", "ties_to_even"):
        for overflow in ("saturate", "wrap"):
            how: Parameters = {"alignment_rounding": mode, "overflow": overflow}
            aligned = Accumulator(kind="aligned", bits=24, fraction_bits=20, **how)
            yield f"aligned {mode} {overflow}", DotProductUnit(accumulator=aligned)
            fixed = Accumulator(kind="fixed", bits=32, lsb_exponent=-16, **how)
            yield f"fixed {mode} {overflow}", DotProductUnit(accumulator=fixed)
    zeros = Accumulator(kind="aligned", bits=24, fraction_bits=20, zero_takes_part=True)
    yield "aligned, zero takes part", DotProductUnit(accumulator=zeros)
    yield "normalised", DotProductUnit(accumulator=Accumulator(kind="aligned", format=single, fraction_bits=26))
    products = Accumulator(kind="aligned", format=single, fraction_bits=24, aligns_products=True)
    yield "aligned products", DotProductUnit(accumulator=products)
    plain = Accumulator(kind="float", format=single)
    several: tuple[Parameters, ...] = ({"pairwise": True}, {"lanes": 2}, {"splits": 2}, {"group_size": 4})
    for more in (*several, {"product_drop_bits": 4}, {"sum_bits": 16}, {"sum_bits": 16, "sum_overflow": "saturate"}):
        yield _text(more), DotProductUnit(accumulator=plain, **more)
    yield "blocks", DotProductUnit(accumulator=plain, output=Preset(BFPSpec("o", 8, 8, 8)))


def described(units: Sequence[str]) -> Iterator[tuple[str, Problem]]:
    """Yield units with formats and conversions of one other parameter, and names of these; those that fit."""
    for unit in units:
        several: list[tuple[Parameters, Parameters]] = [(spec, {}) for spec in _SPECS] if unit != "dot" else []
        several += [({}, one) for one in _conversions()] if unit not in ("decode", "dot") else []
        for spec, conversion in several:
            yield from _problem(f"{unit} {_text(spec | conversion)}", unit, spec, conversion)
        for name, dot_unit in _units() if unit == "dot" else ():
            for spec in ({}, _SIGN_MAGNITUDE | {"mantissa_bits": 6, "exponent_bits": 5}):
                yield from _problem(f"dot {name} {_text(spec)}", unit, spec, {}, dot_unit=dot_unit, elements=24)


def _text(parameters: Parameters) -> str:
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def _problem(
    title: str, unit: str, spec: Parameters, conversion: Parameters, **more: Any
) -> Iterator[tuple[str, Problem]]:
    own = {"mantissa_bits": 8, "block_size": 8, "exponent_bits": 8} | spec
    try:
        yield title, Problem(unit, Preset(BFPSpec("described", **own), Conversion(**conversion)), **more)
    except SpecError as error:
        print(f"{title}: refused, {error}", flush=True)
