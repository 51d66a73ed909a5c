"""The golden `.bfp` files: reference, reader and a reader of the standard library say the same of each (spec 7)."""

import ast
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from bfpemu.storage import Reader, write
from bfpemu.storage.canonical import canonical_bytes, is_canonical

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "golden_vectors/containers/v1").glob("*.bfp"))
FROZEN = ROOT / "spec/read_bfp.py"
WORDS = {"float64": np.uint64, "float32": np.uint32, "float16": np.uint16, "bfloat16": np.uint16}


def frozen_reader():
    names: dict = {"__name__": "read_bfp"}
    exec(compile(FROZEN.read_text(encoding="utf-8"), FROZEN, "exec"), names)
    return names["read"]


def expected(path):
    """What the reference says: facts, and codes and bit patterns as integers."""
    held = json.loads(path.with_suffix(".json").read_text(encoding="ascii"))
    for tensor in held["tensors"]:
        for key in ("exponent_codes", "shift_codes", "element_codes", "bits"):
            tensor[key] = [int(word, 16) for word in tensor[key].split()]
    return held


def test_there_are_golden_files():
    assert len(FILES) == 13
    assert sum(len(expected(path)["tensors"]) for path in FILES) > 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_reader_agrees_with_the_reference(path):
    held = expected(path)
    with Reader(path) as reader:
        assert reader.meta == held["meta"]
        assert sorted(reader.names) == sorted(tensor["name"] for tensor in held["tensors"])
        for facts in held["tensors"]:
            tensor = reader[facts["name"]]
            assert (list(tensor.shape), tensor.dtype.name) == (facts["shape"], facts["dtype"])
            for key in ("exponent_codes", "shift_codes", "element_codes"):
                assert getattr(tensor, key).ravel().tolist() == facts[key], facts["name"]
            word = WORDS[facts["dtype"]]
            for numbers in (tensor.dequantize(), reader.decode(facts["name"])):
                assert numbers.reshape(-1).view(word).tolist() == facts["bits"], facts["name"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_reader_of_the_standard_library_agrees_with_the_reference(path):
    found = frozen_reader()(path.read_bytes())
    held = expected(path)["tensors"]
    assert sorted(found) == sorted(tensor["name"] for tensor in held)
    for facts in held:
        for key in ("shape", "dtype", "element_codes", "bits"):
            assert found[facts["name"]][key] == facts[key], (facts["name"], key)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_writer_gives_the_bytes_of_the_specification(path, tmp_path):
    with Reader(path) as reader:
        write(tmp_path / "again.bfp", {name: reader[name] for name in reversed(reader.names)}, meta=reader.meta)
        again = (tmp_path / "again.bfp").read_bytes()
        assert is_canonical(reader) is expected(path)["is_canonical"] is (again == path.read_bytes())
        assert b"".join(canonical_bytes(reader)) == again


def test_what_the_writer_writes_can_be_read_with_the_standard_library(tmp_path):
    from bfpemu.tensor import BFPTensor

    numbers = np.random.default_rng(0).standard_normal((5, 70)).astype(np.float32)
    tensors = {name: BFPTensor(numbers, name) for name in ("bfp16", "bfp8", "bfp3", "mx9", "tt_bfp4_b_hw")}
    write(tmp_path / "a.bfp", tensors)
    found = frozen_reader()((tmp_path / "a.bfp").read_bytes())
    for name, tensor in tensors.items():
        assert found[name]["bits"] == tensor.dequantize().reshape(-1).view(np.uint32).tolist()


def test_the_frozen_reader_needs_nothing_but_python_and_fits_on_a_few_pages(tmp_path):
    text = FROZEN.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name if isinstance(node, ast.Import) else node.module for node in imports for alias in node.names}
    assert names <= sys.stdlib_module_names
    done = subprocess.run(
        [sys.executable, "-I", "-S", FROZEN, ROOT / "golden_vectors/containers/v1/scalar.bfp"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 2


def test_the_frozen_reader_is_frozen():
    # A change of these bytes is a change of the format: what was readable with them must stay so.
    assert sha256(FROZEN.read_bytes()).hexdigest() == "6ba388c2563ac64b0df648509381aea4354602251b19b72eafab4593afabe2ff"
