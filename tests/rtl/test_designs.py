"""Every device in Icarus Verilog and in Verilator gives the bits of the reference model."""

from __future__ import annotations

from pathlib import Path

import pytest

from bfpemu.cli import main
from tests.rtl.answers import write_set
from tests.rtl.choices import CHOICES
from tests.rtl.devices import MODULES, Choice, parameters
from tests.rtl.sets import VectorSet, level_one
from tests.rtl.simulators import DESIGNS, Bench, ToolError, build_icarus, build_verilator, library, run, simulate, tool
from tests.rtl.stimuli import stimuli

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

SIMULATORS = {"icarus": build_icarus, "verilator": build_verilator}
CASES = [
    pytest.param(simulator, unit, module, choice, id=f"{simulator}-{module}-{choice.name}")
    for simulator in SIMULATORS
    for unit, choices in CHOICES.items()
    for module in MODULES[unit]
    for choice in choices
    if simulator in choice.simulators
]
RANDOM_VECTORS = 40


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which Verilator's own library is compiled once."""
    return tmp_path_factory.mktemp("verilator")


@pytest.mark.parametrize(("simulator", "unit", "module", "choice"), CASES)
def test_devices_give_the_bits_of_the_reference(
    simulator: str, unit: str, module: str, choice: Choice, tmp_path: Path, built: Path
) -> None:
    vectors = write_set(tmp_path, unit, choice, stimuli(unit, choice, RANDOM_VECTORS))
    check(simulator, unit, module, choice, vectors, built if simulator == "verilator" else tmp_path)


SMALLEST = {
    "encode": "one_magnitude_bit",
    "decode": "few_bits",
    "add": "one_magnitude_bit",
    "multiply": "one_magnitude_bit",
    "dot": "aligned_wraps",
    "requantize": "one_magnitude_bit",
}
"""Unit -> what its device is built for when it has the set that users make."""


@pytest.mark.parametrize("unit", SMALLEST)
def test_devices_give_the_expected_words_of_generated_sets(unit: str, tmp_path: Path) -> None:
    choice = next(choice for choice in CHOICES[unit] if choice.name == SMALLEST[unit])
    vectors = level_one(unit, choice, tmp_path / "set")
    for module in MODULES[unit]:
        (tmp_path / module).mkdir()
        check("icarus", unit, module, choice, vectors, tmp_path / module)


def check(simulator: str, unit: str, module: str, choice: Choice, vectors: VectorSet, folder: Path) -> None:
    """Simulate a device with a set, and judge what it gives as users do."""
    bits = (vectors.stimulus_bits, vectors.expected_bits)
    bench = Bench(module, *bits, vectors.count, parameters(unit, choice))
    program = SIMULATORS[simulator](bench, folder)
    output = vectors.folder / "output.hex"
    assert simulate(program, stimulus=vectors.stimulus, output=output) == ("DONE", vectors.count)
    assert main(["verify", str(vectors.folder), "--output", str(output)]) == 0


@pytest.mark.parametrize("path", sorted(DESIGNS.glob("*.sv")), ids=lambda path: path.stem)
def test_three_tools_accept_every_module(path: Path) -> None:
    # Names alone: the checkout may lie in a folder with a space in its name, which Verilator and Yosys would split.
    here, module = Path(), path.stem
    lint = [tool("verilator"), "--lint-only", "-Wall", *library(here), path.name]
    assert run(lint, DESIGNS) == ""
    assert run([tool("iverilog"), "-g2012", "-Wall", "-Y.sv", "-t", "null", *library(here), path.name], DESIGNS) == ""
    # Yosys looks for no modules by itself, and reads all of them here.
    every = " ".join(file.name for file in sorted(DESIGNS.glob("*.sv")))
    script = f"read_verilog -sv -I. {every}; prep -flatten -top {module}; check -assert"
    assert "Warning" not in run([tool("yosys"), "-p", script], DESIGNS)


def test_a_missing_simulator_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"'yosys' must be installed .* apt-get install .* iverilog verilator yosys"):
        tool("yosys")
