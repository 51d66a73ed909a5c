"""What is left when a set cannot be written, or its making ends early (spec 9.2, 12.9)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from bfpemu.catalog import resolve
from bfpemu.cli import main
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.generate import Request, _put, generate

WORDS = ["vectors", "generate", "--unit", "decode", "--format", "2x2x2", "--out"]


@pytest.fixture
def tiny(tmp_path):
    """Return the folder of a set that is there."""
    folder = tmp_path / "set"
    generate(Request(Problem("decode", resolve("2x2x2"))), folder)
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_of_a_link_what_it_points_to_is_replaced(tiny, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tiny)
    (tiny / "stimulus.hex").write_bytes(b"of before\n")
    assert main([*WORDS, str(link), "--force"]) == 0
    assert link.is_symlink()
    assert main(["vectors", "check", str(tiny)]) == 0
    assert names(tmp_path) == ["link", "set"]


def test_a_set_that_cannot_be_put_in_its_place_leaves_the_old_one(tiny, tmp_path):
    before = files(tiny)
    with pytest.raises(FileNotFoundError):
        _put(tmp_path / "missing", tiny)
    assert files(tiny) == before
    assert names(tmp_path) == ["set"]


def test_the_current_folder_is_not_replaced(tiny, monkeypatch, capsys):
    before = files(tiny)
    monkeypatch.chdir(tiny)
    assert main([*WORDS, ".", "--force"]) == 2
    assert "current folder" in capsys.readouterr().err
    assert files(tiny) == before


@pytest.mark.slow
def test_termination_leaves_the_old_set_and_no_other_file(tiny, tmp_path):
    before = files(tiny)
    command = [sys.executable, "-m", "bfpemu", *WORDS, str(tiny), "--count", "10000000", "--force"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while len(names(tmp_path)) < 2 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == -signal.SIGTERM
    assert names(tmp_path) == ["set"]
    assert files(tiny) == before


@pytest.mark.slow
def test_standard_input_that_is_closed_is_one_error(tiny):
    command = f'exec "{sys.executable}" -m bfpemu verify "{tiny}" --output - <&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("[input-missing]\n")
    assert len(done.stderr.splitlines()) == 1
