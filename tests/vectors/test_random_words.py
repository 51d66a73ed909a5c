"""Bits of random words that decide alone, and the one element that is no NaN (spec 12.10)."""

from __future__ import annotations

import numpy as np
import pytest

from bfpemu.catalog import resolve
from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.facts import block_facts
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import random_words_bins
from bfpemu.vectors.encode.bins import encode_families
from bfpemu.vectors.encode.stimulus import EncodeStimulus
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.plan import plan_of

BITS, LANES = 6, 4


def preset(**words):
    return Preset(
        BFPSpec("drawn", 5, LANES, encoding="sign_magnitude"),
        Conversion(rounding="stochastic", random_bits=BITS, **words),
    )


PROBLEMS = {rule: Problem("encode", preset(exponent_rule=rule)) for rule in ("rceil", "floor", "given", "lower_error")}
PROBLEMS |= {
    "float16": Problem("encode", preset(exponent_rule="ceil"), dtype="float16"),
    "add": Problem("add", resolve("6x4"), result=preset()),
    "multiply": Problem("multiply", resolve("6x4"), result=preset()),
}


def families_and_pieces(problem):
    made = plan_of(problem, 1, 1).random_words
    return made.families(), made.pieces


def lanes_of(names, kind):
    return [
        (int(parts[2][3:]), int(parts[3][4:])) for name in names if (parts := name.split("."))[:2] == ["random", kind]
    ]


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_bit_of_a_random_word_decides_alone_in_every_lane(name):
    families, _ = families_and_pieces(PROBLEMS[name])
    every = {(bit, lane) for bit in range(BITS) for lane in range(LANES)}
    for kind in ("has", "lacks", "rest"):
        assert set(lanes_of(families[0].names, kind)) == every


@pytest.mark.parametrize("name", ["rceil", "given", "float16", "add", "multiply"])
def test_without_the_bit_or_with_it_the_element_is_another_one(name):
    problem = PROBLEMS[name]
    families, pieces = families_and_pieces(problem)
    for piece in pieces:
        answer = expected(problem, piece)
        hits = bins_of(families, block_facts(problem, piece, answer), len(piece["random"]))
        for bit in range(BITS):
            for kind in ("has", "lacks"):
                found = [
                    (row, lane) for row, names in enumerate(hits) for at, lane in lanes_of(names, kind) if at == bit
                ]
                rows, lanes = np.array(found).T
                word = piece["random"].copy()
                word[rows, lanes] ^= np.uint64(1 << bit)
                assert ((piece["random"][rows, lanes] >> np.uint64(bit) & np.uint64(1)) == (kind == "has")).all()
                other = expected(problem, piece | {"random": word})["elements"]
                # Magnitudes: without the bit one less, with it one more.
                difference = other.astype(np.int64) - answer["elements"].astype(np.int64)
                changed = np.where(difference[rows, lanes] == 0, 99, difference[rows, lanes])
                step = -1 if kind == "has" else 1
                # A magnitude of 1 loses its sign with the bit, one of 0 has none before it.
                assert np.isin(changed, (step, step * 17)).all()


def test_what_is_rounded_before_or_after_has_no_such_bins():
    for words in ({"alignment_bits": 8}, {"post_truncate_bits": 1}, {"ignored_bit": 2}):
        assert families_and_pieces(Problem("encode", preset(**words)))[0] == []
    assert families_and_pieces(Problem("encode", resolve("8x4"))) == ([], [])


def test_of_many_lanes_bits_and_lanes_have_bins_of_their_own():
    many = Preset(BFPSpec("many", 5, 64), Conversion(rounding="stochastic", random_bits=16))
    families, _ = families_and_pieces(Problem("encode", many))
    names = set(families[0].names)
    assert {f"random.{kind}.bit{bit}" for kind in ("has", "lacks", "rest") for bit in range(16)} <= names
    assert {f"random.lane{lane}" for lane in range(64)} <= names


def test_one_bit_has_no_sum_above_the_edge():
    one = Preset(BFPSpec("one", 5, 4), Conversion(rounding="stochastic", random_bits=1))
    for bits, is_absent in ((one, True), (preset(), False)):
        family = random_words_bins(Reach(Problem("encode", bits)))
        assert (family.absent(2) is not None) == is_absent


@pytest.mark.parametrize("infinity", ["saturate", "saturate_element", "block"])
def test_every_lane_alone_is_no_nan(infinity):
    problem = Problem(
        "encode",
        Preset(BFPSpec("nan", 5, LANES), Conversion(nan="zero_unless_all", infinity=infinity)),
        dtype="float16",
    )
    stimulus = {"x": EncodeStimulus(Reach(problem), 1, 1).among_nan()}
    answer = expected(problem, stimulus)
    family = next(one for one in encode_families(problem, 1) if one.names[0].startswith("among_nan"))
    hits = bins_of([family], block_facts(problem, stimulus, answer), len(stimulus["x"]))
    assert [len(names) for names in hits] == [1] * len(hits)
    assert set().union(*hits) == set(family.names)
    # A block of NaN has the code of all ones; of these only one of an infinity may have it, by another policy.
    is_nan = answer["exponents"][:, 0] == 255
    kinds = [next(iter(names)).split(".")[1] for names in hits]
    assert is_nan.tolist() == [kind == "infinity" and infinity == "block" for kind in kinds]


def test_other_policies_tell_no_block_of_nan():
    names = [name for one in encode_families(Problem("encode", resolve("8x4")), 1) for name in one.names]
    assert not [name for name in names if name.startswith("among_nan")]


def test_an_infinity_that_is_refused_is_not_the_one_among_nan():
    refusing = Preset(BFPSpec("nan", 5, 2), Conversion(nan="zero_unless_all", infinity="error"))
    families = encode_families(Problem("encode", refusing), 1)
    family = next(one for one in families if one.names[0].startswith("among_nan"))
    assert [name for number, name in enumerate(family.names) if family.absent(number)] == [
        f"among_nan.infinity.lane{lane}" for lane in range(2)
    ]


def test_every_bit_alone_is_a_number_beside_an_infinity():
    problem = Problem(
        "encode", Preset(BFPSpec("drawn", 5, LANES), Conversion(infinity="saturate_element")), dtype="float16"
    )
    stimulus = {"x": EncodeStimulus(Reach(problem), 1, 1).beside_infinity()}
    answer = expected(problem, stimulus)
    family = next(one for one in encode_families(problem, 1) if one.names[0].startswith("beside_infinity"))
    hits = bins_of([family], block_facts(problem, stimulus, answer), len(stimulus["x"]))
    assert (
        set().union(*hits)
        == set(family.names)
        == {f"beside_infinity.bit{b}.lane{n}" for b in range(15) for n in range(4)}
    )
    # Without the number the block takes the largest exponent.
    without = np.where(stimulus["x"] & np.uint64(0x7C00) == 0x7C00, stimulus["x"], np.uint64(0))
    largest = expected(problem, {"x": without})["exponents"]
    assert (largest == 254).all()
    assert (answer["exponents"] < 254).all()
