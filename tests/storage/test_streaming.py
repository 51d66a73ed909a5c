"""`.bfp` files that are written row by row (spec 7.12)."""

import tracemalloc

import numpy as np
import pytest

from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.storage import Declaration, Reader, Writer, pack, read, write
from bfpemu.tensor import BFPTensor
from tests.storage.forms import numbers, refused

TWO_LEVELS = BFPSpec("two", 5, 16, sub_block_size=2, sub_shift_bits=3)


def whole(path, array, format, axis):
    write(path, {"w": BFPTensor(array, format, axis=axis)}, fsync=False)
    return path.read_bytes()


def cut(array, lengths):
    """Pieces of an array, of lengths that are repeated as long as they are needed."""
    start = 0
    for length in lengths * len(array):
        if start >= len(array):
            return
        yield array[start : start + length]
        start += length


@pytest.mark.parametrize("format", ["bfp8", "flexpoint8", (5, 7), TWO_LEVELS, (6, (2, 3))], ids=str)
@pytest.mark.parametrize("shape, axis", [((6, 5, 33), 2), ((6, 33, 5), 1), ((9, 3, 4), -1)], ids=str)
@pytest.mark.parametrize("lengths", [[1], [2, 0, 5]], ids=str)
def test_rows_that_come_in_pieces_give_the_same_file(path, tmp_path, format, shape, axis, lengths):
    array = numbers(shape)
    axis += format == (6, (2, 3)) and axis == 1
    expected = whole(tmp_path / "whole.bfp", array, format, axis)
    with Writer(path, {"w": Declaration(shape, format, axis)}, fsync=False) as writer:
        for piece in cut(array, lengths):
            writer.append("w", piece)
    assert path.read_bytes() == expected


@pytest.mark.parametrize("format", ["bfp8", "flexpoint8", (5, 7), TWO_LEVELS], ids=str)
@pytest.mark.parametrize("shape, axis", [((1000,), -1), ((1000,), None), ((100, 7), None)], ids=str)
@pytest.mark.parametrize("lengths", [[19, 3], [99, 0, 1]], ids=str)
def test_numbers_of_one_row_come_in_any_pieces(path, tmp_path, format, shape, axis, lengths):
    array = numbers(shape)
    expected = whole(tmp_path / "whole.bfp", array, format, axis)
    with Writer(path, {"w": Declaration(shape, format, axis)}, fsync=False) as writer:
        for piece in cut(array, lengths):
            writer.append("w", piece)
    assert path.read_bytes() == expected


@pytest.mark.parametrize(
    "shape, axis, format",
    [((20, 6), 0, "bfp8"), ((20, 6), -1, (8, None)), ((), None, "bfp8"), ((4, 6), 1, (6, (2, 3)))],
)
def test_where_blocks_hold_numbers_of_many_rows_all_come_at_once(path, tmp_path, shape, axis, format):
    array = numbers(shape)
    expected = whole(tmp_path / "whole.bfp", array, format, axis)
    with Writer(path, {"w": Declaration(shape, format, axis)}, fsync=False) as writer:
        if shape:
            refused("rows", writer.append, "w", array[:2])
        writer.append("w", array)
        refused("rows", writer.append, "w", array)
    assert path.read_bytes() == expected


def test_tensors_come_in_any_order_as_numbers_or_codes(path, tmp_path):
    array, flat = numbers((8, 64), "float16"), numbers(1024)
    write(tmp_path / "whole.bfp", {"a": BFPTensor(array, "bfp6"), "b": BFPTensor(flat, "bfp4")}, meta={"k": "v"})
    declared = {"b": Declaration((1024,), "bfp4"), "a": Declaration((8, 64), "bfp6", -1, "float16")}
    with Writer(path, declared, meta={"k": "v"}) as writer:
        writer.append("b", BFPTensor(flat[:256], "bfp4"))
        writer.append("a", BFPTensor(array[:3], "bfp6"))
        writer.append("b", flat[256:])
        writer.append("a", array[3:])
    assert path.read_bytes() == (tmp_path / "whole.bfp").read_bytes()


def test_arrays_are_packed_in_one_call(path, tmp_path):
    arrays = {"w": numbers((70, 33)), "i": np.arange(-50, 50, dtype=np.int8), "s": np.float64(3)}
    pack(path, arrays, "bfp6", fsync=False)
    tensors = {name: BFPTensor(array, "bfp6") for name, array in arrays.items()}
    write(tmp_path / "whole.bfp", tensors, fsync=False)
    assert path.read_bytes() == (tmp_path / "whole.bfp").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("format", ["bfp8", "bfp16", (7, 24)])
def test_many_pieces_give_the_same_file_on_any_number_of_threads(path, tmp_path, format, threads):
    array = numbers((1 << 12, 1100))
    expected = whole(tmp_path / "whole.bfp", array, format, -1)
    pack(path, {"w": array}, format, fsync=False, threads=threads)
    assert path.read_bytes() == expected
    array = array.reshape(-1)
    expected = whole(tmp_path / "whole.bfp", array, format, None)
    pack(path, {"w": array}, format, None, fsync=False, threads=threads)
    assert path.read_bytes() == expected


def test_too_few_rows_are_an_error_and_leave_the_old_file(path):
    path.write_bytes(b"old")
    for rows in (0, 3):
        with pytest.raises(BfpError) as caught, Writer(path, {"w": Declaration((4, 8), "bfp8")}) as writer:
            writer.append("w", numbers((rows, 8)))
        assert caught.value.code == "rows"
        assert [found.name for found in path.parent.iterdir()] == ["a.bfp"]
        assert path.read_bytes() == b"old"


REFUSED = {
    "too many rows": ("rows", numbers((5, 8))),
    "another row": ("rows", numbers((2, 9))),
    "another rank": ("rows", numbers(8)),
    "another dtype": ("rows", numbers((2, 8), "float64")),
    "complex": ("data-type", numbers((2, 8)).astype("complex64")),
    "codes of another format": ("rows", BFPTensor(numbers((2, 8)), "bfp6")),
    "codes of another axis": ("rows", BFPTensor(numbers((2, 8)), "bfp8", axis=0)),
    "codes of another dtype": ("rows", BFPTensor(numbers((2, 8), "float64"), "bfp8")),
    "codes of another conversion": ("rows", BFPTensor(numbers((2, 8)), "bfp8", rounding="ties_up")),
    "a list of words": ("data-type", [["a"] * 8]),
}


@pytest.mark.parametrize("code, rows", REFUSED.values(), ids=REFUSED)
def test_rows_are_refused_that_were_not_declared(path, code, rows):
    with Writer(path, {"w": Declaration((4, 8), "bfp8")}) as writer:
        refused(code, writer.append, "w", rows)
        refused("tensor-name", writer.append, "v", rows)
        writer.append("w", numbers((4, 8)))
        refused("rows", writer.append, "w", numbers((1, 8)))
    assert read(path)["w"].shape == (4, 8)


def test_codes_of_one_row_come_in_whole_bytes(path):
    tensor = BFPTensor(numbers(300), "bfp8")
    with Writer(path, {"w": Declaration((600,), "bfp8")}) as writer:
        refused("rows", writer.append, "w", tensor)
        writer.append("w", numbers(300))
        refused("rows", writer.append, "w", tensor)
        writer.append("w", numbers(300))


def test_rows_that_were_refused_half_way_are_never_a_file(path):
    no_nan = Preset(BFPSpec("no_nan", 8, 32, exponent_reserved="none"), Conversion(nan="error"))
    rows = numbers((4, 32))
    rows[3, 5] = np.nan
    with pytest.raises(BfpError) as caught, Writer(path, {"w": Declaration((4, 32), no_nan)}) as writer:
        refused("nan", writer.append, "w", rows[2:])
        writer.append("w", rows[:2])
    assert caught.value.code == "rows"
    assert not path.exists()


@pytest.mark.parametrize(
    "code, declared",
    [
        ("axis", Declaration((4, 8), "bfp8", 2)),
        ("codes-shape", Declaration((4, -8), "bfp8")),
        ("bfp-header", Declaration((1 << 49,), "bfp8")),
        ("bfp-range", Declaration((1 << 48,), "bfp8")),
        ("unknown-format", Declaration((4, 8), "bfp9")),
        ("data-type", Declaration((4, 8), "bfp8", -1, "int8")),
    ],
)
def test_a_declaration_that_no_tensor_has_is_refused_before_a_file_is_made(path, code, declared):
    refused(code, Writer, path, {"w": declared})
    assert list(path.parent.iterdir()) == []


def test_an_exception_in_the_block_leaves_nothing(path):
    def stop():
        with Writer(path, {"w": Declaration((4, 8), "bfp8")}) as writer:
            writer.append("w", numbers((4, 8)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert list(path.parent.iterdir()) == []


def test_a_tensor_of_no_rows_needs_none(path):
    with Writer(path, {"w": Declaration((0, 8), "bfp8"), "v": Declaration((0,), "bfp8")}):
        pass
    with Reader(path) as reader:
        assert reader["w"].shape == (0, 8)
        assert reader.view("v")[:].shape == (0,)


def test_rows_that_need_exponents_beside_them_come_as_codes(path):
    given = Preset(BFPSpec("given", 8, 32), Conversion(exponent_rule="given"))
    array = numbers((4, 32))
    with pytest.raises(BfpError) as caught, Writer(path, {"w": Declaration((4, 32), given)}) as writer:
        refused("exponent-given", writer.append, "w", array)
    assert caught.value.code == "rows"
    with Writer(path, {"w": Declaration((4, 32), given)}) as writer:
        writer.append("w", BFPTensor(array, given, exponents=2))
    assert set(read(path)["w"].exponents.ravel().tolist()) == {2}


def test_codes_without_an_axis_are_no_rows(path):
    with Writer(path, {"w": Declaration((4,), "bfp8", None)}) as writer:
        refused("rows", writer.append, "w", BFPTensor(np.float32(1), "bfp8", axis=None))
        writer.append("w", BFPTensor(numbers(4), "bfp8", axis=None))


def test_rows_without_numbers_take_no_time(path):
    array = np.zeros((1 << 40, 0), np.float32)
    pack(path, {"w": array}, "bfp8")
    with Reader(path) as reader:
        assert reader.view("w")[: 1 << 39].shape == (1 << 39, 0)


@pytest.mark.slow
def test_a_stream_takes_the_memory_of_its_pieces(path):
    rows = numbers((512, 4096))
    with Writer(path, {"w": Declaration((512, 4096), "bfp8")}, fsync=False) as writer:
        writer.append("w", rows)  # compiles
    tracemalloc.start()
    try:
        with Writer(path, {"w": Declaration((512 * 16, 4096), "bfp8")}, fsync=False) as writer:
            for _ in range(16):
                writer.append("w", rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < rows.nbytes
    assert path.stat().st_size > 4 * rows.nbytes


@pytest.mark.parametrize("shape, axis", [((64,), 0), ((64,), None), ((64, 8), 1)], ids=str)
@pytest.mark.parametrize("first, second", [("float32", "int8"), ("int8", "uint8"), ("int8", "float32")])
def test_numbers_of_two_dtypes_are_refused(path, tmp_path, shape, axis, first, second):
    array = np.arange(np.prod(shape)).reshape(shape) % 100
    with Writer(path, {"w": Declaration(shape, (5, 7), axis)}, fsync=False) as writer:
        writer.append("w", array[:3].astype(first))
        refused("rows", writer.append, "w", array[3:].astype(second))
        writer.append("w", array[3:].astype(np.dtype(first).newbyteorder(">")))
    assert path.read_bytes() == whole(tmp_path / "whole.bfp", array.astype(first), (5, 7), axis)
