"""The width analysis: hand-made numbers, an oracle in Python integers, bounds and windows (spec 6)."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bfpemu.arithmetic import analysis
from bfpemu.arithmetic.analysis import analyze
from bfpemu.arithmetic.bounds import Span
from bfpemu.arithmetic.integers import bit_lengths, rounded_shift, running_extremes, signed_bits, trailing_zeros
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec, Preset, Rounding
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.reference.dot import dot_rows
from bfpemu.reference.flags import Flags
from bfpemu.reference.group import Row, groups
from bfpemu.reference.rounding import round_to_integer
from bfpemu.tensor import BFPTensor

MODES = [mode for mode in Rounding if mode is not Rounding.STOCHASTIC]
EXACT = DotProductUnit()


def bits_of(*numbers):
    """The smallest w with -2**(w-1) <= n <= 2**(w-1) - 1 for all, found by trying."""
    width = 1
    while not all(-(2 ** (width - 1)) <= number <= 2 ** (width - 1) - 1 for number in numbers):
        width += 1
    return width


def coded(codes, exponents, spec, axis=-1, **more):
    return BFPTensor.from_codes(np.array(exponents), np.array(codes), Preset(spec), axis, **more)


def vectors(left, right, unit=EXACT, *, block=None, exponents=None):
    """Analyze the product of two vectors of significands of 8 bits, in blocks with the exponents given."""
    spec = BFPSpec("s8", 8, block or len(left), fraction_bits=0)
    codes = [127 + exponent for exponent in exponents or [0]]
    a = coded(np.array(left) % 256, codes, spec)
    b = coded(np.array(right) % 256, [127] * len(codes), spec, 0)
    return analyze(a, b, unit)


class TestIntegers:
    @pytest.mark.parametrize("dtype", [np.int64, object])
    def test_bits_at_every_power_of_two(self, dtype):
        near = [sign * (1 << place) + step for place in range(61) for sign in (1, -1) for step in (-1, 0, 1)]
        numbers = np.array(near, dtype)
        assert signed_bits(numbers).tolist() == [bits_of(number) for number in near]
        assert bit_lengths(np.abs(numbers)).tolist() == [abs(number).bit_length() for number in near]
        assert trailing_zeros(numbers).tolist() == [(number & -number).bit_length() - 1 for number in near]

    @given(
        st.lists(st.integers(-(1 << 58), 1 << 58) | st.integers(-40, 40), min_size=1, max_size=8),
        st.integers(0, 3) | st.integers(0, 400),
        st.sampled_from(MODES),
        st.sampled_from([np.int64, object]),
    )
    def test_a_rounded_shift_is_that_of_the_reference(self, numbers, places, mode, dtype):
        found = rounded_shift(np.array(numbers, dtype), np.full(len(numbers), places), mode)
        assert found.tolist() == [round_to_integer(Fraction(number, 1 << places), mode) for number in numbers]

    def test_all_orders_of_addition(self):
        addends = np.array([[4, -9, 3, 1, -2, 6, 7]])
        assert seen(addends) == (-9, 10)  # 4 -5 -2 -1 -3 3 10
        assert seen(addends, pairwise=True) == (-9, 11)  # -5 4 4 7; -1 11; 10
        assert seen(addends, lanes=2) == (-9, 12)  # 4 7 5 12 and -9 -8 -2
        assert seen(addends, splits=2) == (-9, 11)  # 4 -5 -2 -1; -2 4 11; -1 10
        assert seen(addends, splits=3, lanes=100) == (-9, 10)


def seen(addends, **options):
    found = running_extremes(addends, DotProductUnit(**options))
    return int(found.low[0]), int(found.high[0])


class TestByHand:
    def test_thirty_two_of_the_largest_products(self):
        report = vectors([-128] * 32, [-128] * 32)
        assert report.stages["product"].histogram == {16: 32}  # 2**14 is one too many for 15 bits
        assert report.stages["group_sum"].histogram == {21: 1}  # and 2**19 for 20
        assert report.stages["aligned"].histogram == {2: 1}
        assert (report.window_lsb_exponent, report.window_bits) == (19, 2)

    def test_one_bit_less_is_enough_below(self):
        assert vectors([-128] * 31, [-128] * 31).stages["group_sum"].largest == 20
        assert vectors([-128] * 32, [127] * 32).stages["group_sum"].largest == 20

    def test_a_partial_sum_and_a_product_may_be_wider_than_the_sum(self):
        stages = vectors([127, 127, -127], [127, 127, 127]).stages
        assert (stages["partial_sum"].largest, stages["group_sum"].largest) == (16, 15)
        stages = vectors([100, -128], [1, 1]).stages
        assert (stages["partial_sum"].largest, stages["group_sum"].largest) == (8, 6)

    def test_blocks_far_apart_need_a_wide_window(self):
        report = vectors([3, 0, 4, 0, 5, 0], [1] * 6, block=2, exponents=[0, 70, -30])
        assert report.stages["exponent_spread"].histogram == {100: 1}
        assert report.stages["accumulator"].histogram == {104: 1}  # 4 * 2**100 and more
        assert (report.window_lsb_exponent, report.window_bits) == (-30, 104)

    def test_a_block_of_zeros_takes_no_part(self):
        report = vectors([3, 1, 0, 0], [1] * 4, block=2, exponents=[0, -100])
        assert report.stages["exponent_spread"].histogram == {0: 1}
        assert (report.window_lsb_exponent, report.window_bits) == (2, 2)

    def test_nothing_but_zeros(self):
        report = vectors([0, 0], [1, 1])
        assert report.stages["accumulator"].histogram == {1: 1}
        assert report.stages["aligned"].histogram == report.stages["alignment"].histogram == {}
        assert (report.window_lsb_exponent, report.window_bits) == (0, 2)
        assert "aligned" in report.table()

    def test_no_elements_at_all(self):
        report = analyze(BFPTensor(np.zeros((2, 0))), BFPTensor(np.zeros((0, 3)), axis=0), EXACT)
        assert (report.shape, report.outputs, report.stages["product"].count) == ((2, 0, 3), 6, 0)

    def test_the_share_above_the_stated_width(self):
        unit = DotProductUnit(group_size=1, sum_bits=8, accumulator=Accumulator(kind="fixed", bits=9))
        report = vectors([100, 127, 1, 2], [1, 1, 1, 127], unit, block=1, exponents=[0] * 4)
        assert report.stages["group_sum"].histogram == {2: 1, 8: 2, 9: 1}
        assert report.stages["group_sum"].share_above == 0.25
        assert report.stages["accumulator"].histogram == {10: 1}  # 482
        assert report.stages["accumulator"].share_above == 1.0
        assert report.stages["product"].share_above is None

    def test_a_fixed_accumulator_is_measured_from_its_own_last_bit(self):
        fixed = Accumulator(kind="fixed", bits=20, lsb_exponent=4)
        assert vectors([100], [100], DotProductUnit(accumulator=fixed)).stages["accumulator"].histogram == {11: 1}

    def test_the_worst_case_of_two_blocks_of_bfp8(self):
        worst = analyze(BFPTensor(np.ones((1, 64))), BFPTensor(np.ones((64, 1)), axis=0), EXACT).worst_case
        assert {name: bound.bits for name, bound in worst.items()} == {
            "product": 16,
            "partial_sum": 21,
            "group_sum": 21,
            "exponent_spread": 508,
            "accumulator": 530,
            "aligned": 530,
            "alignment": 522,
        }
        assert worst["aligned"].formula == "bits(64 * 16384 * 2**508)"

    def test_results_that_are_nan_are_counted_apart(self):
        spec = BFPSpec("s8", 8, 2, fraction_bits=0)
        a = coded([[1, 2], [3, 4]], [[127], [255]], spec)
        b = coded([[1, 1, 1], [1, 1, 1]], [[127, 127, 255]], spec, 0)
        report = analyze(a, b, EXACT)
        assert (report.outputs, report.nan_outputs, report.stages["product"].count) == (6, 4, 4)
        assert "4 results are NaN" in report.table()


# ------------------------------------------------------------------------------------- the oracle


@st.composite
def accumulators(draw):
    kind = draw(st.sampled_from(["exact", "float", "fixed", "keep", "normalise"]))
    rounding = draw(st.sampled_from(MODES))
    if kind == "fixed":
        lsb = draw(st.integers(-300, 300) | st.integers(-20, 20))
        return Accumulator(kind=kind, bits=30, lsb_exponent=lsb, alignment_rounding=rounding)
    if kind in ("exact", "float"):
        return Accumulator(kind=kind, format="fp32" if kind == "float" else None)
    parts = {"bits": 40} if kind == "keep" else {"format": "fp32"}
    flags = {name: draw(st.booleans()) for name in ("aligns_products", "zero_takes_part")}
    return Accumulator(kind="aligned", alignment_rounding=rounding, **parts, **flags)


@st.composite
def units(draw, block):
    accumulator = draw(accumulators())
    return DotProductUnit(
        accumulator=accumulator,
        group_size=draw(st.none() | st.sampled_from([size for size in (1, 2, 4) if block % size == 0])),
        product_drop_bits=draw(st.just(0) | st.integers(0, 9) | st.just(60)),
        product_rounding=draw(st.sampled_from(MODES)),
        splits=draw(st.integers(1, 3)),
        lanes=draw(st.integers(1, 3)),
        pairwise=draw(st.booleans()) and not accumulator.aligns_products,
    )


@st.composite
def specs(draw, block):
    two_levels = draw(st.booleans()) and block % 2 == 0
    encoding = draw(st.sampled_from(["twos_complement", "sign_magnitude", "unsigned"]))
    return BFPSpec(
        "drawn",
        draw(st.integers(2, 9)),
        draw(st.just(block) | st.just(block) | st.none()) if not two_levels else block,
        draw(st.integers(2, 8)),
        encoding != "unsigned",
        encoding=encoding,
        fraction_bits=draw(st.integers(-3, 9)),
        exponent_reserved=draw(st.sampled_from(["nan", "zero", "none"])),
        sub_block_size=2 if two_levels else None,
        sub_shift_bits=draw(st.integers(1, 4)) if two_levels else 0,
    )


@st.composite
def tensors(draw, spec, shape, axis):
    def codes(bits, shape):
        top = (1 << bits) - 1
        near = st.integers(0, top) | st.sampled_from([0, 0, 1, top, top >> 1, (top >> 1) + 1])
        count = int(np.prod(shape))
        return np.array(draw(st.lists(near, min_size=count, max_size=count)), np.uint16).reshape(shape)

    exponents = (1,)
    if spec.block_size is not None:
        exponents = tuple(-(-n // spec.block_size) if i == axis % len(shape) else n for i, n in enumerate(shape))
    shifts = codes(spec.sub_shift_bits, (*exponents, spec.shifts_per_block)) if spec.sub_block_size else None
    exponent_codes = codes(spec.exponent_bits, exponents)
    return coded(codes(spec.mantissa_bits, shape), exponent_codes, spec, axis, shift_codes=shifts)


@st.composite
def cases(draw):
    block = draw(st.sampled_from([1, 2, 4, 8]))
    length, rows, columns = draw(st.integers(1, 13)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    unit = draw(units(block))
    a = draw(tensors(draw(specs(block)), (rows, length), -1))
    b = draw(tensors(draw(specs(block)), (length, columns), 0))
    return a, b, unit


def line_of(tensor, line, axis):
    """Return a row (axis 1) or column (axis 0) as the reference takes it."""

    def taken(array):
        if tensor.format.block_size is None and array.shape != tensor.shape:
            return array.reshape(-1).tolist()
        return (array[line] if axis else array[:, line]).reshape(-1).tolist()

    parts = (tensor.exponent_codes, tensor.shift_codes, tensor.element_codes)
    return Row(*(taken(part) for part in parts), tensor.format)


def partial_sums(addends, unit):
    """Every addend and every sum in the order of spec 6.7, exactly."""
    found = list(addends)

    def chain(values):
        for value in values[1:]:
            values = [values[0] + value]
            found.append(values[0])
        return values[0]

    def tree(values):
        while len(values) > 1:
            pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
            values = [sum(pair) for pair in pairs]
            found.extend(values)
        return values[0]

    length = -(-len(addends) // unit.splits)
    runs = [addends[first : first + length] for first in range(0, len(addends), length)]
    add = tree if unit.pairwise else chain
    chain(
        [tree([add(run[lane :: unit.lanes]) for lane in range(unit.lanes) if run[lane :: unit.lanes]]) for run in runs]
    )
    return found


def lowest_bit(value):
    """The exponent of the lowest set bit of a rational that is a multiple of a power of two."""
    exponent = 0
    while (value / Fraction(2) ** exponent).denominator > 1:
        exponent -= 1
    while (value / Fraction(2) ** (exponent + 1)).denominator == 1:
        exponent += 1
    return exponent


def integers(values, exponent):
    scaled = [value / Fraction(2) ** exponent for value in values]
    assert all(value.denominator == 1 for value in scaled)
    return [int(value) for value in scaled]


def oracle(a, b, unit):
    """Return the histograms of one product, and all addends, in Python's integers and rationals."""
    counts = {
        name: Counter() for name in ("product", "partial_sum", "group_sum", "exponent_spread", "accumulator", "aligned")
    }
    outputs = []
    for row in range(a.shape[0]):
        for column in range(b.shape[1]):
            lines = line_of(a, row, 1), line_of(b, column, 0)
            if any(code == line.spec.nan_code for line in lines for code in line.exponent_codes):
                continue
            found = list(groups(*lines, unit))
            for group in found:
                counts["product"].update(bits_of(product) for product in group.products)
                prefixes = [sum(group.products[: i + 1]) for i in range(len(group.products))]
                counts["partial_sum"][bits_of(*group.products, *prefixes)] += 1
                counts["group_sum"][bits_of(sum(group.products))] += 1
            addends = [sum(group.products) * Fraction(2) ** group.exponent for group in found]
            outputs.append(addends)
            scales = [group.exponent for group, addend in zip(found, addends, strict=True) if addend]
            count_sums(counts, addends, scales, unit)
    return counts, outputs


def count_sums(counts, addends, scales, unit):
    accumulator = unit.accumulator
    if accumulator.kind == "fixed":
        lsb = Fraction(2) ** accumulator.lsb_exponent
        own = [Fraction(round_to_integer(addend / lsb, accumulator.alignment_rounding)) for addend in addends]
        counts["accumulator"][bits_of(*integers(partial_sums(own, unit), 0))] += 1
    else:
        counts["accumulator"][bits_of(*integers(partial_sums(addends, unit), min(scales, default=0)))] += 1
    if scales:
        lowest = min(lowest_bit(addend) for addend in addends if addend)
        counts["exponent_spread"][max(scales) - min(scales)] += 1
        counts["aligned"][bits_of(*integers(partial_sums(addends, unit), lowest))] += 1


def overflows_or_drops(addends, unit, lsb_exponent, bits):
    """Add in a `fixed` accumulator (spec 6.6); return whether a bit is dropped or the integer overflows."""
    lsb = Fraction(2) ** lsb_exponent
    if any((addend / lsb).denominator > 1 for addend in addends):
        return True
    return any(not -(2 ** (bits - 1)) <= number / lsb < 2 ** (bits - 1) for number in partial_sums(addends, unit))


class TestAgainstAnOracle:
    @given(cases())
    def test_every_histogram(self, case):
        a, b, unit = case
        expected, outputs = oracle(a, b, unit)
        report = analyze(a, b, unit)
        assert {name: dict(report.stages[name].histogram) for name in expected} == {
            name: dict(sorted(counts.items())) for name, counts in expected.items()
        }
        assert report.outputs - report.nan_outputs == len(outputs)

    @given(cases())
    def test_no_data_needs_more_than_the_worst_case(self, case):
        report = analyze(*case)
        for name, stage in report.stages.items():
            assert stage.largest is None or stage.largest <= report.worst_case[name].bits, name

    @given(cases())
    def test_the_window_is_enough_and_one_bit_less_is_not(self, case):
        a, b, unit = case
        outputs = oracle(a, b, unit)[1]
        report = analyze(a, b, unit)
        lsb, bits = report.window_lsb_exponent, report.window_bits
        assert not any(overflows_or_drops(addends, unit, lsb, bits) for addends in outputs)
        if bits > 2:
            assert any(overflows_or_drops(addends, unit, lsb, bits - 1) for addends in outputs)
            assert any(overflows_or_drops(addends, unit, lsb + 1, bits - 1) for addends in outputs)

    @given(cases())
    def test_pieces_and_the_whole_count_the_same(self, case):
        a, b, unit = case
        whole = analyze(a, b, unit)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(analysis, "_PIECE_PRODUCTS", 1)
            assert analyze(a, b, unit) == whole

    def test_worst_cases_are_reached(self):
        low, ones = [[128] * 8], [[254] * 4]
        spec = BFPSpec("s8", 8, 2, fraction_bits=0)
        report = analyze(coded(low, ones, spec), coded(np.transpose(low), np.transpose(ones), spec, 0), EXACT)
        for name in ("product", "partial_sum", "group_sum"):
            assert report.stages[name].largest == report.worst_case[name].bits

    @given(st.integers(-300, 0), st.integers(0, 300), st.integers(1, 9))
    def test_a_span_has_the_bits_of_its_ends(self, low, high, count):
        assert Span(low, high).times(count).bits == bits_of(low * count, high * count)


WIDEST = FloatFormat(exponent_bits=11, fraction_bits=52)


class TestAlignment:
    @given(cases(), st.sampled_from(["keep", "normalise"]), st.booleans(), st.booleans())
    def test_with_these_fraction_bits_an_aligned_accumulator_is_exact(self, case, kind, products, zeros):
        a, b, unit = case
        parts = {"bits": 62} if kind == "keep" else {"format": WIDEST}
        options = {"aligns_products": products, "zero_takes_part": zeros, "alignment_rounding": "toward_positive"}
        aligned = Accumulator(kind="aligned", **parts, **options)
        wanted = replace(unit, accumulator=aligned, product_drop_bits=0, pairwise=unit.pairwise and not products)
        stages = analyze(a, b, wanted).stages
        enough = stages["alignment"].largest
        assume(enough is not None and -32 <= enough <= 60)
        assume(kind == "keep" or stages["aligned"].largest is None or stages["aligned"].largest <= 54)
        exact = replace(wanted, accumulator=replace(wanted.accumulator, fraction_bits=enough))
        for row in range(a.shape[0]):
            for column in range(b.shape[1]):
                *steps, _ = dot_rows(line_of(a, row, 1), line_of(b, column, 0), exact).trace
                flags = [Flags(step.flags) for step in steps]
                if not any(flag & Flags.SATURATED for flag in flags):
                    assert not any(flag & Flags.INEXACT for flag in flags)

    def test_by_hand(self):
        keep = DotProductUnit(accumulator=Accumulator(kind="aligned", bits=40, fraction_bits=20))
        report = vectors([1, 0, 64, 0], [1, 1, 64, 1], keep, block=2, exponents=[-5, 3])
        assert report.stages["alignment"].histogram == {22: 1}  # R = 14 at 2**3, and a last bit at 2**-5
        assert report.stages["alignment"].share_above == 1.0


class TestRefusals:
    @pytest.mark.parametrize(
        "a, b, unit, code",
        [
            (BFPTensor(np.ones((2, 32))), BFPTensor(np.ones((33, 2)), axis=0), EXACT, "operand-shape"),
            (BFPTensor(np.ones((1, 2, 32))), BFPTensor(np.ones((32, 2)), axis=0), EXACT, "operand-shape"),
            (BFPTensor(np.ones((2, 32)), axis=0), BFPTensor(np.ones((32, 2)), axis=0), EXACT, "operand-axis"),
            (BFPTensor(np.ones((2, 32))), BFPTensor(np.ones((32, 2))), EXACT, "operand-axis"),
            (BFPTensor(np.ones(32)), BFPTensor(np.ones(32)), DotProductUnit(group_size=3), "unit"),
        ],
    )
    def test_operands_that_do_not_fit(self, a, b, unit, code):
        with pytest.raises(BfpError) as caught:
            analyze(a, b, unit)
        assert caught.value.code == code
