"""The section of the README on RTL: its commands, run as they stand there, print what stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rtl.simulators import tool

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

ROOT = Path(__file__).parents[2]
TITLE = "## Verify your RTL in five minutes\n"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition(TITLE)[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """Every command with what it is said to print."""
    session = "".join(blocks("shellsession"))
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    assert "".join(f"$ {command}\n{output}" for command, output in found) == session
    return found


def agrees(said: str, printed: str) -> bool:
    """Whether a text is what was printed, but for whole lines at each line `...`."""
    pattern = "".join("(?:.*\n)*" if line == "...\n" else re.escape(line) for line in said.splitlines(keepends=True))
    return re.fullmatch(pattern, printed) is not None


def test_the_section_does_and_says_what_the_programs_do(tmp_path: Path) -> None:
    tool("iverilog")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (bench,) = blocks("systemverilog")
    (tmp_path / "bench.sv").write_text(bench, encoding="ascii")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "bfpemu").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bfpemu "$@"\n', encoding="utf-8")
    (programs / "bfpemu").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    statuses = {}
    for command, said in steps():
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.stderr == "", command
        assert agrees(said, done.stdout), f"{command}\n{done.stdout}"
        statuses[command.partition(" --")[0]] = done.returncode
    assert statuses.pop("bfpemu verify vectors") == 1
    assert len(statuses) == 5
    assert set(statuses.values()) == {0}
