"""Every device in Icarus Verilog and in Verilator gives the bits of the reference model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.answers import write_set
from tests.rtl.choices import CHOICES
from tests.rtl.devices import MODULES, Choice, parameters, sources
from tests.rtl.sets import VectorSet, failing_vectors, read_words
from tests.rtl.simulators import DESIGNS, Bench, build_icarus, build_verilator, run, simulate, tool
from tests.rtl.stimuli import stimuli

CASES = [
    pytest.param(unit, module, choice, id=f"{module}-{choice.name}")
    for unit, several in CHOICES.items()
    for module in MODULES[unit]
    for choice in several
]
TRANSLATED = [
    pytest.param(unit, module, choice, id=f"{module}-{choice.name}")
    for unit, several in CHOICES.items()
    for module in MODULES[unit]
    for choice in several
    if choice.in_verilator
]
RANDOM_VECTORS = 40


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verilator")


def wrong_vectors(program: list[str], vectors: VectorSet) -> list[int]:
    """Return the numbers of the vectors that a device gets wrong."""
    output = vectors.folder / "output.hex"
    assert simulate(program, stimulus=vectors.stimulus, output=output) == ("DONE", vectors.count)
    return failing_vectors(vectors.expected_words(), read_words(output))


def bench(unit: str, module: str, choice: Choice, vectors: VectorSet) -> Bench:
    bits = (vectors.stimulus_bits, vectors.expected_bits)
    return Bench(module, sources(module), *bits, vectors.count, parameters(unit, choice))


@pytest.mark.parametrize(("unit", "module", "choice"), CASES)
def test_icarus_gives_the_bits_of_the_reference(unit: str, module: str, choice: Choice, tmp_path: Path) -> None:
    vectors = write_set(tmp_path, unit, choice, stimuli(unit, choice, RANDOM_VECTORS))
    program = build_icarus(bench(unit, module, choice, vectors), tmp_path)
    assert wrong_vectors(program, vectors) == []


@pytest.mark.parametrize(("unit", "module", "choice"), TRANSLATED)
def test_verilator_gives_the_bits_of_the_reference(
    unit: str, module: str, choice: Choice, tmp_path: Path, library: Path
) -> None:
    vectors = write_set(tmp_path, unit, choice, stimuli(unit, choice, RANDOM_VECTORS))
    program = build_verilator(bench(unit, module, choice, vectors), library)
    assert wrong_vectors(program, vectors) == []


@pytest.mark.parametrize("path", sorted(DESIGNS.glob("*.sv")), ids=lambda path: path.stem)
def test_every_design_passes_the_linters(path: Path) -> None:
    yosys = f"read_verilog -sv -I{DESIGNS} {' '.join(map(str, sources(path.stem)))}; prep -flatten -top {path.stem}"
    everything = [f"-I{DESIGNS}", *sources(path.stem)]
    assert run([tool("verilator"), "--lint-only", "-Wall", "--top-module", path.stem, *everything]) == ""
    assert run([tool("iverilog"), "-g2012", "-Wall", "-t", "null", *everything]) == ""
    assert "Warning" not in run([tool("yosys"), "-p", f"{yosys}; check -assert"])
