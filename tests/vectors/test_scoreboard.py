"""The reference model and the scoreboard for benches in Python (spec 12.13)."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest

from bfpemu.errors import BfpFormatError, DataError
from bfpemu.vectors.verify.sampling import Coverage
from bfpemu.vectors.verify.scoreboard import Model, Scoreboard
from tests.vectors.conftest import PROBLEMS

FEW = 40


def words(found, count=FEW):
    return list(itertools.islice(found.stimulus_words(), count))


@pytest.mark.parametrize("unit", PROBLEMS)
def test_the_model_of_a_manifest_answers_what_the_set_expects(sets, unit):
    found = sets(unit)
    model = Model(found.manifest)
    step = max(found.total // 200, 1)
    numbers = range(0, found.total, step)
    assert [model.answer(found.stimulus_word(n)) for n in numbers] == [found.expected_word(n) for n in numbers]


@pytest.mark.parametrize("unit", PROBLEMS)
def test_words_of_the_model_are_taken_by_it(unit):
    model = Model(PROBLEMS[unit])
    found = model.words(FEW, seed=3)
    assert len(set(found)) > FEW // 2
    assert all(0 <= model.answer(word) < 1 << model.expected.bits for word in found)
    assert [model.stimulus.join(model.stimulus.split(word)) for word in found] == found


@pytest.mark.parametrize("unit", PROBLEMS)
def test_equal_results_pass_whether_answers_are_of_the_set_or_of_the_model(sets, unit):
    found = sets(unit)
    for source in (found, Model(found.manifest)):
        scoreboard = Scoreboard(source)
        for word in words(found):
            scoreboard.expect(word)
        assert all(scoreboard.check(found.expected_word(number)) for number in range(FEW))
        assert scoreboard.report() == f"EQUAL: {FEW} results"


EACH_FIELD = [(unit, field) for unit, problem in PROBLEMS.items() for field in problem.expected.fields]


@pytest.mark.parametrize("unit, field", EACH_FIELD, ids=lambda value: getattr(value, "name", value))
def test_one_wrong_bit_is_a_mismatch_of_its_field(sets, unit, field):
    found = sets(unit)
    scoreboard = Scoreboard(found)
    for number, word in enumerate(words(found, 5)):
        scoreboard.expect(word)
        flipped = 1 << (field.lsb + field.bits - 1) if number == 3 else 0
        assert scoreboard.check(found.expected_word(number) ^ flipped) is (number != 3)
    with pytest.raises(AssertionError) as caught:
        scoreboard.report()
    lines = str(caught.value).split("\n")
    assert lines[0] == "MISMATCH: 1 of 5 results differs"
    assert lines[1] == f"differing by field: {field.name} 1"
    assert lines[2] == "first mismatch: vector 3"
    assert any(line.startswith(f"  {field.name}") for line in lines)
    assert any(line.startswith("  stimulus ") for line in lines)


def test_x_is_a_mismatch_that_is_called_so(sets):
    found = sets("encode")
    scoreboard = Scoreboard(found)
    (word,) = words(found, 1)
    scoreboard.expect(word)
    digits = f"{found.expected_word(0):0{found.problem.expected.digits}x}"
    assert not scoreboard.check("Z" + digits[1:])
    with pytest.raises(AssertionError, match=r"(?s)x or z 1\n.*vector 0, with x or z\n.*got      x"):
        scoreboard.report()


def test_a_test_with_results_missing_or_too_many_or_none_fails(sets):
    found = sets("decode")
    scoreboard = Scoreboard(found)
    with pytest.raises(AssertionError, match=r"^INCOMPLETE: nothing was compared$"):
        scoreboard.report()
    for word in words(found, 2):
        scoreboard.expect(word)
    assert scoreboard.check(found.expected_word(0))
    with pytest.raises(AssertionError, match=r"^INCOMPLETE: what came is equal\n1 of 2 vectors have no result$"):
        scoreboard.report()
    assert scoreboard.check(found.expected_word(1))
    assert not scoreboard.check(0)
    with pytest.raises(
        AssertionError, match=r"^INCOMPLETE: what came is equal\n1 result came that no vector was waiting for$"
    ):
        scoreboard.report()


def test_a_set_takes_its_own_stimuli_and_no_more(sets):
    found = sets("requantize")
    scoreboard = Scoreboard(found)
    first, second = words(found, 2)
    with pytest.raises(BfpFormatError, match=r"stimulus 0 must be that of the set") as caught:
        scoreboard.expect(second)
    assert caught.value.code == "set-stimulus"
    assert scoreboard.sent == scoreboard.waiting == 0
    scoreboard.expect(first)
    assert scoreboard.waiting == 1
    whole = Scoreboard(found)
    for word in found.stimulus_words():
        whole.expect(word)
    with pytest.raises(BfpFormatError, match=f"the set has {found.total} vectors"):
        whole.expect(first)


@pytest.mark.parametrize("result", [-1, 1 << 10, "", "12", "1234", "12g", "400", "-01"])
def test_a_result_that_is_no_word_is_refused(result):
    scoreboard = Scoreboard(Model(PROBLEMS["add"]))
    assert scoreboard.model.expected.bits == 10
    with pytest.raises(BfpFormatError) as caught:
        scoreboard.check(result)
    assert caught.value.code == "device-output"


@pytest.mark.parametrize(
    "items, code",
    [
        ({}, "codes-shape"),
        ({"a_elements": [0] * 4}, "codes-shape"),
        ({"a_elements": [0] * 4, "a_exponents": [0, 0]}, "codes-shape"),
        ({"a_elements": [0, 0, 0, 32], "a_exponents": [0]}, "codes-value"),
        ({"a_elements": [0, 0, 0, -1], "a_exponents": [0]}, "codes-value"),
    ],
)
def test_items_that_do_not_fit_a_word_are_refused(items, code):
    with pytest.raises(DataError) as caught:
        PROBLEMS["requantize"].stimulus.join(items)
    assert caught.value.code == code


def test_a_word_that_is_too_wide_is_refused():
    model = Model(PROBLEMS["requantize"])
    for word in (-1, 1 << model.stimulus.bits):
        with pytest.raises(DataError, match="a word must have 24 bits"):
            model.answer(word)


# ------------------------------------------------------------------------------------------ keys


def test_results_out_of_order_belong_to_the_stimulus_of_their_key(sets):
    found = sets("encode")
    scoreboard = Scoreboard(found)
    for number, word in enumerate(words(found)):
        scoreboard.expect(word, number % 8)
    # Each key keeps its order; the keys come in turns that have nothing to do with it.
    turns = sorted(range(FEW), key=lambda number: (-(number % 8), number))
    assert [number % 8 for number in turns[:6]] == [7, 7, 7, 7, 7, 6]
    assert all(scoreboard.check(found.expected_word(number), number % 8) for number in turns)
    assert scoreboard.report() == f"EQUAL: {FEW} results"


def test_a_wrong_result_of_a_key_is_named_with_it(sets):
    found = sets("encode")
    scoreboard = Scoreboard(found)
    for key, word in zip("abc", words(found, 3), strict=True):
        scoreboard.expect(word, key)
    assert scoreboard.check(found.expected_word(2), "c")
    assert not scoreboard.check(found.expected_word(1) ^ 1, "b")
    assert scoreboard.waiting == 1
    with pytest.raises(AssertionError) as caught:
        scoreboard.report()
    lines = str(caught.value).split("\n")
    assert lines[:3] == [
        "MISMATCH: 1 of 2 results differs",
        "1 of 3 vectors have no result: vector 0 with the key 'a'",
        "differing by field: elements 1",
    ]
    assert lines[3] == "first mismatch: vector 1, key 'b'"


def test_a_result_of_a_key_that_nothing_waits_for_is_too_much(sets):
    found = sets("decode")
    scoreboard = Scoreboard(found)
    (word,) = words(found, 1)
    scoreboard.expect(word, 5)
    for key in (None, 6):
        assert not scoreboard.check(found.expected_word(0), key)
    assert (scoreboard.surplus, scoreboard.waiting, scoreboard.compared) == (2, 1, 0)
    with pytest.raises(AssertionError, match="2 results came that no vector was waiting for"):
        scoreboard.report()


# -------------------------------------------------------------------------------------- coverage


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["encode", "decode", "dot"])
def test_the_directed_vectors_of_a_set_hit_what_its_coverage_says(sets, unit):
    found = sets(unit)
    coverage = Coverage(found)
    scoreboard = Scoreboard(found, coverage)
    for word in words(found, found.directed):
        scoreboard.expect(word)
    for number in range(found.directed):
        scoreboard.check(found.expected_word(number))
    assert coverage.report() == found.coverage()
    assert coverage.percent == 100
    assert scoreboard.report(min_coverage=100) == f"EQUAL: {found.directed:,} results; 100.00 % of the bins hit"


def test_bins_of_any_stimuli_are_counted_and_what_is_not_hit_is_named(tmp_path):
    problem = PROBLEMS["encode"]
    model, coverage = Model(problem), Coverage(problem)
    scoreboard = Scoreboard(model, coverage)
    infinity, one = 0x7C00, 0x3C00
    for patterns in ([infinity, 0], [one, one], [0, infinity]):
        word = model.stimulus.join({"x": patterns})
        scoreboard.expect(word)
        scoreboard.check(model.answer(word))
    report = coverage.report()
    assert report["class.infinity.pos.lane1"] == {"hits": 1, "first": 2}
    assert report["special.infinity_among_zeros"] == {"hits": 2, "first": 0}
    assert set(report["class.infinity.neg.lane1"]) == {"not_reached"}
    assert coverage.sampled == 3
    assert 0 < coverage.percent < 50
    assert scoreboard.report(min_coverage=1).endswith(" % of the bins hit")
    with pytest.raises(AssertionError) as caught:
        scoreboard.report(min_coverage=50)
    text = str(caught.value)
    assert text.startswith(f"COVERAGE TOO LOW: {coverage.percent:.2f} % of the bins, wanted 50\nbins: ")
    assert " block\n" in text
    assert "\nnot hit: " in text
    coverage.write(tmp_path / "coverage.json")
    assert json.loads((tmp_path / "coverage.json").read_text(encoding="utf-8")) == report


def test_a_vector_without_a_result_is_not_covered(sets):
    found = sets("decode")
    coverage = Coverage(found)
    scoreboard = Scoreboard(found, coverage)
    (word,) = words(found, 1)
    scoreboard.expect(word)
    assert (coverage.sampled, coverage.hit) == (0, 0)
    assert not scoreboard.check(found.expected_word(0) ^ 1)
    assert coverage.sampled == 1
    assert coverage.hit > 0


def test_coverage_that_is_asked_for_must_be_counted(sets):
    with pytest.raises(ValueError, match="needs a scoreboard with coverage"):
        Scoreboard(sets("decode")).report(min_coverage=1)


def test_level_two_of_the_coverage_has_crosses():
    problem = PROBLEMS["decode"]
    names = {level: set(Coverage(problem, level).report()) for level in (1, 2)}
    assert names[1] < names[2]
    assert all(name.startswith("cross.") for name in names[2] - names[1])


def test_the_scoreboard_needs_no_cocotb_and_the_drivers_say_that_they_do():
    program = "import sys; sys.modules['cocotb'] = None; import bfpemu.vectors.verify.scoreboard, bfpemu.cocotb"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "ImportError: bfpemu.cocotb needs cocotb 2.0 or newer: pip install 'bfpemu[cocotb]'"
