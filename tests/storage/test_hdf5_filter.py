"""The HDF5 filter, and every way in which HDF5 could give back other numbers than a file holds.

The filter compiles for many seconds, so that all tests share one process and one registration.
"""

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from bfpemu.cli import main
from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.storage.hdf5 import create_filtered_dataset, open_filtered_dataset, read, register_filter
from bfpemu.storage.hdf5.attributes import attach
from bfpemu.storage.hdf5.checksum import fletcher32
from bfpemu.storage.hdf5.filter import FILTER_ID, filter_words
from bfpemu.storage.hdf5.filtered import FilteredDataset
from bfpemu.tensor import BFPTensor
from tests.storage.forms import numbers, read_codes, refused, same

FORMATS = ["bfp8", "mx9", (5, 12, 5)]


@pytest.mark.parametrize("count", [1, 2, 3, 255, 65536, 65537, (1 << 17) + 3])
@pytest.mark.parametrize("fill", [0, 255, None])
def test_the_checksum_is_that_of_hdf5(count, fill):
    random = np.random.default_rng(count).integers(0, 256, count, np.uint8)
    data = random if fill is None else np.full(count, fill, np.uint8)
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset("x", data=data, chunks=(count,), fletcher32=True)
        file.flush()
        assert dataset.id.read_direct_chunk((0,))[1][-4:] == fletcher32(data)


@pytest.mark.parametrize("number", [255, 65536, True, "305", h5py.h5z.FILTER_DEFLATE])
def test_a_number_that_is_not_for_users_is_refused(number):
    refused("hdf5-filter", register_filter, number)


@pytest.mark.parametrize(
    "format, chunks, code",
    [
        ((8, None), (4, 32), "hdf5-filter"),
        ((8, (2, 2)), (4, 32), "hdf5-filter"),
        ("bfp8:stochastic", (4, 32), "hdf5-filter"),
        (Preset(BFPSpec("given", 8, 32), Conversion(exponent_rule="given")), (4, 32), "hdf5-filter"),
        ("bfp8", (4, 48), "chunks"),
    ],
    ids=str,
)
def test_what_the_filter_cannot_do_is_refused_before_hdf5_hears_of_it(format, chunks, code):
    from bfpemu.catalog import resolve

    refused(code, filter_words, resolve(format), chunks)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


@pytest.mark.slow
class TestFilter:
    """In one class, so that one process runs them."""

    @pytest.mark.parametrize("format", FORMATS, ids=str)
    def test_what_is_read_while_the_file_is_open_is_what_is_in_it(self, path, format):
        size = BFPTensor(np.ones(1, np.float32), format).format.block_size
        data = numbers((50, 8 * size))
        expected = BFPTensor(data, format)
        with h5py.File(path, "w") as file:
            dataset = create_filtered_dataset(file, "w", data, format=format, chunks=(16, 3 * size))
            assert np.array_equal(dataset[...], expected.dequantize())
            dataset[7:9] = data[:2]
            open_file = dataset[...]
        with h5py.File(path) as file:
            found = open_filtered_dataset(file, "w")
            assert np.array_equal(found[...], open_file)
            assert np.array_equal(file["w"][3:8, ::5], open_file[3:8, ::5])  # plain h5py
            data[7:9] = data[:2]
            assert same(found.tensor(), BFPTensor(data, format))
            assert (found.shape, len(found), found.format) == (data.shape, 50, expected.format)
            assert "FilteredDataset" in repr(found)

    def test_rows_written_one_by_one_are_what_is_encoded_at_once(self, path):
        data = numbers((12, 64))
        with h5py.File(path, "w") as file:
            create_filtered_dataset(file, "w", shape=data.shape, chunks=(5, 64))
        for row in range(12):
            with h5py.File(path, "r+") as file:
                open_filtered_dataset(file, "w")[row : row + 1] = data[row]
        with h5py.File(path) as file:
            assert same(open_filtered_dataset(file, "w").tensor(), BFPTensor(data, "bfp8"))

    def test_numbers_that_change_when_rounded_again_are_refused(self, path):
        format = Preset(BFPSpec("floor", 8, 32), Conversion(exponent_rule="floor"))
        data = np.full((1, 32), -127.9, np.float32)
        with h5py.File(path, "w") as file:
            refused("hdf5-filter", create_filtered_dataset, file, "w", data, format=format)
            assert list(file) == []
            create_filtered_dataset(file, "w", np.ones((1, 32), np.float32), format=format)

    def test_what_no_code_stands_for_never_reaches_hdf5(self, path):
        format = BFPSpec("no nan", 8, 32, exponent_reserved="none")
        with h5py.File(path, "w") as file:
            dataset = create_filtered_dataset(file, "w", np.ones((2, 32), np.float32), format=format)
            refused("nan", dataset.__setitem__, slice(0, 1), np.nan)
            assert (dataset[...] == 1).all()
            file["w"][0, 5] = np.nan  # plain h5py: the block becomes zeros, and the file can be closed
        with h5py.File(path) as file:
            assert open_filtered_dataset(file, "w")[...].sum(axis=1).tolist() == [0, 32]

    def test_nan_and_infinity_come_back_where_codes_stand_for_them(self, path):
        data = numbers((3, 64))
        data[0, 3], data[1, 40] = np.nan, np.inf
        with h5py.File(path, "w") as file:
            create_filtered_dataset(file, "w", data)
        with h5py.File(path) as file:
            found = open_filtered_dataset(file, "w")[...]
        assert np.array_equal(found, BFPTensor(data, "bfp8").dequantize(), equal_nan=True)

    def test_what_does_not_fit_is_refused_with_nothing_left_behind(self, path):
        with h5py.File(path, "w") as file:
            for shape in ((), (0, 32), (4, 33), (4, 0)):
                refused("hdf5-filter", create_filtered_dataset, file, "w", shape=shape)
            refused("data-type", create_filtered_dataset, file, "w", np.ones((2, 32)))
            refused("codes-shape", create_filtered_dataset, file, "w")
            refused("chunks", create_filtered_dataset, file, "w", shape=(4, 64), chunks=(4, 33))
            assert list(file) == []
            dataset = create_filtered_dataset(file, "w", shape=(4, 64))
            for key in (0, slice(None, None, 2), (slice(None), slice(0, 31)), (slice(None), slice(32, 32))):
                refused("rows", dataset.__setitem__, key, 1.0)
            refused("codes-shape", dataset.__setitem__, ..., np.ones(63, np.float32))
            refused("data-type", dataset.__setitem__, ..., np.ones((4, 64)))
            refused("data-type", dataset.__setitem__, ..., 0.1)
            dataset[1:3, 32:] = 2
            assert dataset[...].sum() == 128
            with pytest.raises(ValueError, match="exist"):
                create_filtered_dataset(file, "w", shape=(4, 64))
            refused("tensor-name", open_filtered_dataset, file, "v")

    @pytest.mark.parametrize(
        "change",
        [
            {"dtype": "<f8"},
            {"dtype": ">f4"},
            {"dtype": "<i4"},
            {"fillvalue": 1.5},
            {"chunks": (2, 64)},
            {"chunks": (4, 32)},
        ],
        ids=str,
    )
    def test_hdf5_itself_refuses_datasets_that_the_filter_does_not_fit(self, path, change):
        register_filter()
        options = {"dtype": "<f4", "chunks": (4, 64)} | change
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_filter(FILTER_ID, 0, filter_words(BFPTensor(np.ones(1), "bfp8").preset, (4, 64)))
        with h5py.File(path, "w") as file, pytest.raises(ValueError, match=r"filter|callback"):
            file.create_dataset("w", (8, 128), dcpl=properties, **options)

    def test_every_flipped_bit_of_a_chunk_is_found(self, path):
        with h5py.File(path, "w", libver=("v110", "v110")) as file:
            create_filtered_dataset(file, "w", numbers((1, 16)), format=(5, 8))
            info = file["w"].id.get_chunk_info(0)
        data = path.read_bytes()
        for position in range(info.byte_offset, info.byte_offset + info.size):
            for bit in range(8):
                changed = bytearray(data)
                changed[position] ^= 1 << bit
                path.write_bytes(changed)
                with h5py.File(path) as file:
                    found = open_filtered_dataset(file, "w")
                    refused("bfp-checksum", found.tensor)
                    if bit == 0:
                        refused("bfp-checksum", found.__getitem__, ...)

    @pytest.mark.parametrize("change", ["words", "optional", "more filters", "shape", "short chunk", "skipped", "lost"])
    def test_files_that_lie_are_refused_before_a_chunk_is_read(self, path, change):
        register_filter()
        preset = BFPTensor(np.ones(1), "bfp8").preset
        with h5py.File(path, "w") as file:
            honest = create_filtered_dataset(file, "honest", np.ones((8, 64), np.float32), chunks=(4, 64))
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            words = list(filter_words(preset, (4, 64)))
            if change == "words":
                words[5 + 4] ^= 1  # of the fraction bits
            properties.set_filter(FILTER_ID, h5py.h5z.FLAG_OPTIONAL if change == "optional" else 0, tuple(words))
            dataset = file.create_dataset(
                "w", (8, 64), "<f4", chunks=(4, 64), dcpl=properties, shuffle=change == "more filters"
            )
            attach(dataset, honest.facts)
            if change == "shape":
                other = create_filtered_dataset(file, "other", shape=(4, 64))
                attach(dataset, other.facts)
            if change in ("short chunk", "skipped"):
                raw = honest.dataset.id.read_direct_chunk((0, 0))[1][:-4]
                data, mask = (raw[:-1], 0) if change == "short chunk" else (raw, 1)
                for start in (0, 4):
                    dataset.id.write_direct_chunk((start, 0), data, mask)
            elif change != "lost":
                dataset[...] = 1
            file.flush()
            refused("bfp-range", FilteredDataset, dataset)
            FilteredDataset(honest.dataset)
            file["plain"] = np.ones(3)
            refused("bfp-foreign", FilteredDataset, file["plain"])

    def test_words_out_of_range_make_hdf5_fail_and_not_crash(self, path):
        register_filter()
        words = filter_words(BFPTensor(np.ones(1), "bfp8").preset, (4, 64))
        with h5py.File(path, "w") as file:
            for place in range(len(words)):
                for value in (0, 2, 33, 1 << 31, (1 << 32) - 1):
                    if words[place] == value:
                        continue
                    changed = [*words[:place], value, *words[place + 1 :]]
                    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                    properties.set_filter(FILTER_ID, 0, tuple(changed))
                    try:
                        dataset = file.create_dataset(
                            f"{place} {value}", (4, 64), "<f4", chunks=(4, 64), dcpl=properties
                        )
                    except ValueError:
                        continue  # refused when it was to be made
                    dataset[...] = 1
                    dataset.flush()
                    assert dataset[...].shape == (4, 64)

    def test_threads_share_the_filter(self, path):
        data = numbers((64, 256))
        with h5py.File(path, "w") as file:
            create_filtered_dataset(file, "w", data, chunks=(4, 256))
        expected = BFPTensor(data, "bfp8").dequantize()

        def rows(start):
            with h5py.File(path) as file:
                return np.array_equal(open_filtered_dataset(file, "w")[start : start + 4], expected[start : start + 4])

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(rows, range(0, 64, 4)))

    def test_codes_go_from_the_filter_to_other_containers(self, path, tmp_path):
        data = numbers((9, 64))
        with h5py.File(path, "w") as file:
            create_filtered_dataset(file, "layer/w", data, format="mx9")
        assert same(read(path)["layer/w"], BFPTensor(data, "mx9"))
        assert main(["convert", str(path), str(tmp_path / "a.bfp")]) == 0
        assert same(read_codes(tmp_path / "a.bfp")["layer/w"], BFPTensor(data, "mx9"))

    def test_a_process_that_has_not_the_filter_reads_codes_and_says_what_to_do(self, path):
        data = numbers((2, 32))
        with h5py.File(path, "w") as file:
            create_filtered_dataset(file, "w", data)
        program = """
            import h5py, sys
            from bfpemu.storage.hdf5 import open_filtered_dataset
            with h5py.File(sys.argv[1]) as file:
                try:
                    file["w"][...]
                except OSError:
                    print(file["w"].attrs["bfp_hint"].decode())
                print(open_filtered_dataset(file, "w").tensor().exponents.ravel().tolist())
                import numba
                assert numba.config.DISABLE_JIT
                try:
                    open_filtered_dataset(file, "w")[...]
                except Exception as error:
                    print(error.code)
        """
        environment = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": ":".join(sys.path)}
        command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        hint, exponents, code = done.stdout.splitlines()
        assert "pip install bfpemu" in hint
        assert exponents == str(BFPTensor(data, "bfp8").exponents.ravel().tolist())
        assert code == "hdf5-filter"
