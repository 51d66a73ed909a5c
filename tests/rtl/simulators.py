"""Icarus Verilog and Verilator: building the bench around a device, and running it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
DESIGNS = HERE / "designs"
PROGRAMS = ("iverilog", "verilator", "yosys", "g++", "make")
"""What is needed, and the packages of Debian and Ubuntu; `tools/install_simulators.sh` installs them."""


ZEROS, ONES, RANDOM = range(3)
"""What registers hold before the first reset, by Verilator's numbers."""


class ToolError(Exception):
    """A program is missing, or did not do what it was asked."""


@dataclass(frozen=True)
class Bench:
    """The bench around one device: what both simulators need to know to build it."""

    device: str
    stimulus_bits: int
    expected_bits: int
    count: int
    parameters: Mapping[str, int] = field(default_factory=dict)
    has_mutants: bool = False
    folders: tuple[Path, ...] = (DESIGNS,)
    """Where the modules are, each in a file of its name; the first folder that has one counts."""

    def options(self) -> list[str]:
        """Return where modules are found, and the macros of `bench.sv`, as both simulators take them."""
        parameters = ", ".join(f".{name}({value})" for name, value in self.parameters.items())
        return [
            *library(*self.folders),
            f"-DDEVICE={self.device}",
            f"-DSTIMULUS_BITS={self.stimulus_bits}",
            f"-DEXPECTED_BITS={self.expected_bits}",
            f"-DCOUNT={self.count}",
            *(["-DWITH_MUTANTS"] if self.has_mutants else [f"-DDEVICE_PARAMETERS={parameters}"]),
        ]


def library(*folders: Path) -> list[str]:
    """Return the options by which both simulators find modules, and files that they include, in some folders."""
    return [option for folder in folders for option in ("-y", str(folder), f"-I{folder}")]


def tool(name: str) -> str:
    """Return the path of a program, or say what is missing and how to get it."""
    path = shutil.which(name)
    if path is None:
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        raise ToolError(
            f"the program {name!r} must be installed to simulate the devices in tests/rtl, and is not found: "
            f"apt-get install -y --no-install-recommends {' '.join(missing)}"
        )
    return path


def run(command: Iterable[str | Path], cwd: Path | None = None) -> str:
    """Run a program to its end and return what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def build_icarus(bench: Bench, folder: Path) -> list[str]:
    """Compile the bench with Icarus Verilog; return the command that runs it."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"{bench.device}.vvp"
    run([tool("iverilog"), "-g2012", "-Y.sv", *bench.options(), "-s", "bench", "-o", program, HERE / "bench.sv"])
    return [tool("vvp"), "-N", str(program)]


def build_verilator(bench: Bench, folder: Path, *, optimise: bool = False) -> list[str]:
    """Compile the bench with Verilator, as `verilator --binary` does; return the command that runs it.

    The objects of Verilator's own library lie in `folder` and are made once for all benches built there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"V{len(list(folder.glob('V*.mk')))}"
    prefixed = ["--top-module", "bench", "-Mdir", folder, "--prefix", prefix]
    flags = ["-Wno-fatal", "-Wno-WIDTH", "-CFLAGS", "-O2" if optimise else "-O0"]
    base = [tool("verilator"), "--cc", "--exe", "--main", "--timing"]
    run([*base, *flags, *prefixed, *bench.options(), HERE / "bench.sv"])
    # The library's objects depend on every new Makefile; an old one leaves them as they are.
    tool("g++")  # which the Makefile calls
    run([tool("make"), "-C", folder, "-f", f"{prefix}.mk", "-o", f"{prefix}.mk", "-o", f"{prefix}_classes.mk"])
    return [str(folder / prefix)]


def simulate(program: list[str], registers: int = ONES, **plusargs: str | int | Path) -> tuple[str, int]:
    """Run a built bench; return its last word, DONE, DIFFERS or HANGS, and the number that it prints with it.

    `registers` is what they hold before the first reset, in Verilator; in Icarus it is X.
    """
    held = [f"+verilator+rand+reset+{registers}", "+verilator+seed+1"]
    done = subprocess.run(
        [*program, *held, *(f"+{name}={value}" for name, value in plusargs.items())],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    verdict = re.search(r"^(DONE|DIFFERS|HANGS) (\d+)$", done.stdout, re.MULTILINE)
    if verdict is None:
        raise ToolError(f"{program} gave no verdict:\n{done.stdout}{done.stderr}")
    return verdict[1], int(verdict[2])
