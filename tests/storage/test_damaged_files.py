"""`.bfp` files with changed, missing or additional bytes: nothing of it goes unnoticed."""

import errno
import os

import numpy as np
import pytest

from bfpemu.errors import BfpError
from bfpemu.storage import Reader, read, write
from bfpemu.storage.files import read_bytes
from bfpemu.tensor import BFPTensor

MAGIC = b"\x89BFP\r\n\x1a\n"


def numbers(shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def refused(code, action, *arguments):
    with pytest.raises(BfpError) as caught:
        action(*arguments)
    assert caught.value.code == code, caught.value
    assert "\n" not in str(caught.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.bfp"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "a.bfp"
    write(path, {"a": BFPTensor(numbers((2, 9)), (3, 4, 5)), "empty": BFPTensor(numbers((0, 4)), "bfp8")})
    return path.read_bytes()


def test_every_changed_bit_is_found(path, small):
    header = range(64, 64 + int.from_bytes(small[24:32], "little"))
    for position in range(len(small)):
        # One hash covers all of the header, so one bit of each of its bytes is enough.
        for bit in [position % 8] if position in header else range(8):
            damaged = bytearray(small)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(BfpError) as caught:
                read(path)
            assert caught.value.code.startswith("bfp-")


def test_every_truncation_is_found(path, small):
    for length in range(len(small)):
        path.write_bytes(small[:length])
        refused("bfp-foreign" if length < 8 else "bfp-length", Reader, path)


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 64, b"x" * 1000], ids=len)
def test_bytes_behind_the_end_are_found(path, small, tail):
    path.write_bytes(small + tail)
    refused("bfp-length", Reader, path)


@pytest.mark.parametrize("start", [b"", b"\x89HDF\r\n\x1a\n", b"PK\3\4", b"{", MAGIC[:7], MAGIC.replace(b"\r", b"")])
def test_a_file_of_another_kind_is_foreign(path, start):
    path.write_bytes(start + bytes(0 if start in (b"", MAGIC[:7]) else 100))
    refused("bfp-foreign", Reader, path)


def test_a_changed_byte_of_data_is_found_only_when_that_tensor_is_read(path):
    write(path, {"a": BFPTensor(numbers((2, 40)), "bfp8"), "b": BFPTensor(numbers((2, 40)), "bfp8")})
    data = bytearray(path.read_bytes())
    with Reader(path) as reader:
        data[reader.entry("b").offsets["elements"] + 3] ^= 1
    path.write_bytes(data)
    with Reader(path) as reader:
        assert reader["a"].shape == (2, 40)
        refused("bfp-checksum", reader.__getitem__, "b")
    with Reader(path, verify=False) as reader:
        assert reader["b"].shape == (2, 40)
    assert list(read(path, verify=False)) == ["a", "b"]
    refused("bfp-checksum", read, path)


def test_a_file_that_becomes_shorter_while_it_is_open_is_found(path, small):
    path.write_bytes(small)
    with Reader(path) as reader:
        os.truncate(path, len(small) - 1)
        refused("bfp-length", reader.__getitem__, "a")


@pytest.mark.parametrize("name", ["none.bfp", "folder", "nul\0.bfp"])
def test_a_file_that_cannot_be_read_is_missing(tmp_path, name):
    (tmp_path / "folder").mkdir()
    refused("input-missing", Reader, f"{tmp_path}/{name}")


def test_a_disk_that_cannot_be_read_is_no_damaged_file():
    class Broken:
        name = "a.bfp"

        def seek(self, offset):
            raise OSError(errno.EIO, "no")

    refused("input-missing", read_bytes, Broken(), 0, 1)
