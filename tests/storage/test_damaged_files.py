"""`.bfp` files with changed, missing or additional bytes: nothing of it goes unnoticed."""

import os

import numpy as np
import pytest

from bfpemu.errors import BfpError
from bfpemu.storage import Reader, read, write
from bfpemu.storage.files import read_bytes
from bfpemu.tensor import BFPTensor
from tests.storage.forms import numbers, refused

MAGIC = b"\x89BFP\r\n\x1a\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "a.bfp"
    write(path, {"a": BFPTensor(numbers((2, 9)), (3, 4, 5)), "empty": BFPTensor(numbers((0, 4)), "bfp8")})
    return path.read_bytes()


def test_every_changed_bit_is_found(path, small):
    path.write_bytes(small)
    # In place: a file that is written anew for each bit takes most of the time.
    with path.open("r+b", buffering=0) as file:
        for position, byte in enumerate(small):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), position)
                with pytest.raises(BfpError) as caught, Reader(path) as reader:
                    reader.verify()
                assert caught.value.code.startswith("bfp-")
            os.pwrite(file.fileno(), bytes([byte]), position)
    assert list(read(path)) == ["a", "empty"]


def test_every_truncation_is_found(path, small):
    path.write_bytes(small)
    for length in reversed(range(len(small))):
        os.truncate(path, length)
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


def test_verify_finds_a_changed_byte_of_any_tensor_without_decoding(path, monkeypatch):
    write(path, {name: BFPTensor(numbers((2, 40)), "bfp8") for name in ("a", "b")})
    with Reader(path, verify=False) as reader:
        offset = reader.entry("b").offsets["elements"] + 3
        monkeypatch.setattr(BFPTensor, "from_planes", None)
        reader.verify()
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"\xff")
        refused("bfp-checksum", reader.verify)
        with pytest.raises(BfpError, match=f"byte {offset - 3}: chunk 0 of 'elements' of tensor 'b'"):
            reader.verify()
        os.truncate(path, offset)
        refused("bfp-length", reader.verify)


@pytest.mark.parametrize("count", [1 << 20, (1 << 20) + 1, (5 << 20) - 1])
def test_verify_reads_large_planes_in_pieces(path, count, monkeypatch):
    codes = np.frombuffer(np.random.default_rng(0).bytes(count), np.uint8)
    write(path, {"x": BFPTensor.from_codes(codes[:1], codes, (8, count))}, fsync=False)
    pieces = []
    monkeypatch.setattr(
        "bfpemu.storage.segments.read_bytes",
        lambda file, offset, size: pieces.append(size) or read_bytes(file, offset, size),
    )
    with Reader(path) as reader:
        reader.verify()
        assert max(pieces) <= 1 << 20
        last = reader.file_bytes - 1
        with path.open("r+b") as file:
            file.seek(last)
            file.write(bytes([codes[-1] ^ 1]))
        with pytest.raises(BfpError, match=rf"chunk {(count - 1) >> 20} of 'elements'"):
            reader.verify()


def test_a_file_that_becomes_shorter_while_it_is_open_is_found(path, small):
    path.write_bytes(small)
    with Reader(path) as reader:
        os.truncate(path, len(small) - 1)
        refused("bfp-length", reader.__getitem__, "a")


@pytest.mark.parametrize("name", ["none.bfp", "folder", "nul\0.bfp"])
def test_a_file_that_cannot_be_read_is_missing(tmp_path, name):
    (tmp_path / "folder").mkdir()
    refused("input-missing", Reader, f"{tmp_path}/{name}")


def test_a_read_that_the_system_refuses_is_no_damaged_file(tmp_path):
    with (tmp_path / "a.bfp").open("wb", buffering=0) as unreadable:
        refused("input-missing", read_bytes, unreadable, 0, 1)
