"""cocotb on Icarus Verilog: the serial encoder as a stream, and broken copies that the bench must notice and name."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from cocotb_tools.runner import get_runner

from tests.rtl.choices import ENCODE
from tests.rtl.devices import parameters
from tests.rtl.sets import level_one
from tests.rtl.simulators import DESIGNS, tool

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

DEVICE = "encoder_serial"
MODEL, SET, ONE = "results_are_those_of_the_model", "results_are_those_of_the_set", "one_block_has_one_result"
CORNERS = "corners_are_those_of_the_model"
"""The tests of stream_encoder.py."""
SERIAL = f"{DEVICE}.sv"
BROKEN = {
    "a_tie_goes_away": (
        "rounding_signed.svh",
        "half && (rest || odd);       // ties_to_even",
        "half;",
        ["MISMATCH", "differing by field: elements", "units of the last place", "stimulus x", "guard 1, sticky 0"],
    ),
    "the_exponent_is_one_too_large": (
        SERIAL,
        "EXPONENT_BIAS - 126)",
        "EXPONENT_BIAS - 125)",
        ["MISMATCH", "differing by field: elements", "exponents[0]: expected", "the rule gives"],
    ),
    "a_lane_is_not_known": (
        SERIAL,
        "elements <= {element, ",
        "elements <= {lane == 3 ? {MANTISSA_BITS{1'bx}} : element, ",
        ["MISMATCH", "differing by field: x or z", "with x or z"],
    ),
    "takes_a_block_while_busy": (
        SERIAL,
        "in_ready = state == IDLE;",
        "in_ready = state == IDLE || state == DONE;",
        [],
    ),
    "does_not_wait_for_the_receiver": (
        SERIAL,
        "default: if (out_ready) state",
        "default: state",
        ["a word must stay until it is taken", "is not valid any more"],
    ),
    "a_result_changes_while_it_waits": (
        SERIAL,
        "      default: ;\n",
        "      DONE: elements <= ~elements;\n      default: ;\n",
        ["a word must stay until it is taken"],
    ),
    "gives_nothing": (SERIAL, "out_valid = state == DONE;", "out_valid = 1'b0;", ["INCOMPLETE", "the device hangs"]),
    "valid_is_not_known": (SERIAL, "out_valid = state == DONE;", "out_valid = 1'bx;", ["valid must be 0 or 1, got X"]),
    "gives_results_twice": (
        SERIAL,
        "default: if (out_ready) state <= IDLE;",
        "default: if (out_ready) begin top <= '0; if (top == 0) state <= IDLE; end",
        ["INCOMPLETE: what came is equal", "1 result came that no vector was waiting for"],
    ),
}
"""What is broken -> the file, its text, what stands there instead, and what the bench must say."""


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return level_one("encode", ENCODE[0], tmp_path_factory.mktemp("vectors") / "set").folder


def failures(
    design: Path,
    vectors: Path,
    folder: Path,
    *tests: str,
    device: str = DEVICE,
    module: str = "stream_encoder",
    more: tuple[Path, ...] = (),
) -> dict[str, str]:
    """Return which of some cocotb tests failed, and what they said."""
    tool("iverilog")
    runner = get_runner("icarus")
    runner.build(
        sources=[design / SERIAL, *more],
        includes=[design],
        parameters=parameters("encode", ENCODE[0]),
        hdl_toplevel=device,
        build_dir=folder,
        timescale=("1ns", "1ps"),
        always=True,
    )
    results = folder / "results.xml"
    try:
        runner.test(
            hdl_toplevel=device,
            test_module=f"tests.rtl.{module}",
            testcase=tests,
            build_dir=folder,
            test_dir=folder,
            results_xml=str(results),
            plusargs=[f"+set={vectors}"],
        )
    except SystemExit:  # the runner's way to say that a test failed
        assert results.exists()
    cases = list(ElementTree.parse(results).iter("testcase"))
    assert {case.get("name") for case in cases} == set(tests)
    found = {}
    for case in cases:
        assert case.find("error") is None
        assert case.find("skipped") is None
        if (failure := case.find("failure")) is not None:
            found[case.get("name", "")] = failure.get("message", "")
    return found


def test_the_stream_gives_the_bits_of_the_reference(vectors: Path, tmp_path: Path) -> None:
    assert failures(DESIGNS, vectors, tmp_path, MODEL, CORNERS, SET, ONE) == {}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_copy_is_noticed_and_named(name: str, vectors: Path, tmp_path: Path) -> None:
    file, right, wrong, said = BROKEN[name]
    design = tmp_path / "design"
    design.mkdir()
    for path in DESIGNS.iterdir():
        text = path.read_text(encoding="ascii")
        if path.name == file:
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        (design / path.name).write_text(text, encoding="ascii")
    tests = {"a_tie_goes_away": (CORNERS, SET), "gives_results_twice": (ONE,)}.get(name, (MODEL,))
    found = failures(design, vectors, tmp_path, *tests)
    assert set(found) == set(tests)
    for text in found.values():
        assert [words for words in said if words not in text] == []


TAGGED = "tagged_encoder"
TAGS, NO_TAGS, TOO_FEW = "tags_find_their_stimuli", "without_tags_the_order_differs", "too_few_bins_are_hit"
"""The tests of stream_tagged_encoder.py."""


def tagged_failures(device: Path, folder: Path, *tests: str) -> dict[str, str]:
    return failures(DESIGNS, folder, folder, *tests, device=TAGGED, module="stream_tagged_encoder", more=(device,))


def test_results_out_of_order_find_their_stimuli_by_tags_and_bins_are_counted(tmp_path: Path) -> None:
    device = Path(__file__).with_name(f"{TAGGED}.sv")
    found = tagged_failures(device, tmp_path, TAGS, NO_TAGS, TOO_FEW)
    assert set(found) == {NO_TAGS, TOO_FEW}
    assert "MISMATCH" in found[NO_TAGS]
    assert "COVERAGE TOO LOW" in found[TOO_FEW]
    assert "not hit: " in found[TOO_FEW]


def test_a_tag_of_another_block_is_noticed(tmp_path: Path) -> None:
    text = Path(__file__).with_name(f"{TAGGED}.sv").read_text(encoding="ascii")
    right, wrong = "if (starts[1]) tag1 <= in_tag;", "if (starts[1]) tag1 <= in_tag ^ 1;"
    assert text.count(right) == 1
    device = tmp_path / f"{TAGGED}.sv"
    device.write_text(text.replace(right, wrong), encoding="ascii")
    assert "vector" in tagged_failures(device, tmp_path, TAGS)[TAGS]
