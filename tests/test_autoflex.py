"""Autoflex: every step against another model of it, the public code's printed results, JSON, tensors (spec 11)."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu import BFPTensor, autoflex
from bfpemu.autoflex import (
    AUTOFLEX_NEON,
    AUTOFLEX_PAPER,
    Autoflex,
    AutoflexConfig,
    AutoflexState,
    adjust,
    initialise,
    machine,
    observe,
    start,
    update,
)
from bfpemu.errors import BfpError, DataError, SpecError
from bfpemu.formats import BFPSpec, Preset
from bfpemu.reference.autoflex import AutoflexTensor

VECTORS = sorted((Path(__file__).parents[1] / "golden_vectors/autoflex").glob("*.json"))

FLEX = BFPSpec("flex16", 16, None, 6, exponent_bias=32, fraction_bits=0, exponent_reserved="none")
"""Units of 2 ** -32 to 2 ** 31, so that no exponent of the public code is out of range."""


# --- golden vectors ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_golden_vectors(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    config = AutoflexConfig.from_dict(document["config"])
    assert config.to_dict() == document["config"]
    for case in document["cases"]:
        state, exponents = start(config), []
        for name, *arguments in case["steps"]:
            found = getattr(autoflex, name)(state, *arguments)
            state = found[0] if name == "update" else found
            exponents.append(state.exponent)
        answer = {name: value for name, value in state.to_dict().items() if name != "config"}
        assert (exponents, answer) == (case["exponents"], case["state"]), case["name"]


def test_there_are_vectors_for_both_readings():
    assert {"neon", "paper"} <= {path.stem for path in VECTORS}
    assert len(VECTORS) >= 20


# --- the two implementations ---------------------------------------------------------------------


@st.composite
def configs(draw: st.DrawFn) -> AutoflexConfig:
    """Draw a configuration; factors that are no short fractions make every operation round."""
    factor = st.integers(0, 5) | st.sampled_from([0.1, 1.3, 1 / 3, 100, 65536]) | st.floats(0, 8)
    low = draw(st.integers(-128, 0) | st.just(-32))
    return AutoflexConfig(
        significand_bits=draw(st.integers(4, 24) | st.just(16)),
        history_length=draw(st.integers(1, 20)),
        deviations=draw(factor),
        margin=draw(factor),
        headroom=draw(factor | st.just(1)),
        arithmetic=draw(st.sampled_from(autoflex.AutoflexArithmetic)),
        rounding=draw(st.sampled_from(autoflex.AutoflexRounding)),
        minimum_exponent=low,
        maximum_exponent=draw(st.integers(low, 64)),
        initial_exponent=draw(st.integers(-128, 64) | st.just(-8)),
        initialisation_tries=draw(st.integers(1, 12)),
        initial_increment=draw(st.integers(0, 1)),
        jump_bits=draw(st.none() | st.integers(1, 16)),
        reliable_maximum=draw(st.none() | st.integers(0, 100)),
        overflow_bits=draw(st.integers(0, 8)),
        stale_shift=draw(st.none() | st.integers(0, 6)),
        stale_history=draw(st.integers(1, 5)),
        stale_margin=draw(st.none() | st.integers(0, 5000)),
    )


@given(config=configs(), data=st.data())
def test_the_machine_and_the_reference_agree_on_every_step(config: AutoflexConfig, data: st.DataObject) -> None:
    top = config.largest_maximum
    near = st.builds(lambda bit, by: min(max((1 << bit) + by, 0), top), st.integers(0, 23), st.integers(-2, 2))
    maxima = st.integers(0, top) | near | st.just(top - 1)
    state, tensor = start(config), AutoflexTensor.of(config)
    for _ in range(data.draw(st.integers(1, 30))):
        step = data.draw(st.sampled_from(["update", "update", "update", "initialise", "observe", "adjust"]))
        if step == "update":
            maximum, age = data.draw(maxima), data.draw(st.none() | st.integers(0, 2000))
            state, exponent = update(state, maximum, age)
            assert tensor.update(maximum, age) == exponent
        elif step == "initialise":
            maximum = data.draw(maxima)
            state = initialise(state, maximum)
            tensor.initialise(maximum)
        elif step == "observe":
            maximum = data.draw(maxima)
            state = observe(state, maximum)
            tensor.observe(maximum)
        else:
            state = adjust(state)
            tensor.adjust()
        history = [tuple(seen) for seen in state.history]
        assert (state.exponent, state.is_initialised, state.tries, history, state.overflows) == (
            tensor.exponent,
            tensor.is_initialised,
            tensor.tries,
            tensor.history,
            tensor.overflows,
        )
        assert (state.is_adjustable, state.adjustments, state.age) == (
            tensor.is_adjustable,
            tensor.adjustments,
            tensor.age,
        )
        assert AutoflexState.from_dict(json.loads(json.dumps(state.to_dict()))) == state


# --- the paper's text, in decimals of many digits ------------------------------------------------

DIGITS = Context(prec=120)


def paper_exponent(maxima: list[tuple[int, int]], last: int) -> int:
    """Return the exponent of the paper's algorithm 2: alpha 2, beta 3, gamma 100, N 16, by logarithms of 120 digits."""
    values = [Decimal(g).scaleb(0, DIGITS) * DIGITS.power(Decimal(2), k) for g, k in maxima]
    mean = sum(values, Decimal(0)) / len(values)
    variance = sum(((value - mean) ** 2 for value in values), Decimal(0)) / len(values)
    scale = DIGITS.power(Decimal(2), last)
    chi = 2 * (max(values) + 3 * DIGITS.sqrt(variance) + 100 * scale)
    power = DIGITS.divide(DIGITS.ln(chi), DIGITS.ln(Decimal(2)))
    nearest = power.to_integral_value()
    if abs(power - nearest) < Decimal(10) ** -100:
        return int(nearest) - 15
    return math.ceil(power) - 15


@given(maxima=st.lists(st.integers(0, 32766) | st.sampled_from([0, 1, 16284, 32668]), min_size=1, max_size=40))
def test_the_paper_reading_follows_the_papers_text(maxima):
    state, seen = replace(start(AUTOFLEX_PAPER), exponent=-12, is_initialised=True), []
    for maximum in maxima:
        seen = [*seen, (maximum, state.exponent)][-16:]
        expected = min(max(paper_exponent(seen, state.exponent), -31), 0)
        state, exponent = update(state, maximum)
        assert exponent == expected


def test_the_readings_differ_where_the_spec_says():
    # 16284 + 100 units are 2 ** 14 units: an estimate that is a power of two, with no deviation.
    for config, exponent in ((AUTOFLEX_NEON, -8), (AUTOFLEX_PAPER, -8)):
        state = replace(start(config), exponent=-8, is_initialised=True)
        assert update(state, 16284)[1] == exponent
    # One unit less: floor falls by a whole power, ceil with its headroom of 2 does not.
    for config, exponent in ((AUTOFLEX_NEON, -9), (AUTOFLEX_PAPER, -8)):
        state = replace(start(config), exponent=-8, is_initialised=True)
        assert update(state, 16283)[1] == exponent
    # A stale tensor: only the public code has a rule for it.
    for config, exponent in ((AUTOFLEX_NEON, -8), (AUTOFLEX_PAPER, -9)):
        state = replace(start(config), exponent=-8, is_initialised=True)
        assert update(state, 12290, 1000)[1] == exponent + (config is AUTOFLEX_PAPER)
    assert initialise(start(AUTOFLEX_NEON), 16383).exponent == -8
    assert initialise(start(AUTOFLEX_PAPER), 16383).exponent == -1


def test_the_estimate_is_rounded_to_float32_before_its_exponent_is_taken():
    # 2 ** 24 - 1 halves of a unit and a little more: below a power of two in doubles, at it in float32.
    config = AutoflexConfig(
        significand_bits=24,
        margin=8388607.75 / 128,
        headroom=128,
        deviations=0,
        initial_exponent=0,
        maximum_exponent=64,
    )
    state = replace(start(config), is_initialised=True)
    assert update(state, 0)[1] == 23 - 22
    exact = replace(start(replace(config, arithmetic="exact")), is_initialised=True)
    assert update(exact, 0)[1] == 22 - 22


def test_sums_go_from_the_left_and_are_not_compensated():
    # The 15 small values are half a last place of the large one each: from the left they vanish one by one.
    config = AutoflexConfig(maximum_exponent=64, deviations=1, margin=0, stale_shift=None, history_length=16)
    history = [autoflex.Observation(4, 0), *[autoflex.Observation(1, -52)] * 15]
    values = [4.0] + [2.0**-52] * 15
    assert math.fsum(values) != 4.0
    state = replace(start(config), is_initialised=True, history=tuple(history), is_adjustable=True)
    tensor = AutoflexTensor(config, -8, True, history=[tuple(seen) for seen in history], is_adjustable=True)
    tensor.adjust()
    assert adjust(state).exponent == tensor.exponent
    assert machine._sum(values) == 4.0


# --- what the public code's own tests print ------------------------------------------------------


@pytest.mark.parametrize(
    "numbers, printed",
    [
        ([1, 5, 10, -32768], [1, 1.9999, 7.9997, -32]),
        ([1, 124, 10000, 32000], [1, 1.9999, 7.9997, 31.9990]),
        ([-1, 10000, -0.4, -32768], [-1, 1.9999, -0.3999, -15.9995]),
        ([10, 1000, 10000], [10, 15.9995, 63.9980]),
        ([-10, 0.4, 32767, -32768], [-10, 0.4, 31.9990, -128]),
    ],
)
def test_the_sequences_of_the_public_tests(numbers, printed):
    # Those tests read a tensor after each assignment, to four digits, which they cut off. Where a sequence takes the
    # absolute value of a number, a largest positive value stands for it.
    tensor = Autoflex(FLEX)
    found = [float(tensor.encode(np.array(number, np.float32)).dequantize()) for number in numbers]
    for value, wanted in zip(found, printed, strict=True):
        assert abs(value - wanted) <= 2e-3 * max(1, abs(wanted) / 16), (found, printed)


# --- states and configurations -------------------------------------------------------------------


def test_the_defaults_are_the_public_code():
    assert AutoflexConfig() == AUTOFLEX_NEON
    assert (AUTOFLEX_NEON.jump_bits, AUTOFLEX_NEON.reliable_maximum, AUTOFLEX_NEON.stale_margin) == (7, 32, 4096)


def test_the_table_of_the_spec_is_that_of_the_package():
    text = (Path(__file__).parents[1] / "spec/11-autoflex.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `") and line.count("|") == 5]
    table = {row[0].strip(" `"): [cell.strip(" `").replace("−", "-") for cell in row[2:]] for row in rows}
    for number, config in enumerate((AUTOFLEX_NEON, AUTOFLEX_PAPER)):
        found = {name: "null" if value is None else str(value) for name, value in config.to_dict().items()}
        assert {name: cells[number] for name, cells in table.items()} == found


def test_a_function_leaves_its_state_alone():
    state = start()
    before = state.to_dict()
    for step in (initialise, observe, update):
        step(state, 32767)
    adjust(observe(state, 3))
    assert state.to_dict() == before


def test_a_start_may_have_an_exponent_of_its_own():
    assert start(AUTOFLEX_PAPER, -4).exponent == -4


REFUSED_FIELDS: list[dict[str, Any]] = [
    {"significand_bits": 3},
    {"significand_bits": 16.0},
    {"history_length": 0},
    {"deviations": -1},
    {"margin": float("nan")},
    {"headroom": True},
    {"headroom": "2"},
    {"arithmetic": "float32"},
    {"rounding": "nearest"},
    {"minimum_exponent": 1},
    {"maximum_exponent": 65},
    {"initialisation_tries": 0},
    {"initial_increment": 2},
    {"jump_bits": 0},
    {"stale_shift": -1},
    {"stale_margin": 1.5},
]


@pytest.mark.parametrize("fields", REFUSED_FIELDS, ids=str)
def test_configurations_out_of_range_are_refused(fields):
    with pytest.raises(SpecError) as caught:
        AutoflexConfig(**fields)
    assert caught.value.code == "autoflex"
    assert "(spec 11.2)" in str(caught.value)


@pytest.mark.parametrize("maximum", [-1, 32769, 1.0, True, None, "5"])
def test_maxima_that_no_element_reaches_are_refused(maximum):
    for step in (initialise, observe):
        with pytest.raises(DataError, match="0 to 32768") as caught:
            step(start(), maximum)
        assert caught.value.code == "autoflex-maximum"


@pytest.mark.parametrize("age", [-1, 1.5])
def test_ages_are_integers_from_0(age):
    with pytest.raises(DataError) as caught:
        observe(start(), 1, age)
    assert caught.value.code == "autoflex-maximum"


def test_numpy_integers_are_maxima():
    assert observe(start(), np.int16(7), np.int64(3)) == observe(start(), 7, 3)


def changed(**fields: Any) -> dict[str, Any]:
    return observe(start(), 7).to_dict() | fields


@pytest.mark.parametrize(
    "description, code",
    [
        (None, "autoflex"),
        ({}, "autoflex"),
        (changed(more=1), "autoflex"),
        (changed(exponent=401), "autoflex"),
        (changed(exponent=None), "autoflex"),
        (changed(tries=11), "autoflex"),
        (changed(age=-1), "autoflex"),
        (changed(overflows=1.0), "autoflex"),
        (changed(is_initialised=1), "field-type"),
        (changed(history=[]), "autoflex"),
        (changed(history=[[1]]), "autoflex"),
        (changed(history=[[65537, 0]]), "autoflex"),
        (changed(history=[[1, -8]] * 17), "autoflex"),
        (changed(history="1"), "autoflex"),
        (changed(config=[]), "autoflex"),
        (changed(config={"beta": 3}), "unknown-key"),
        (changed(config={"margin": -3}), "autoflex"),
    ],
    ids=str,
)
def test_descriptions_that_are_no_state_are_refused(description, code):
    with pytest.raises(BfpError) as caught:
        AutoflexState.from_dict(description)
    assert caught.value.code == code


# --- tensors -------------------------------------------------------------------------------------


def test_a_tensor_has_the_exponent_of_the_state_and_the_codes_of_the_rule_given():
    tensor, data = Autoflex(FLEX), np.linspace(-3, 3, 50, dtype=np.float32).reshape(5, 10)
    found = tensor.encode(data)
    assert found.exponents.tolist() == [tensor.state.exponent]
    conversion = replace(Preset(FLEX).conversion, exponent_rule="given")
    expected = BFPTensor(data, FLEX, conversion=conversion, exponents=tensor.state.exponent)
    np.testing.assert_array_equal(found.mantissas, expected.mantissas)
    assert tensor.state.history[-1] == (max(abs(int(m)) for m in found.mantissas.reshape(-1)), tensor.state.exponent)


def test_fraction_bits_do_not_change_what_a_unit_is():
    fractions = replace(FLEX, fraction_bits=15, exponent_bias=17)
    data = np.array([0.3, -7.25, 1e-3], np.float64)
    one, other = Autoflex(FLEX), Autoflex(fractions)
    for scale in (1, 30, 1e-2):
        np.testing.assert_array_equal(one.encode(data * scale).mantissas, other.encode(data * scale).mantissas)
    assert one.state == other.state


def test_a_tensor_of_zeros_gives_up_and_follows_when_data_comes():
    tensor = Autoflex(FLEX)
    tensor.encode(np.zeros(4, np.float32))
    assert (tensor.state.is_initialised, tensor.state.exponent) == (True, 0)
    found = [tensor.encode(np.full(4, 0.75, np.float32)).dequantize()[0] for _ in range(6)]
    assert found[-1] == 0.75
    assert tensor.state.exponent == -14  # the zeros of the history still spread


def test_data_beyond_the_largest_unit_saturates_and_is_counted():
    tensor = Autoflex(FLEX)
    for _ in range(3):
        assert tensor.encode(np.array([1e30, -1e30], np.float32)).mantissas.tolist() == [32767, -32768]
    assert tensor.state.overflows == 3


def test_exponents_stay_inside_a_narrow_format():
    five = BFPSpec("flex16_5", 16, None, 5, exponent_bias=31, fraction_bits=0, exponent_reserved="none")
    tensor = Autoflex(five, AUTOFLEX_PAPER)
    assert tensor.encode(np.full(3, 1e9, np.float32)).exponents.tolist() == [0]
    assert tensor.encode(np.full(3, 1e-12, np.float32)).exponents.tolist() == [0]
    for _ in range(40):
        tensor.encode(np.full(3, 1e-12, np.float32))
    assert tensor.state.exponent == -31


def test_a_state_goes_on_where_it_was_left():
    data = [np.float32([k, -k * k]) for k in range(1, 9)]
    one = Autoflex(FLEX)
    whole = [one.encode(numbers).mantissas.tolist() for numbers in data]
    first = Autoflex(FLEX)
    parts = [first.encode(numbers).mantissas.tolist() for numbers in data[:4]]
    kept = json.dumps(first.state.to_dict())
    second = Autoflex(FLEX, state=AutoflexState.from_dict(json.loads(kept)))
    assert parts + [second.encode(numbers).mantissas.tolist() for numbers in data[4:]] == whole
    assert second.state == one.state


def test_blocks_smaller_than_a_tensor_share_the_exponent_too():
    tensor = Autoflex(replace(FLEX, block_size=4))
    assert set(tensor.encode(np.arange(16, dtype=np.float32)).exponents.tolist()) == {tensor.state.exponent}


def test_tensors_without_elements_have_the_maximum_0():
    tensor = Autoflex(FLEX)
    assert tensor.encode(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert tensor.state.history[-1].maximum == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"format": "bfp8"},
        {"format": replace(FLEX, exponent_bits=5, exponent_bias=31)},
        {"format": BFPSpec("unsigned", 16, None, 6, has_sign=False, exponent_bias=32, fraction_bits=0)},
        {"format": FLEX, "config": AUTOFLEX_PAPER, "state": start()},
        {"format": FLEX, "state": "ready"},
    ],
)
def test_formats_and_states_that_do_not_fit_are_refused(arguments):
    with pytest.raises(SpecError, match=r"spec 11\.10") as caught:
        Autoflex(**arguments)
    assert caught.value.code == "autoflex"


def test_exponents_are_bounded_to_the_nearest():
    assert [autoflex.bounded(start(), *ends).exponent for ends in ((-9, 0), (-7, 0), (-20, -12))] == [-8, -7, -12]


def test_an_exact_estimate_is_compared_without_rounding():
    # Values 0 and 8192 have the deviation 4096: the estimate is 2 ** 14 for 2 deviations, and above for any more.
    for deviations, exponent in ((2, -1), (2 + 2**-40, 0), (2 - 2**-40, -1)):
        config = AutoflexConfig(arithmetic="exact", rounding="ceil", margin=0, deviations=deviations)
        state = replace(start(config), is_initialised=True, exponent=0)
        assert adjust(observe(observe(state, 0), 8192)).exponent == exponent
