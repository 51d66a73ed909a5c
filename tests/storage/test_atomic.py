"""Output files are written whole or not at all, whatever goes wrong (spec 7.12)."""

import errno
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from bfpemu.atomic import replacing
from bfpemu.errors import BfpFileError
from bfpemu.storage import read, write, write_arrays
from bfpemu.tensor import BFPTensor
from tests.storage.forms import refused

TENSOR = BFPTensor(np.arange(80, dtype=np.float32).reshape(2, 40), "bfp8")


class UnexpectedError(Exception):
    """Something that no code of the package raises or catches."""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "a.bfp"
    path.write_bytes(b"old")
    return path


@pytest.mark.parametrize("error", [UnexpectedError, KeyboardInterrupt, OSError("disk full")])
def test_a_failing_write_leaves_the_old_file_and_no_other(old, error):
    def fail(_):
        raise error

    with pytest.raises((UnexpectedError, KeyboardInterrupt, BfpFileError)):
        write(old, {"a": TENSOR}, progress=fail)
    assert [path.name for path in old.parent.iterdir()] == ["a.bfp"]
    assert old.read_bytes() == b"old"


def test_a_failing_write_to_a_new_path_leaves_nothing(tmp_path):
    def fail():
        with replacing(tmp_path / "a.npz") as file:
            file.write(b"half")
            raise UnexpectedError

    with pytest.raises(UnexpectedError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_until_it_is_whole_the_new_file_has_another_name_and_no_preamble(old):
    seen = []

    def look(_):
        (temporary,) = set(old.parent.iterdir()) - {old}
        seen.append(temporary)
        assert temporary.name.startswith(".a.bfp.")
        assert old.read_bytes() == b"old"
        if len(seen) < 3:
            refused("bfp-foreign", read, temporary)

    write(old, {"a": TENSOR}, progress=look)
    assert len(seen) == 3
    assert list(read(old)) == ["a"]
    assert list(old.parent.iterdir()) == [old]


def test_a_killed_writer_leaves_the_old_file_whole(old):
    script = (
        "import os, sys\n"
        "from bfpemu.atomic import replacing\n"
        "with replacing(sys.argv[1]) as file:\n"
        "    file.write(bytes(100_000)); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, old], check=False)
    assert done.returncode == -9
    assert old.read_bytes() == b"old"
    (left,) = set(old.parent.iterdir()) - {old}
    refused("bfp-foreign", read, left)


def test_what_is_counted_is_what_is_written(tmp_path):
    counted = []
    write(tmp_path / "a.bfp", {"a": TENSOR, "b": TENSOR}, progress=counted.append)
    gaps = (tmp_path / "a.bfp").stat().st_size - sum(counted)
    assert 0 <= gaps < 4 * 64


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_the_permissions_of_the_old_file_stay(old, mode):
    old.chmod(mode)
    write(old, {"a": TENSOR})
    assert stat.S_IMODE(old.stat().st_mode) == mode


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.bfp", {"a": TENSOR})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bfp").stat().st_mode) == 0o640


def test_a_link_stays_and_what_it_points_to_is_replaced(old):
    link = old.parent / "link.bfp"
    link.symlink_to(old)
    write(link, {"a": TENSOR})
    assert link.is_symlink()
    assert list(read(old)) == ["a"]


@pytest.mark.parametrize("wanted, calls", [(True, 2), (False, 0)])
def test_file_and_folder_are_synchronised_if_wanted(old, monkeypatch, wanted, calls):
    real, done = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda descriptor: (done.append(descriptor), real(descriptor)))
    write(old, {"a": TENSOR}, fsync=wanted)
    assert len(done) == calls


def test_a_folder_that_cannot_be_synchronised_does_not_matter_but_a_broken_disk_does(old, monkeypatch):
    real = os.fsync
    for number, code in ((errno.EINVAL, None), (errno.EIO, "output-unwritable")):

        def fails(descriptor, number=number):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, "no")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fails)
        if code is None:
            write(old, {"a": TENSOR})
            assert list(read(old)) == ["a"]
        else:
            refused(code, write, old, {"a": TENSOR})


def test_a_folder_that_cannot_be_opened_is_not_synchronised(old, monkeypatch):
    monkeypatch.delattr(os, "O_DIRECTORY")
    write(old, {"a": TENSOR})
    assert list(read(old)) == ["a"]


@pytest.mark.parametrize("name", ["none/a.bfp", "file/a.bfp", "folder", "x" * 300, "nul\0.bfp"])
def test_a_path_that_cannot_be_written_is_refused(tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    refused("output-unwritable", write, f"{tmp_path}/{name}", {"a": TENSOR})
    assert sorted(tmp_path.iterdir()) == before


def test_a_pipe_or_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    refused("output-unwritable", write_arrays, tmp_path / "a.npy", {"a": np.ones(3)})
    assert stat.S_ISFIFO((tmp_path / "a.npy").stat().st_mode)
    refused("output-unwritable", write, "/dev/null", {"a": TENSOR})


def test_a_folder_without_permission_is_refused(unprivileged_folder):
    unprivileged_folder.chmod(0o500)
    refused("output-unwritable", write, unprivileged_folder / "a.bfp", {"a": TENSOR})
    unprivileged_folder.chmod(0o700)
    write(unprivileged_folder / "a.bfp", {"a": TENSOR})


def test_a_long_name_is_no_longer_while_it_is_written(tmp_path):
    write(tmp_path / ("x" * 251 + ".bfp"), {"a": TENSOR})
    assert len(list(tmp_path.iterdir())) == 1


REFUSED = [
    ("bfp-name", {"": TENSOR}, {}),
    ("bfp-name", {"a\0": TENSOR}, {}),
    ("bfp-name", {"\ud800": TENSOR}, {}),
    ("bfp-name", {"x" * 1025: TENSOR}, {}),
    ("bfp-name", {1: TENSOR, "a": TENSOR}, {}),
    ("bfp-header", {"a": TENSOR}, {"k": 1}),
    ("bfp-header", {"a": TENSOR}, {1: "v"}),
    ("bfp-header", {"a": TENSOR}, {"k": "\udfff"}),
    ("bfp-header", {"a": TENSOR}, {"k": "x" * (1 << 20)}),
    ("bfp-header", {"a": TENSOR}, [("k", "v")]),
]


@pytest.mark.parametrize("code, tensors, meta", REFUSED, ids=range(len(REFUSED)))
def test_what_a_reader_would_refuse_is_not_written(old, code, tensors, meta):
    refused(code, write, old, tensors, meta=meta)
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]
