"""Input files that lie about what they hold: refused before anything is allocated, and nothing is unpickled."""

import contextlib
import io
import json
import struct
import zipfile

import numpy as np
import pytest

from bfpemu.errors import BfpError
from bfpemu.storage import open_arrays
from tests.storage.forms import refused


def npy_header(descr="'<f4'", shape="(3,)", fortran="False"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def npy_bytes(data=bytes(12), version=b"\1\0", header=None, **fields):
    text = (npy_header(**fields) if header is None else header).encode()
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + data


def safetensors_bytes(table, data=b""):
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


def one_tensor(**changes):
    return {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]} | changes}


def npz_bytes(members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


HOSTILE_NPY = {
    "claims a tebibyte": npy_bytes(shape=f"({1 << 38},)"),
    "claims more elements than exist": npy_bytes(shape=f"({1 << 40}, {1 << 40})"),
    "hides a huge product behind a zero": npy_bytes(shape=f"(0, {1 << 40}, {1 << 40}, {1 << 40})", data=b""),
    "has a negative dimension": npy_bytes(shape="(-3, -1)"),
    "has a bool for a dimension": npy_bytes(shape="(True, 3)"),
    "has a float for a dimension": npy_bytes(shape="(3.0,)"),
    "has a list for a shape": npy_bytes(shape="[3]"),
    "has a number for a shape": npy_bytes(shape="3"),
    "has 33 dimensions": npy_bytes(shape=f"({'1, ' * 32}3)"),
    "holds pickled objects": npy_bytes(descr="'|O'", data=bytes(24)),
    "holds records": npy_bytes(descr="[('a', '<f4')]"),
    "holds records, said shortly": npy_bytes(descr="'f4,f4'", data=bytes(24)),
    "holds subarrays": npy_bytes(descr="'(2,)f4'", data=bytes(24)),
    "holds elements of no bytes": npy_bytes(descr="'|S0'", data=b""),
    "has a word for a dtype": npy_bytes(descr="'word'"),
    "has code for a header": npy_bytes(header="__import__('os').abort()"),
    "has a broken header": npy_bytes(header="{'descr':"),
    "has a deep header": npy_bytes(header="(" * 5000),
    "has a header that is no text": npy_bytes()[:10] + b"\xff" + npy_bytes()[11:],
    "has a header of another type": npy_bytes(header="[]"),
    "lacks a key": npy_bytes(header="{'descr': '<f4', 'shape': (3,)}"),
    "has a key too many": npy_bytes(header="{'descr': '<f4', 'shape': (3,), 'fortran_order': False, 'x': 1}"),
    "has an order that is no bool": npy_bytes(fortran="0"),
    "has version 4": npy_bytes(version=b"\4\0"),
    "has a header of a gigabyte": b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 30) + bytes(100),
    "has a longer header than NumPy reads": npy_bytes(header=" " * 10_001),
}


@pytest.mark.parametrize("content", HOSTILE_NPY.values(), ids=HOSTILE_NPY)
def test_an_npy_file_is_refused_that(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    refused("input-content", open_arrays, tmp_path / "a.npy")
    (tmp_path / "a.npz").write_bytes(npz_bytes([("a.npy", content)]))
    refused("input-content", open_arrays, tmp_path / "a.npz")


def patched(content, signature, offset, code, value):
    """Return an archive with one field changed in its first local header or directory entry."""
    at = content.index(signature) + offset
    size = struct.calcsize(code)
    return content[:at] + struct.pack(code, value) + content[at + size :]


DIRECTORY, LOCAL = b"PK\1\2", b"PK\3\4"
STORED = npz_bytes([("a.npy", npy_bytes())])
DEFLATED = npz_bytes([("a.npy", npy_bytes(shape="(2500,)", data=bytes(10_000)))], zipfile.ZIP_DEFLATED)
BOMB = npz_bytes([("a.npy", npy_bytes(shape=f"({1 << 30},)", data=bytes(100)))], zipfile.ZIP_DEFLATED)
HOSTILE_NPZ = {
    "claims a larger array than the member": BOMB,
    "claims a larger member than its bytes can hold": patched(BOMB, DIRECTORY, 24, "<I", (1 << 32) - 2),
    "claims a larger stored member than it has": patched(STORED, DIRECTORY, 24, "<I", 1 << 31),
    "claims more stored bytes than the file": patched(
        patched(STORED, DIRECTORY, 24, "<I", 1 << 31), DIRECTORY, 20, "<I", 1 << 31
    ),
    "has a member of another kind": npz_bytes([("a.npy", npy_bytes()), ("data.pkl", b"x")]),
    "has a folder": npz_bytes([("a/", b"")]),
    "has an encrypted member": patched(STORED, DIRECTORY, 8, "<H", 1),
    "has a member packed in another way": npz_bytes([("a.npy", npy_bytes())], zipfile.ZIP_LZMA),
    "has an unknown packing": patched(STORED, DIRECTORY, 10, "<H", 99),
    "needs a later zip": patched(STORED, DIRECTORY, 6, "<H", 99),
    "points past the end": patched(STORED, DIRECTORY, 42, "<I", 1 << 30),
    "names a member in two ways": patched(STORED, LOCAL, 30, "<B", ord("b")),
}


class TestHostileArchives:
    @pytest.mark.parametrize("content", HOSTILE_NPZ.values(), ids=HOSTILE_NPZ)
    def test_an_npz_file_is_refused_that(self, tmp_path, content):
        (tmp_path / "a.npz").write_bytes(content)
        refused("input-content", open_arrays, tmp_path / "a.npz")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_names_that_stand_twice_are_refused(self, tmp_path):
        (tmp_path / "a.npz").write_bytes(npz_bytes([("a.npy", npy_bytes()), ("a.npy", npy_bytes())]))
        refused("input-content", open_arrays, tmp_path / "a.npz")

    def test_members_that_share_their_bytes_are_refused(self, tmp_path):
        content = npz_bytes([("a.npy", npy_bytes(shape="(300,)", data=bytes(1200)))])
        start, end = content.index(DIRECTORY), content.index(b"PK\5\6")
        entry = content[start:end]
        both = entry + entry.replace(b"a.npy", b"b.npy")
        (tmp_path / "a.npz").write_bytes(
            content[:start] + both + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 2, 2, len(both), start, 0)
        )
        refused("input-content", open_arrays, tmp_path / "a.npz")

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
    def test_a_changed_byte_of_data_is_found_when_it_is_read(self, tmp_path, compression):
        noise = np.random.default_rng(0).bytes(40_000)
        content = npz_bytes([("a.npy", npy_bytes(shape="(10000,)", data=noise))], compression)
        at = 20_000
        (tmp_path / "a.npz").write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        refused("input-content", open_arrays(tmp_path / "a.npz").__getitem__, "a")

    @pytest.mark.parametrize("content", [STORED, DEFLATED], ids=["stored", "deflated"])
    def test_no_changed_byte_raises_anything_else(self, tmp_path, content):
        generator = np.random.default_rng(1)
        for _ in range(300):
            damaged = bytearray(content)
            damaged[generator.integers(len(content))] = generator.integers(256)
            (tmp_path / "a.npz").write_bytes(damaged)
            with contextlib.suppress(BfpError):
                found = open_arrays(tmp_path / "a.npz")
                for name in found.names:
                    found[name]


HOSTILE_SAFETENSORS = {
    "ends in the length": b"\1\0\0",
    "has a header longer than the file": struct.pack("<Q", 1 << 40) + b"{}",
    "has no JSON": safetensors_bytes(b"{nothing"),
    "has a key twice": safetensors_bytes(b'{"a":1,"a":2}'),
    "is nested deeply": safetensors_bytes(b'{"a":' * 200_000),
    "has an endless integer": safetensors_bytes(b'{"a":' + b"1" * 5000 + b"}"),
    "has a number for a tensor": safetensors_bytes({"a": 1}),
    "lacks a key": safetensors_bytes({"a": {"dtype": "F32", "shape": [3]}}, bytes(12)),
    "has a key too many": safetensors_bytes(one_tensor(more=1), bytes(12)),
    "has an unknown dtype": safetensors_bytes(one_tensor(dtype="F4"), bytes(12)),
    "has a number for a dtype": safetensors_bytes(one_tensor(dtype=4), bytes(12)),
    "has a float in its shape": safetensors_bytes(one_tensor(shape=[3.0]), bytes(12)),
    "has a bool in its shape": safetensors_bytes(one_tensor(shape=[True, 3]), bytes(12)),
    "has negative dimensions": safetensors_bytes(one_tensor(shape=[-1, -3]), bytes(12)),
    "claims more than it holds": safetensors_bytes(one_tensor(shape=[1 << 40]), bytes(12)),
    "claims more, offsets too": safetensors_bytes(one_tensor(shape=[1 << 40], data_offsets=[0, 1 << 42]), bytes(12)),
    "hides a huge product behind a zero": safetensors_bytes(
        one_tensor(shape=[0, 1 << 40, 1 << 40], data_offsets=[0, 0])
    ),
    "has one offset": safetensors_bytes(one_tensor(data_offsets=[0]), bytes(12)),
    "has a text for an offset": safetensors_bytes(one_tensor(data_offsets=["0", 12]), bytes(12)),
    "has a negative offset": safetensors_bytes(one_tensor(data_offsets=[-12, 0]), bytes(12)),
    "has offsets in the wrong order": safetensors_bytes(one_tensor(data_offsets=[12, 0]), bytes(12)),
    "has a hole": safetensors_bytes(one_tensor(data_offsets=[4, 16]), bytes(16)),
    "has tensors that overlap": safetensors_bytes(one_tensor() | {"b": one_tensor()["a"]}, bytes(12)),
}


@pytest.mark.parametrize("content", HOSTILE_SAFETENSORS.values(), ids=HOSTILE_SAFETENSORS)
def test_a_safetensors_file_is_refused_that(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    refused("input-content", open_arrays, tmp_path / "a.safetensors")
