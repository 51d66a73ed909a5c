"""Faults of dot products, and what a device keeps from vector to vector, with the guess that names each (spec 12.12).

What a faulty device gives is made of the reference model's groups, conversions and additions, one of them changed.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.reference.accumulate import Addend, add, convert, start
from bfpemu.reference.flags import Flags
from bfpemu.reference.float_format import pattern_of, round_to_format
from bfpemu.reference.group import Row, groups
from bfpemu.reference.trace import Scaled, register
from bfpemu.reference.value import number
from bfpemu.vectors.answers import expected
from bfpemu.vectors.verify.compare import compare
from bfpemu.vectors.verify.diagnose import diagnose
from bfpemu.vectors.verify.dot_faults import dot_faults
from bfpemu.vectors.verify.float_adder import FloatAdder, Floats
from bfpemu.vectors.verify.kept_state import kept_state
from bfpemu.vectors.words import hex_lines

pytestmark = pytest.mark.slow

INVALID = 1
SMALL_FLOAT = FloatFormat(exponent_bits=4, fraction_bits=4)
ADDING = DotProductUnit(accumulator=Accumulator(kind="float", format=SMALL_FLOAT), output=SMALL_FLOAT)
CHANGES = {"dot": {}, "dot_float": {"dot_unit": ADDING, "shows_accumulator": False}}
"""To the set of `dot`, whose accumulator keeps integers."""
OPPOSITE = {"a_elements": [3] * 6, "a_exponents": [14] * 3, "b_elements": [3, 3, 5, 5, 0, 0], "b_exponents": [14] * 3}
"""Operands whose groups overflow to both infinities."""


def rows_of(problem, stimulus):
    """Return both rows of operands."""
    return [
        Row(stimulus[f"{side}_exponents"], [], stimulus[f"{side}_elements"], preset.format)
        for side, preset in (("a", problem.a_flat), ("b", problem.b_flat))
    ]


@dataclasses.dataclass
class Device:
    """A unit that adds group by group, of which parts can be replaced."""

    problem: object
    groups: object = staticmethod(lambda found: found)
    convert: object = staticmethod(convert)
    add: object = staticmethod(add)
    is_nan: object = staticmethod(lambda rows: any(row.has_nan for row in rows))
    clears: bool = True
    keeps_last_flags: bool = False
    nan_stays: bool = False
    held: Addend | None = None
    seen_nan: bool = False

    def __call__(self, stimulus):
        unit = self.problem.dot_unit
        accumulator = unit.accumulator
        rows = rows_of(self.problem, stimulus)
        is_nan = self.is_nan(rows) or (self.nan_stays and self.seen_nan)
        self.seen_nan = is_nan
        held, flags = start(accumulator) if self.clears or self.held is None else self.held, Flags.NONE
        for group in self.groups(list(groups(*rows, unit))):
            addend, raised = self.convert(group, accumulator)
            total = self.add(held, addend, accumulator)
            held, flags = total.total, (Flags.NONE if self.keeps_last_flags else flags) | raised | total.flags
        if not is_nan:
            self.held = held
        value, raised = round_to_format(held.value, unit.output)
        found = {"result": pattern_of(value, unit.output), "flags": int(flags | raised)}
        found |= self.shown(held) if self.problem.shows_accumulator else {}
        if is_nan:
            bits = unit.output.fraction_bits
            nan = (((1 << unit.output.exponent_bits) - 1) << 1 | 1) << (bits - 1)
            found = dict.fromkeys(found, 0) | {"result": nan, "flags": INVALID}
        return {name: [item] for name, item in found.items()}

    def shown(self, held):
        accumulator = self.problem.dot_unit.accumulator
        scaled = register(held, accumulator)
        assert isinstance(scaled, Scaled)
        integer = scaled.integer & ((1 << accumulator.bits) - 1)
        return {"accumulator": integer, "accumulator_exponent": (scaled.exponent or 0) & 0xFFFF}


@pytest.fixture
def named(sets):
    """Return the faults that give the words of a device, of some vectors of a set that show its fault."""

    def run(name, **parts):
        found = sets("dot")
        problem = dataclasses.replace(found.problem, **CHANGES[name])
        is_nan = np.flatnonzero(found.words("expected").items(0, found.total)["flags"] == INVALID)
        # Neighbours, which a device that keeps something tells from each other, from all over the set.
        first = [*is_nan[:: len(is_nan) // 8], *range(0, found.total - 8, found.total // 8)]
        numbers = np.concatenate([np.arange(number, number + 8) for number in first])
        stimulus = found.words("stimulus").items_of(numbers[numbers < found.total])
        stimulus = {
            name: np.concatenate([items, np.array([OPPOSITE[name]], np.uint64)]) for name, items in stimulus.items()
        }
        right = expected(problem, stimulus)
        got = problem.expected.pack(answers(problem, stimulus, **parts))
        differs = (got != problem.expected.pack(right)).any(axis=1)
        assert differs.any() == bool(parts), "a fault must show, and nothing else"
        faults = [(text, make()) for text, make in dot_faults(problem, stimulus, right)]
        faults += kept_state(problem, stimulus, right, got, np.ones(len(got), np.bool_))
        return [text for text, words in faults if np.array_equal(words, got) and parts]

    return run


def answers(problem, stimulus, **parts):
    """Return the items of the words of a device."""
    device = Device(problem, **parts)
    count = len(stimulus["a_elements"])
    rows = [device({key: items[row].tolist() for key, items in stimulus.items()}) for row in range(count)]
    return {field.name: np.array([row[field.name] for row in rows], np.uint64) for field in problem.expected.fields}


@pytest.mark.parametrize("name", ["dot", "dot_float"])
def test_a_device_without_a_fault_gives_the_expected_words(named, name):
    assert named(name) == []


def test_what_comes_of_a_whole_set_is_named(sets, tmp_path):
    found = sets("dot")
    right = found.words("expected").items(0, found.total)
    is_nan = right["flags"] == INVALID
    nan = {name: items[is_nan.argmax()] for name, items in right.items()}
    seen = np.logical_or.accumulate(is_nan)
    items = {name: np.where(seen, nan[name], items) for name, items in right.items()}
    path = tmp_path / "out.hex"
    path.write_bytes(hex_lines(found.problem.expected.pack(items), found.problem.expected.digits))
    guesses = diagnose(compare(found, [str(path)]))
    assert "a NaN of an earlier vector counts" in [guess.text for guess in guesses if guess.explains_all]


def wraps(value, bits):
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half


def changed(**changes):
    """Return groups with a change of each, made from a group and the one before."""

    def change(found):
        every = []
        for group in found:
            new = {key: make(group, every[-1] if every else None) for key, make in changes.items()}
            step = new.get("exponent", group.exponent) - group.exponent
            every.append(dataclasses.replace(group, reference=group.reference + step, **new))
        return every

    return change


def codes_wrap(group, _before):
    """Return an exponent of which the sum of both codes has lost its upper bits: formats of 4 bits, bias 7."""
    bias, fraction = 7, 2 * 2
    return (group.exponent + fraction + 2 * bias & 15) - 2 * bias - fraction


# Elements of 3 bits, two to a group: a sum is -24 to 32, which has 7 bits.
GROUPS = {
    "the sum of a group, 1 bits too short, wraps": {"total": lambda group, _: wraps(group.total, 6)},
    "the sum of a group, 2 bits too short, saturates": {"total": lambda group, _: min(max(group.total, -16), 15)},
    "the sum of a group starts from that of the group before": {
        "total": lambda group, before: group.total + (before.total if before else 0)
    },
    "the sum of exponent codes wraps in 4 bits": {"exponent": codes_wrap},
}


@pytest.mark.parametrize("name", ["dot", "dot_float"])
@pytest.mark.parametrize("said", GROUPS)
def test_a_fault_of_group_sums_is_named(named, name, said):
    assert said in named(name, groups=changed(**GROUPS[said]))


@pytest.mark.parametrize("name", ["dot", "dot_float"])
def test_groups_that_are_left_out_are_named(named, name):
    assert "the last group is not added" in named(name, groups=lambda found: found[:-1])


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("only NaN blocks of a are seen", {"is_nan": lambda rows: rows[0].has_nan}),
        (
            "only NaN blocks of the last group are seen",
            {"is_nan": lambda rows: any(row.exponent_codes[-1] == row.spec.nan_code for row in rows)},
        ),
        ("a NaN of an earlier vector counts", {"nan_stays": True}),
        ("only the flags of the last group are kept", {"keeps_last_flags": True}),
        ("the accumulator of the vector before is kept", {"clears": False}),
    ],
)
@pytest.mark.parametrize("name", ["dot", "dot_float"])
def test_what_is_not_seen_or_not_cleared_is_named(named, name, said, parts):
    assert said in named(name, **parts)


# ------------------------------------------------------------------------------- float additions


def short_adder(x, y, accumulator):
    """Add with two bits below the last of the larger number, and none for what is below."""
    if not (x.value.is_finite and y.value.is_finite and x.value.magnitude and y.value.magnitude):
        return add(x, y, accumulator)
    high, low = sorted((x, y), key=lambda side: side.value.magnitude, reverse=True)
    format = accumulator.format
    top = max(n for n in range(-40, 40) if Fraction(2) ** n <= high.value.magnitude)
    unit = Fraction(2) ** (max(top, 1 - format.bias) - format.fraction_bits - 2)
    cut = number(low.value.magnitude // unit * unit, negative=low.value.negative)
    return add(high, Addend(cut), accumulator)


def test_bits_that_an_alignment_loses_are_named(named):
    said = "2 bits of the smaller addend kept below the last of the larger, none of those below"
    assert said in named("dot_float", add=short_adder)


def test_infinities_of_opposite_signs_that_do_not_raise_invalid_are_named(named):
    def silent(x, y, accumulator):
        done = add(x, y, accumulator)
        return done._replace(flags=done.flags & ~Flags.INVALID)

    assert "infinities of opposite signs do not raise invalid" in named("dot_float", add=silent)


# ---------------------------------------------------------------------------- integer additions


def test_an_accumulator_of_zero_that_sets_the_exponent_is_named(named):
    def takes_part(x, y, accumulator):
        every = dataclasses.replace(accumulator, zero_takes_part=True)
        if y.value.magnitude == 0 and x.reference is not None:
            y = y._replace(reference=x.reference)
        return add(x, y, every if y.value.magnitude else accumulator)

    assert "an accumulator of 0 takes part in the larger exponent" in named("dot", add=takes_part)


@pytest.mark.parametrize("overflow", ["wrap", "saturate"])
def test_a_sum_that_wraps_where_group_sums_saturate_and_the_other_way(sets, overflow):
    other = {"wrap": "saturate", "saturate": "wrap"}[overflow]
    fixed = Accumulator(kind="fixed", bits=7, lsb_exponent=-6, overflow=overflow)
    unit = DotProductUnit(accumulator=fixed)
    problem = dataclasses.replace(sets("dot").problem, dot_unit=unit, shows_accumulator=False)
    stimulus = sets("dot").words("stimulus").items(0, 100)

    right = answers(problem, stimulus)
    faults = dict(dot_faults(problem, stimulus, right))
    otherwise = dataclasses.replace(fixed, overflow=other)
    verb = f"{other}s"
    for said, parts in (
        (f"the accumulator {verb}", {"add": lambda x, y, _: add(x, y, otherwise)}),
        (f"a group sum that does not fit {verb}", {"convert": lambda group, _: convert(group, otherwise)}),
    ):
        planted = problem.expected.pack(answers(problem, stimulus, **parts))
        assert (planted != problem.expected.pack(right)).any(), "this fault must show"
        assert np.array_equal(faults[said](), planted)


FLOAT32 = FloatFormat(exponent_bits=8, fraction_bits=23)


@pytest.mark.parametrize(("below", "flags"), [(None, 8), (31, 8), (30, 0)])
def test_a_shift_of_31_places_loses_the_last_bit_of_a_register_with_30_below(below, flags):
    # 2**-95 and the smallest subnormal, whose units lie 31 places apart.
    large, small = (
        Floats(np.array([0]), np.array([False]), np.array([size]), np.array([unit]))
        for size, unit in ((1 << 23, -118), (1, -149))
    )
    total, raised = FloatAdder(FLOAT32, apart_bits=5, lost_below=below).added(small, large)
    assert (int(total.size[0]), int(total.unit[0])) == (1 << 23, -118)
    assert raised.tolist() == [flags]


@pytest.mark.parametrize(("exponent", "flags"), [(-149, 4), (128, 2 | 8), (129, 2 | 4 | 8), (130, 2 | 8), (0, 0)])
def test_underflow_of_exact_subnormals_and_of_an_exponent_field_that_wraps_to_0(exponent, flags):
    adder = FloatAdder(FLOAT32, exact_underflow=True, wrapped_underflow=True)
    assert adder.rounded(np.array([False]), np.array([1]), np.array([exponent]))[1].tolist() == [flags]
