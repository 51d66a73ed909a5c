"""The catalogue of realistic bugs: devices with one edit each, and which vectors notice it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.rtl.choices import CHOICES
from tests.rtl.devices import Choice, parameters
from tests.rtl.sets import VectorSet
from tests.rtl.simulators import DESIGNS, Bench, build_icarus, simulate

TABLE = Path(__file__).parent / "bugs.toml"


@dataclass(frozen=True)
class Bug:
    """One entry of `bugs.toml`."""

    name: str
    unit: str
    """Of spec 12.2."""
    module: str
    """The device that has it."""
    choice: str
    """What the device is built for."""
    description: str
    bin: str
    """A pattern of names of the coverage bins that should catch it (spec 12.10)."""
    file: str
    right: str
    """Text that stands once in the file ..."""
    wrong: str
    """... and what stands there instead."""

    @property
    def built_for(self) -> Choice:
        """The choice of that name."""
        return next(choice for choice in CHOICES[self.unit] if choice.name == self.choice)

    def edited(self) -> str:
        """Return the text of the file with the bug in it."""
        text = (DESIGNS / self.file).read_text(encoding="ascii")
        assert text.count(self.right) == 1, f"{self.name}: {self.right!r} must stand once in {self.file}"
        return text.replace(self.right, self.wrong)


def bugs() -> list[Bug]:
    """Return the catalogue in its order."""
    return [Bug(**entry) for entry in tomllib.loads(TABLE.read_text(encoding="ascii"))["bug"]]


def noticing_vectors(bug: Bug, vectors: VectorSet, folder: Path) -> list[int]:
    """Return the numbers of the vectors of a set that a device with a bug gets wrong, in Icarus Verilog."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / bug.file).write_text(bug.edited(), encoding="ascii")
    bench = Bench(
        bug.module,
        vectors.stimulus_bits,
        vectors.expected_bits,
        vectors.count,
        parameters(bug.unit, bug.built_for),
        folders=(folder, DESIGNS),
    )
    output = folder / "output.hex"
    simulate(build_icarus(bench, folder), stimulus=vectors.stimulus, output=output)
    return vectors.failing(output)
