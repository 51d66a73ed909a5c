"""Files that more than one test needs: honest ones, and those that lie with hashes that fit."""

import json
import os
import shutil
import tempfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

from bfpemu.errors import BfpError
from bfpemu.storage import Reader, read, write
from bfpemu.storage.preamble import Preamble
from bfpemu.tensor import BFPTensor

_DELETED = object()


_NOBODY = 65534


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.bfp"


@pytest.fixture
def unprivileged_folder():
    """Return a folder of a user whom permissions bind, and be that user while the test runs."""
    folder = Path(tempfile.mkdtemp())
    was_root = os.geteuid() == 0
    if was_root:
        os.chown(folder, _NOBODY, _NOBODY)
        os.seteuid(_NOBODY)
    yield folder
    if was_root:
        os.seteuid(0)
    folder.chmod(0o700)
    shutil.rmtree(folder)


def _canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _signed(payload, header, **changes):
    """The header, dictionary or bytes, stands at the end."""
    data = header if isinstance(header, bytes) else _canonical(header)
    fields = {
        "header_offset": 64 + len(payload),
        "header_bytes": len(data),
        "file_bytes": 64 + len(payload) + len(data),
        "header_hash": xxh3_64_intdigest(data),
    }
    return Preamble(**fields | changes).pack() + payload + data


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Payload and header of a file with the tensors "a" of 2 x 40 in bfp8 and "e", which is empty."""
    path = tmp_path_factory.mktemp("honest") / "a.bfp"
    tensors = {"a": BFPTensor(np.arange(80, dtype=np.float32).reshape(2, 40), "bfp8")}
    write(path, tensors | {"e": BFPTensor(np.zeros((0, 4), np.float16), "bfp8")}, meta={"k": "v"})
    with Reader(path) as reader:
        offsets = reader.entry("a").offsets
    data = path.read_bytes()
    header = json.loads(data[64 : 64 + int.from_bytes(data[24:32], "little")])
    payload = data[offsets["exponents"] :][:4] + bytes(60) + data[offsets["elements"] :][:128]
    for segment, offset in zip(header["tensors"][0]["segments"], (64, 128), strict=True):
        segment["offset"] = offset
    return payload, header


@pytest.fixture
def opened(tmp_path, honest):
    """Return a function that opens a signed file, or gives the code of the error."""

    def outcome(header=None, payload=None, *, data=None, action=read, **preamble):
        path = tmp_path / "a.bfp"
        payload = honest[0] if payload is None else payload
        header = honest[1] if header is None else header
        path.write_bytes(_signed(payload, header, **preamble) if data is None else data)
        try:
            return action(path)
        except BfpError as error:
            return error.code if "\n" not in str(error) else "a message of several lines"

    return outcome


def _changed(header, place, value=_DELETED):
    header = deepcopy(header)
    *parents, last = place
    table = header
    for key in parents:
        table = table[key]
    if value is _DELETED:
        del table[last]
    else:
        table[last] = value
    return header


@pytest.fixture
def signed():
    """Return the function that makes a file of payload and header, with all hashes made anew."""
    return _signed


@pytest.fixture
def changed():
    """Return the function that copies a header with one place of its JSON changed, or removed."""
    return _changed
