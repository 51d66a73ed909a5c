"""The Zarr codec: chunks are tensors, found by name in every process that has the package."""

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec
from zarr.storage import LocalStore, MemoryStore

from bfpemu.errors import BfpError
from bfpemu.storage.zarr import NAME, BfpCodec
from bfpemu.tensor import BFPTensor
from tests.storage.forms import numbers, refused

ROOT = Path(__file__).parents[2]


def create(store, data, codec, **options):
    options = {"shape": data.shape, "dtype": data.dtype, "compressors": None} | options
    array = zarr.create_array(store, serializer=codec, **options)
    array[...] = data
    return array


CASES = {
    "rows": ((100, 96), "float32", "bfp8", -1, {"chunks": (32, 64)}),
    "checksums": ((100, 96), "float32", "bfp8", -1, {"chunks": (32, 64), "compressors": [Crc32cCodec()]}),
    "shards": ((100, 96), "float32", "mx9", 1, {"chunks": (8, 32), "shards": (32, 96)}),
    "columns": ((100, 96), "float64", (5, 32), 0, {"chunks": (32, 40)}),
    "blocks over two axes": ((100, 96), "float16", (5, (4, 3)), -1, {"chunks": (32, 24)}),
    "one axis": ((1000,), "float32", (5, 16), 0, {"chunks": (512,)}),
    "one odd chunk": ((3, 70), "float32", "bfp8", -1, {"chunks": (2, 70)}),
    "big endian": ((10, 64), ">f4", "bfp8", -1, {"chunks": (5, 64)}),
}


@pytest.mark.parametrize("shape, dtype, format, axis, options", CASES.values(), ids=CASES)
def test_an_array_reads_as_its_tensor_decodes(shape, dtype, format, axis, options):
    data = numbers(shape, dtype)
    create(store := MemoryStore(), data, BfpCodec(format, axis), **options)
    found = zarr.open_array(store, mode="r")
    expected = BFPTensor(data, format, axis=axis).dequantize()
    assert np.array_equal(found[...], expected)
    for key in (0, -1, slice(1, 3), slice(None, None, 2), slice(shape[0] - 2, None)):
        assert np.array_equal(found[key], expected[key]), key
    if len(shape) == 2:
        for key in ((slice(1, 3), 5), (2, slice(3, 40)), (slice(None), slice(None, None, 7))):
            assert np.array_equal(found[key], expected[key]), key


def test_the_payload_is_the_planes_and_the_metadata_says_all_that_decoding_needs():
    data = numbers((4, 40))
    create(store := MemoryStore(), data, BfpCodec("mx9"), chunks=(4, 40))
    stored = store._store_dict["c/0/0"].to_bytes()
    assert stored == b"".join(plane.tobytes() for plane in BFPTensor(data, "mx9").to_planes())
    metadata = json.loads(store._store_dict["zarr.json"].to_bytes())
    (codec,) = metadata["codecs"]
    assert codec["name"] == NAME
    assert codec["configuration"]["spec"]["decode"]["fraction_bits"] == 6
    assert BfpCodec.from_dict(codec).to_dict() == codec


class Counting(MemoryStore):
    """A store that knows how many bytes it gave."""

    given = 0

    async def get(self, key, prototype, byte_range=None):
        found = await super().get(key, prototype, byte_range)
        if key.startswith("c/") and found is not None:
            type(self).given += len(found)
        return found


@pytest.mark.parametrize("shape, rows, expected", [((64, 256), slice(3, 5), 2 * 264), ((4096,), slice(32, 40), 2 * 33)])
def test_rows_are_read_without_the_rest_of_the_chunk(shape, rows, expected):
    create(store := Counting(), numbers(shape), BfpCodec("bfp8"), chunks=shape)
    Counting.given = 0
    found = zarr.open_array(store, mode="r")[rows]
    assert np.array_equal(found, BFPTensor(numbers(shape), "bfp8").dequantize()[rows])
    assert Counting.given == expected


@pytest.mark.parametrize("change", [lambda data: data + b"\0", lambda data: data[:-1]], ids=["longer", "shorter"])
def test_a_chunk_of_another_length_is_refused(tmp_path, change):
    data = numbers((4, 64))
    array = create(LocalStore(tmp_path), data, BfpCodec("bfp8"), chunks=(4, 64))
    chunk = tmp_path / "c/0/0"
    chunk.write_bytes(change(chunk.read_bytes()))
    for key in (..., (slice(0, 4), 3), np.s_[:, :32]):
        refused("bfp-range", array.__getitem__, key)
    # What a part does not need is not looked at.
    assert np.array_equal(array[1:2], BFPTensor(data, "bfp8").dequantize()[1:2])


def test_a_flipped_bit_is_found_behind_crc32c_and_a_cut_chunk_always(tmp_path):
    data = numbers((4, 64))
    for options, positions in (({"compressors": [Crc32cCodec()]}, range(0, 268, 7)), ({}, ())):
        create(LocalStore(tmp_path / str(len(options))), data, BfpCodec("bfp8"), chunks=(4, 64), **options)
        chunk = tmp_path / str(len(options)) / "c/0/0"
        whole = chunk.read_bytes()
        for position in positions:
            chunk.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
            with pytest.raises(ValueError, match=r"[Cc]hecksum"):
                zarr.open_array(tmp_path / str(len(options)), mode="r")[...]
        for length in range(0, len(whole) - 1, 9):
            chunk.write_bytes(whole[:length])
            with pytest.raises((ValueError, BfpError)):
                zarr.open_array(tmp_path / str(len(options)), mode="r")[...]


@pytest.mark.parametrize(
    "codec, options, code",
    [
        (BfpCodec("bfp8"), {"dtype": "int32"}, "data-type"),
        (BfpCodec("bfp8"), {"dtype": "complex64"}, "data-type"),
        (BfpCodec("bfp8"), {"fill_value": 1.5}, "chunks"),
        (BfpCodec("bfp8"), {"fill_value": float("nan")}, "chunks"),
        (BfpCodec("bfp8"), {"chunks": (4, 48)}, "chunks"),
        (BfpCodec("bfp8", 0), {"chunks": (33, 64)}, "chunks"),
        (BfpCodec((5, (4, 4)), 1), {"chunks": (6, 64)}, "chunks"),
        (BfpCodec("bfp8", 2), {}, "axis"),
        (BfpCodec("bfp8", -3), {}, "axis"),
        (BfpCodec((5, (4, 4)), 0), {}, "axis"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict | str) else "",
)
def test_arrays_that_blocks_do_not_fit_are_refused(codec, options, code):
    options = {"shape": (70, 128), "chunks": (32, 64), "dtype": "float32", "compressors": None} | options
    refused(code, zarr.create_array, MemoryStore(), serializer=codec, **options)


def test_codecs_that_need_more_than_the_numbers_are_refused():
    refused("parts-conflict", BfpCodec, "bfp8:stochastic")
    refused("block-size", BfpCodec, (8, None))
    refused("unknown-format", BfpCodec, "bfp")
    refused("axis", BfpCodec, "bfp8", None)
    refused("axis", BfpCodec, "bfp8", True)


CHANGES = [
    (("version",), 2, "bfp-version"),
    (("version",), True, "bfp-version"),
    (("axis",), "1", "bfp-header"),
    (("axis",), True, "bfp-header"),
    (("more",), 1, "bfp-header"),
    (("spec",), None, "bfp-header"),
    (("spec", "decode", "layout"), "interleaved", "bfp-version"),
    (("spec", "decode", "mantissa_bits"), 40, "bfp-header"),
    (("spec", "decode", "block_size"), None, "bfp-header"),
    (("spec", "provenance", "conversion"), {"rounding": "stochastic"}, "bfp-header"),
]


@pytest.mark.parametrize("place, value, code", CHANGES, ids=str)
def test_metadata_that_does_not_hold_is_refused_when_the_array_is_opened(place, value, code):
    create(store := MemoryStore(), numbers((4, 64)), BfpCodec("bfp8"), chunks=(4, 64))
    metadata = json.loads(store._store_dict["zarr.json"].to_bytes())
    part = metadata["codecs"][0]["configuration"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    changed = zarr.core.buffer.cpu.Buffer.from_bytes(json.dumps(metadata).encode())
    store._store_dict["zarr.json"] = changed
    refused(code, zarr.open_array, store, mode="r")


@pytest.mark.slow
def test_a_fresh_process_finds_the_codec_by_its_name(tmp_path):
    create(LocalStore(tmp_path / "a.zarr"), numbers((4, 64)), BfpCodec("bfp8"), chunks=(4, 64))
    # What an installer writes, from what pyproject.toml says.
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["zarr.codecs"]
    installed = tmp_path / "site" / "bfpemu-9.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: bfpemu\nVersion: 9\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
    (installed / "entry_points.txt").write_text(f"[zarr.codecs]\n{lines}")
    program = """
        import sys, zarr
        array = zarr.open_array(sys.argv[1], mode="r")
        assert "bfpemu" in sys.modules
        print(array[...].sum())
    """
    paths = os.pathsep.join([str(installed.parent), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "a.zarr")],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": paths, "NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == (str(BFPTensor(numbers((4, 64)), "bfp8").dequantize().sum()), "")


@pytest.mark.slow
def test_dask_packs_an_array_larger_than_the_memory_of_a_worker(tmp_path):
    command = [
        sys.executable,
        ROOT / "tools/pack_with_dask.py",
        tmp_path / "a.zarr",
        "--gib",
        "0.625",
        "--memory",
        "600MB",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    packed, compared = done.stdout.splitlines()
    assert packed.startswith("671,088,640 bytes of float32 to 173,")
    assert compared == "0 elements differ from what one process encodes"
