"""What the package keeps to: cheap imports, no logarithms, no fast-math, few compiled variants."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

from bfpemu import BFPTensor, Conversion
from bfpemu.kernels import _jit, decode, encode, exponent, pack, rounding, significand, source

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "bfpemu").rglob("*.py"))
NUMERIC = [path for path in PACKAGE if "cli" not in path.parts]  # the command line prints decibels
KERNELS = [decode, encode, exponent, pack, rounding, significand, source]
LONGER_FILES: dict[str, int] = {}
"""File with a reason to have more than 320 lines -> how many it may have."""
INEXACT = {"log2", "exp2", "frexp", "ldexp", "log", "log1p", "logb", "isclose", "allclose", "nextafter"}


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after `statement`."""
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"numpy", "numba", "json", "dataclasses", "inspect", "pathlib", "bfpemu.formats", "bfpemu.tensor"}
    added = loaded_after("import bfpemu") - loaded_after("pass")  # a coverage run loads modules of its own
    assert added.isdisjoint(heavy)


@pytest.mark.parametrize(
    "module", ["bfpemu.formats", "bfpemu.catalog", "bfpemu.errors", "bfpemu.storage.header", "bfpemu.reference"]
)
def test_the_number_model_needs_no_arrays(module: str) -> None:
    assert loaded_after(f"import {module}").isdisjoint({"numpy", "numba", "ml_dtypes"})


@pytest.mark.parametrize("path", NUMERIC, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_of_floats_decides_a_bit(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names}
    assert names.isdisjoint(INEXACT)


def test_fast_math_is_off() -> None:
    assert "fastmath" not in _jit.OPTIONS
    assert "parallel" not in _jit.OPTIONS


@pytest.mark.slow
@pytest.mark.parametrize("module", KERNELS, ids=lambda module: module.__name__)
def test_kernels_compile_once_for_all_formats(module: ModuleType) -> None:
    for bits, shape in ((4, (64,)), (12, (3, 50)), (8, (70,)), (24, (5, 5))):
        for dtype in (np.float32, np.float64, np.int8):
            tensor = BFPTensor(np.ones(shape, dtype), (bits, 16), conversion=Conversion(rounding="ties_away"))
            tensor.dequantize()
            tensor.to_bytes("interleaved")
    for name, function in vars(module).items():
        if isinstance(function, CPUDispatcher):
            # One variant for each of the three code dtypes, and of the two dtypes of exponents.
            assert len(function.signatures) <= 6, name
            assert not function.targetoptions.get("fastmath"), name


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_small_enough_to_hold(path: Path) -> None:
    limit = LONGER_FILES.get(path.relative_to(ROOT).as_posix(), 320)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


@pytest.mark.parametrize(
    "path", [path for path in PACKAGE if "kernels" not in path.parts], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_function_is_small_enough_to_hold(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    longest = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in longest.items() if lines > 60} == {}
