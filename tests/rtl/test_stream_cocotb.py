"""cocotb on Icarus Verilog: the serial encoder as a stream, and copies with bugs that the bench must notice."""

from __future__ import annotations

from pathlib import Path

import pytest
from cocotb_tools.runner import get_results, get_runner

from tests.rtl.choices import ENCODE
from tests.rtl.devices import parameters
from tests.rtl.simulators import DESIGNS, tool

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

DEVICE = "encoder_serial"
BROKEN = {
    "a_tie_goes_away": ("rounding_signed.svh", "half && (rest || odd);       // ties_to_even", "half;"),
    "takes_a_block_while_busy": (
        f"{DEVICE}.sv",
        "in_ready = state == IDLE;",
        "in_ready = state == IDLE || state == DONE;",
    ),
    "does_not_wait_for_the_receiver": (f"{DEVICE}.sv", "default: if (out_ready) state", "default: state"),
}
"""What is broken -> the file, its text, and what stands there instead."""


def failed_tests(design: Path, folder: Path) -> tuple[int, int]:
    """Return how many cocotb tests ran and how many failed."""
    tool("iverilog")
    runner = get_runner("icarus")
    runner.build(
        sources=[design / f"{DEVICE}.sv"],
        includes=[design],
        parameters=parameters("encode", ENCODE[0]),
        hdl_toplevel=DEVICE,
        build_dir=folder,
        timescale=("1ns", "1ps"),
        always=True,
    )
    results = folder / "results.xml"
    try:
        runner.test(
            hdl_toplevel=DEVICE,
            test_module="tests.rtl.stream_encoder",
            build_dir=folder,
            test_dir=folder,
            results_xml=str(results),
        )
    except SystemExit:  # the runner's way to say that a test failed
        assert results.exists()
    return get_results(results)


def test_the_stream_gives_the_bits_of_the_reference(tmp_path: Path) -> None:
    assert failed_tests(DESIGNS, tmp_path) == (1, 0)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_copy_is_noticed(name: str, tmp_path: Path) -> None:
    file, right, wrong = BROKEN[name]
    design = tmp_path / "design"
    design.mkdir()
    for path in DESIGNS.iterdir():
        text = path.read_text(encoding="ascii")
        if path.name == file:
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        (design / path.name).write_text(text, encoding="ascii")
    assert failed_tests(design, tmp_path) == (1, 1)
