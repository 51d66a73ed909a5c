"""One file of dot products for each named unit, and one for each option of a unit (spec 6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bfpemu.formats import Rounding
from bfpemu.formats.unit import DotProductUnit, FloatFormat
from bfpemu.units import units
from golden.dot import Dot, DotFile, Pair, dot, option_unit
from golden.dot_cases import alignment_cases, narrow, range_cases, rounding_cases, simple_cases, unit_cases, wide_cases
from golden.dot_operands import operand_files
from golden.dot_outputs import block_output_files

FP16 = {"exponent_bits": 5, "fraction_bits": 10}
MODES = [mode for mode in Rounding if mode not in (Rounding.STOCHASTIC, Rounding.TIES_TO_EVEN)]


def dot_files() -> list[DotFile]:
    """Return every file."""
    return [
        *((unit, unit_cases(unit)) for unit in units().values()),
        *_integer_stages(),
        *_fixed(),
        *_aligned(),
        *_floats(),
        *_orders(),
        *operand_files(),
        *block_output_files(),
    ]


def _integer_stages() -> Iterator[DotFile]:
    """Yield products that lose bits, and group sums of few bits (spec 6.4, 6.5)."""
    for mode in (Rounding.TOWARD_NEGATIVE, Rounding.TOWARD_ZERO, Rounding.TIES_TO_EVEN, Rounding.TO_ODD):
        unit = option_unit(f"product_drop_4_{mode}", product_drop_bits=4, product_rounding=mode)
        yield unit, [*simple_cases(unit), *_drop_cases(unit)]
    unit = option_unit("product_drop_more_than_a_product_has", product_drop_bits=20)
    yield unit, [*simple_cases(unit), *_drop_cases(unit)]
    for overflow in ("wrap", "saturate"):
        unit = option_unit(f"sum_bits_16_{overflow}", sum_bits=16, sum_overflow=overflow)
        yield unit, [*simple_cases(unit), *_sum_cases(unit)]
        unit = option_unit(f"sum_bits_8_{overflow}", sum_bits=8, sum_overflow=overflow)
        yield unit, [*simple_cases(unit), *_sum_cases(unit)]


def _drop_cases(unit: DotProductUnit) -> Iterator[Dot]:
    spec = narrow(unit)
    for x in (1, 7, 8, 9, 15, 16, 24, 40):
        yield dot(f"product_{x}", [Pair(0, [x])], spec)
        yield dot(f"product_minus_{x}", [Pair(0, [-x])], spec)
    yield dot("lost_bits_of_two_products_make_more", [Pair(0, [8, 8], [1, 1])], spec)
    yield dot("lost_bits_would_cancel", [Pair(0, [9, -9], [1, 1])], spec)


def _sum_cases(unit: DotProductUnit) -> Iterator[Dot]:
    assert unit.sum_bits is not None
    spec, half = narrow(unit), 1 << (unit.sum_bits - 1)
    x = 1 << (unit.sum_bits - 2) // 2
    y = half // 2 // x  # x * y is half of what the sum holds
    sums: dict[str, tuple[list[int], list[int]]] = {
        "largest": ([x, x, -1], [y, y, 1]),
        "one_above_the_largest": ([x, x], [y, y]),
        "smallest": ([-x, -x], [y, y]),
        "one_below_the_smallest": ([-x, -x, -1], [y, y, 1]),
        "leaves_the_range_and_returns": ([x, x, x, -x], [y, y, y, y]),
        "leaves_the_range_and_returns_by_one": ([x, x, -1, 1], [y, y, 1, 1]),
        "returns_before_it_leaves": ([x, -x, x, x], [y, y, y, -y]),
        "product_outside_by_itself": ([127, -127, 5], [127, 126, 1]),
        "negative_product_outside_by_itself": ([-128, 127, -5], [127, 127, 1]),
    }
    for name, (xs, ys) in sums.items():
        yield dot(name, [Pair(-3, xs, ys)], spec)
    yield dot("second_group_starts_anew", [Pair(0, [x, x], [y, y]), Pair(0, [x, -1], [y, 1])], spec)


def _fixed() -> Iterator[DotFile]:
    """Yield accumulators in a window of bits (spec 6.6)."""
    settings: list[tuple[str, dict[str, Any]]] = [
        ("fixed_16_wrap", {"bits": 16, "lsb_exponent": -14}),
        ("fixed_16_saturate", {"bits": 16, "lsb_exponent": -14, "overflow": "saturate"}),
        ("fixed_32_ties_to_even", {"bits": 32, "lsb_exponent": -20, "alignment_rounding": "ties_to_even"}),
        ("fixed_62_toward_zero", {"bits": 62, "lsb_exponent": -40, "alignment_rounding": "toward_zero"}),
        ("fixed_lsb_above_one", {"bits": 8, "lsb_exponent": 3, "overflow": "saturate"}),
        ("fixed_2_bits", {"bits": 2, "lsb_exponent": 0, "overflow": "wrap"}),
    ]
    for name, fields in settings:
        unit = option_unit(name, {"kind": "fixed"} | fields)
        yield unit, [*simple_cases(unit), *rounding_cases(unit), *_window_cases(unit)]
    for name in ("wrap", "saturate"):
        unit = option_unit(f"fixed_two_lanes_{name}", {"kind": "fixed", "bits": 16, "overflow": name}, lanes=2)
        yield unit, [*simple_cases(unit), *_window_cases(unit)]


def _window_cases(unit: DotProductUnit) -> Iterator[Dot]:
    accumulator, spec = unit.accumulator, narrow(unit)
    assert accumulator.bits is not None
    low = accumulator.lsb_exponent
    high = low + accumulator.bits - 1
    sums: dict[str, list[Pair]] = {
        "fills_the_window": [Pair(high - 1, [1]), Pair(high - 1, [1]), Pair(low, [-1])],
        "one_above_the_window": [Pair(high - 1, [1]), Pair(high - 1, [1])],
        "smallest_of_the_window": [Pair(high, [-1])],
        "one_below_the_window": [Pair(high, [-1]), Pair(low, [-1])],
        "leaves_the_window_and_returns": [Pair(high - 1, [1]), Pair(high - 1, [1]), Pair(high - 1, [-1])],
        "group_above_the_window": [Pair(high, [1]), Pair(low, [5])],
        "group_far_above_the_window": [Pair(high + 70, [3]), Pair(low, [5])],
        "negative_group_far_above_the_window": [Pair(high + 70, [-3]), Pair(low, [5])],
        "half_of_the_last_bit": [Pair(low - 1, [1])],
        "minus_half_of_the_last_bit": [Pair(low - 1, [-1])],
        "quarters_of_the_last_bit": [Pair(low - 2, [n]) for n in (1, -1, 3, -3, 5, -5)],
        "negative_far_below_the_last_bit": [Pair(low - 60, [-1])] * 3,
        "positive_far_below_the_last_bit": [Pair(low - 60, [1])] * 3,
    }
    for name, pairs in sums.items():
        yield dot(name, pairs, spec)


def _aligned() -> Iterator[DotFile]:
    """Yield additions at the larger exponent (spec 6.6)."""
    products = {"aligns_products": True}
    toward_zero = {"exponent_bits": 8, "fraction_bits": 23, "rounding": "toward_zero"}
    settings: list[tuple[str, dict[str, Any]]] = [
        ("aligned_keep_wrap", {"bits": 16, "fraction_bits": 10}),
        ("aligned_keep_saturate", {"bits": 16, "fraction_bits": 10, "overflow": "saturate"}),
        ("aligned_keep_toward_zero", {"bits": 24, "fraction_bits": 20, "alignment_rounding": "toward_zero"}),
        ("aligned_keep_ties_to_even", {"bits": 32, "fraction_bits": 28, "alignment_rounding": "ties_to_even"}),
        ("aligned_keep_zero_takes_part", {"bits": 20, "fraction_bits": 12, "zero_takes_part": True}),
        ("aligned_keep_products", {"bits": 20, "fraction_bits": 12} | products),
        ("aligned_keep_no_fraction", {"bits": 12, "fraction_bits": 0}),
        ("aligned_keep_negative_fraction", {"bits": 12, "fraction_bits": -4}),
        ("aligned_normalise", {"format": "fp32", "fraction_bits": 24}),
        ("aligned_normalise_ties_away", {"format": "fp32", "fraction_bits": 12, "alignment_rounding": "ties_away"}),
        ("aligned_normalise_fp16", {"format": "fp16", "fraction_bits": 13, "alignment_rounding": "toward_zero"}),
        ("aligned_normalise_zero_takes_part", {"format": "fp32", "fraction_bits": 24, "zero_takes_part": True}),
        ("aligned_products_floor", {"format": toward_zero, "fraction_bits": 24} | products),
        (
            "aligned_products_zero_takes_part",
            {"format": "fp32", "fraction_bits": 20} | products | {"zero_takes_part": True},
        ),
    ]
    for name, fields in settings:
        if isinstance(fields.get("format"), dict):
            fields["format"] = FloatFormat(**fields["format"])
        unit = option_unit(name, {"kind": "aligned"} | fields)
        around = [*rounding_cases(unit), *alignment_cases(unit)]
        yield unit, [*simple_cases(unit), *around, *range_cases(unit), *_aligned_cases(unit)]
    for name, accumulator, order in (
        ("aligned_keep_lanes_and_splits", {"bits": 20, "fraction_bits": 12}, {"lanes": 2, "splits": 2}),
        ("aligned_keep_pairwise", {"bits": 20, "fraction_bits": 12}, {"pairwise": True}),
        ("aligned_normalise_pairwise", {"format": "fp32", "fraction_bits": 12}, {"pairwise": True, "lanes": 2}),
        ("aligned_products_lanes", {"format": "fp32", "fraction_bits": 12, "aligns_products": True}, {"lanes": 3}),
    ):
        unit = option_unit(name, {"kind": "aligned"} | accumulator, **order)
        yield unit, [*simple_cases(unit), *rounding_cases(unit), *_order_cases(unit)]


def _aligned_cases(unit: DotProductUnit) -> Iterator[Dot]:
    spec, kept = narrow(unit), unit.accumulator.fraction_bits
    # With r = k + 14, a group sum of 1 is at the last kept bit of a group that lies kept - 14 higher.
    for distance in (kept - 15, kept - 14, kept - 13, kept, kept + 40):
        for sign, word in ((1, "one"), (-1, "minus_one")):
            yield dot(
                f"{word}_{distance}_places_below".replace("-", "minus_"), [Pair(distance, [1]), Pair(0, [sign])], spec
            )
    yield dot("sum_fills_the_integer", [Pair(0, [127, 127], [127, 127])] * 5, spec)
    yield dot("negative_sum_fills_the_integer", [Pair(0, [-128, -128], [127, 127])] * 5, spec)
    yield dot("sum_of_0_keeps_its_exponent", [Pair(20, [5]), Pair(20, [-5]), Pair(0, [3])], spec)
    yield dot("sum_of_0_then_a_larger_group", [Pair(0, [5]), Pair(0, [-5]), Pair(20, [3]), Pair(0, [1])], spec)
    yield dot("exponent_stays_after_cancellation", [Pair(20, [5]), Pair(20, [-4]), Pair(0, [3]), Pair(-8, [1])], spec)
    yield dot("products_of_zero_sum_below", [Pair(kept, [1]), Pair(0, [5, -3, -2], [1, 1, 1])], spec)
    yield dot("products_of_zero_sum_above", [Pair(0, [3]), Pair(kept, [1, -1], [1, 1])], spec)


def _floats() -> Iterator[DotFile]:
    """Yield float accumulators and outputs of every format and mode (spec 6.2)."""
    for mode in MODES:
        unit = option_unit(f"float_{mode}", {"kind": "float", "format": FloatFormat(**FP16, rounding=mode)})
        yield unit, [*rounding_cases(unit), *alignment_cases(unit), *range_cases(unit)]
    settings: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("float_flush", {"format": FloatFormat(**FP16, subnormals="flush")}, {}),
        ("float_saturate", {"format": FloatFormat(**FP16, overflow="saturate")}, {}),
        ("float_flush_fused", {"format": FloatFormat(**FP16, subnormals="flush"), "fused": True}, {}),
        ("float_fp16_fused", {"format": "fp16", "fused": True}, {"output": "fp16"}),
        ("float_bf16", {"format": "bf16"}, {"output": "bf16"}),
        ("float_scaled_after_conversion", {"format": "fp16", "scale_point": "after_conversion"}, {}),
        (
            "float_flush_scaled_after_conversion",
            {"format": FloatFormat(**FP16, subnormals="flush"), "scale_point": "after_conversion"},
            {},
        ),
        ("float_tf32", {"format": "tf32"}, {}),
        ("float_fp64", {"format": "fp64"}, {"output": "fp64"}),
        ("float_fp64_to_fp32", {"format": "fp64"}, {}),
        ("float_fp32_to_fp16", {"format": "fp32"}, {"output": "fp16"}),
        ("float_of_2_and_1_bits", {"format": FloatFormat(exponent_bits=2, fraction_bits=1)}, {}),
    ]
    for name, accumulator, fields in settings:
        unit = option_unit(name, {"kind": "float"} | accumulator, **fields)
        yield unit, unit_cases(unit)
    outputs: dict[str, Any] = {name: name for name in ("fp64", "fp24", "tf32", "bf16", "fp16")}
    outputs["flush"] = FloatFormat(**FP16, subnormals="flush")
    outputs["saturate"] = FloatFormat(**FP16, overflow="saturate")
    outputs["toward_negative"] = FloatFormat(**FP16, rounding="toward_negative")
    outputs["toward_positive"] = FloatFormat(**FP16, rounding="toward_positive")
    outputs["to_odd"] = FloatFormat(**FP16, rounding="to_odd")
    outputs["of_2_and_1_bits"] = FloatFormat(exponent_bits=2, fraction_bits=1)
    for name, output in outputs.items():
        unit = option_unit(f"output_{name}", output=output)
        yield unit, [*simple_cases(unit), *rounding_cases(unit), *range_cases(unit)]


def _orders() -> Iterator[DotFile]:
    """Yield orders of addition (spec 6.7)."""
    fp16 = {"kind": "float", "format": "fp16"}
    orders: dict[str, dict[str, Any]] = {
        "lanes_2": {"lanes": 2},
        "lanes_3": {"lanes": 3},
        "splits_2": {"splits": 2},
        "splits_4": {"splits": 4},
        "splits_2_lanes_3": {"splits": 2, "lanes": 3},
        "pairwise": {"pairwise": True},
        "pairwise_splits_2_lanes_2": {"pairwise": True, "splits": 2, "lanes": 2},
        "more_splits_and_lanes_than_groups": {"splits": 100, "lanes": 100},
    }
    for name, order in orders.items():
        unit = option_unit(name, fp16, **order)
        yield unit, [*simple_cases(unit), *rounding_cases(unit), *_order_cases(unit)]
    unit = option_unit("pairwise_fused", fp16 | {"fused": True}, pairwise=True)
    yield unit, [*simple_cases(unit), *rounding_cases(unit), *wide_cases(unit), *_order_cases(unit)]
    unit = option_unit("pairwise_fixed_saturate", {"kind": "fixed", "bits": 12, "overflow": "saturate"}, pairwise=True)
    yield unit, [*simple_cases(unit), *_window_cases(unit), *_order_cases(unit)]
    unit = option_unit("exact_lanes_and_splits", splits=2, lanes=2, pairwise=True)
    yield unit, [*simple_cases(unit), *_order_cases(unit)]


def _order_cases(unit: DotProductUnit) -> Iterator[Dot]:
    """Yield 1 to 9 groups whose sum depends on who meets whom."""
    spec = narrow(unit)
    big = [2048, 1, 3, -2048, 1, 5, 2049, -1, -2047]
    for count in range(1, len(big) + 1):
        pairs = [Pair(0, [value // 64, value % 64], [64, 1]) for value in big[:count]]
        yield dot(f"{count}_groups", pairs, spec)
    overflowing = [Pair(9, [127], [1]), Pair(9, [1], [1]), Pair(9, [-127], [1]), Pair(9, [-1], [1]), Pair(0, [1])]
    yield dot("overflow_depends_on_the_order", overflowing, spec)
    yield dot("overflow_in_two_lanes", [overflowing[n] for n in (0, 2, 1, 3, 4)], spec)
