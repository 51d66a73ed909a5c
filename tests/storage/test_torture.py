"""The short form of `tools/torture.py`: damaged files, hostile files, killed writers, full disks."""

import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from bfpemu.errors import BfpError
from bfpemu.storage import Reader
from tests.storage.torture import runs
from tests.storage.torture.targets import GOLDEN, TARGETS, golden_files

ROOT = Path(__file__).parents[2]


def test_some_flipped_bits_and_truncations_of_every_golden_file_are_refused(path):
    chosen = random.Random(1)
    for golden in sorted(GOLDEN.glob("*.bfp")):
        data = golden.read_bytes()
        places = [*range(512), *(chosen.randrange(8 * len(data)) for _ in range(24))]
        # The preamble's 512 bits are the same rule in every file.
        assert runs.flips(path, data, places[:: 1 if golden.stem == "meta" else 40]).refused > 0
        lengths = [0, 7, 8, 63, 64, len(data) - 1, *(chosen.randrange(len(data)) for _ in range(8))]
        assert runs.truncations(path, data, lengths).refused == len(lengths)


@pytest.mark.interpreted
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_changed_file_is_read_or_refused_with_one_error(target, tmp_path):
    outcome = runs.fuzz(target, tmp_path, 500, seed=3)
    assert outcome.refused > 100
    assert outcome.refused + outcome.read == 500


def test_a_disk_that_is_full_is_a_clear_error_and_changes_nothing(tmp_path):
    assert runs.full_disks(tmp_path, (0, 65_536)).startswith("12 writes")


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one():
    done = subprocess.run(
        [sys.executable, ROOT / "tools/torture.py", "--only", "kills", "--kills", "12"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("12 kills: ")


HUGE = 1 << 40
CLAIMS = {
    "a shape": (("tensors", 0, "shape"), [HUGE, 1 << 7]),
    "a shape of no elements": (("tensors", 0, "shape"), [0, HUGE]),
    "a block": (("specs", 0, "decode", "block_size"), HUGE),
    "a plane": (("tensors", 0, "segments", 1, "nbytes"), HUGE),
    "an offset": (("tensors", 0, "segments", 1, "offset"), 1 << 62),
    "a chunk": (("chunk",), 1 << 30),
}


@pytest.mark.parametrize("place, value", CLAIMS.values(), ids=CLAIMS)
def test_what_a_file_claims_is_refused_before_anything_is_allocated(path, honest, signed, changed, place, value):
    path.write_bytes(signed(honest[0], changed(honest[1], place, value)))
    tracemalloc.start()
    try:
        with Reader(path):
            pass
    except BfpError as error:
        assert error.code in ("bfp-range", "bfp-header")
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20


def test_golden_files_are_small_enough_to_be_tortured():
    assert len(golden_files(GOLDEN)) > 5
