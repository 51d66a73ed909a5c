"""Machine code on disk: found again, never found for other sources, and never needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bfpemu
from bfpemu.kernels import _cache, rounding

pytestmark = pytest.mark.slow  # there is nothing to keep without the JIT

PROGRAM = """
import numpy as np
import bfpemu
from bfpemu.kernels._cache import KernelCache

load, found = KernelCache.load_overload, []

def watched(cache, *arguments):
    found.append(load(cache, *arguments))
    return found[-1]

KernelCache.load_overload = watched
values = bfpemu.bfp_quantize(np.array([1.0, 0.3, -3.5], np.float32), format="bfp4")
print(values.tolist(), bool(found) and None not in found)
"""
FOUND, COMPILED = "[1.0, 0.5, -3.5] True", "[1.0, 0.5, -3.5] False"


def run(folder, cache, **more):
    environment = os.environ | {"PYTHONPATH": str(folder), _cache.SWITCH: str(cache)} | more
    environment.pop("NUMBA_DISABLE_JIT", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, cwd=folder
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the package that a test may edit."""
    folder = tmp_path_factory.mktemp("sources")
    shutil.copytree(Path(bfpemu.__file__).parent, folder / "bfpemu", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def filled(sources, tmp_path_factory):
    """The directory where the copy's first process kept its code."""
    cache = tmp_path_factory.mktemp("code")
    assert run(sources, cache) == COMPILED
    return cache


def copy_of(cache, tmp_path):
    return shutil.copytree(cache, tmp_path / "code")


def test_a_second_process_finds_what_the_first_one_compiled(sources, filled):
    before = {file: file.stat().st_mtime_ns for file in filled.rglob("*")}
    assert run(sources, filled) == FOUND
    assert {file: file.stat().st_mtime_ns for file in filled.rglob("*")} == before


def test_a_damaged_file_is_compiled_anew(sources, filled, tmp_path):
    cache = copy_of(filled, tmp_path)
    for file in cache.rglob("*-*"):
        content = bytearray(file.read_bytes()) if file.is_file() else b""
        if content:
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
    assert run(sources, cache) == COMPILED
    assert run(sources, cache) == FOUND


def test_an_edit_in_a_file_that_a_kernel_imports_is_seen(sources, filled, tmp_path):
    edited = shutil.copytree(sources, tmp_path / "edited")
    file = edited / "bfpemu" / "kernels" / "specials.py"
    file.write_text(file.read_text() + "\n# another byte\n")
    assert run(edited, filled) == COMPILED
    assert len(list((filled / "bfpemu-kernels").iterdir())) == 2


def test_a_setting_of_numba_has_its_own_code(sources, filled, tmp_path):
    assert run(sources, copy_of(filled, tmp_path), NUMBA_OPT="1") == COMPILED


def test_a_directory_that_others_may_write_to_is_left_alone(sources, filled, tmp_path):
    cache = copy_of(filled, tmp_path)
    for folder in (cache / "bfpemu-kernels").iterdir():
        folder.chmod(0o777)
    assert run(sources, cache) == COMPILED


@pytest.mark.parametrize("setting", ["off", "/proc/nowhere"])
def test_without_a_directory_every_process_compiles(sources, setting):
    assert run(sources, setting) == COMPILED


def test_code_of_other_sources_goes_after_a_month(tmp_path):
    old, new, kept, foreign = (tmp_path / name for name in ("0" * 24, "1" * 24, "2" * 24, "thesis"))
    for folder in (old, new, kept, foreign):
        folder.mkdir()
        (folder / "code").write_bytes(b"")
    for folder in (old, kept, foreign):
        os.utime(folder, (0, 0))
    _cache._remove_old(tmp_path, kept)
    assert set(tmp_path.iterdir()) == {new, kept, foreign}


def test_kernels_differ_by_what_they_close_over():
    def maker(value):
        return lambda: value

    assert _cache.identity(maker(1)) != _cache.identity(maker(2)) != _cache.identity(maker(2.0))
    assert _cache.identity(maker(maker(1))) != _cache.identity(maker(maker(2)))
    assert _cache.identity(maker(rounding.bit_length)) == _cache.identity(maker(rounding.bit_length))
    with pytest.raises(TypeError, match="got ndarray"):
        _cache.identity(maker(np.zeros(1)))
