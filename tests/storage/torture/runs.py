"""The ordeals: flipped bits, truncations, changed files, killed writers, full disks."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from bfpemu.errors import BfpError, BfpFormatError
from bfpemu.storage import Declaration, Writer, hdf5, pack, write, write_arrays
from bfpemu.tensor import BFPTensor
from tests.storage.torture.targets import Target, read_bfp


@dataclass
class Outcome:
    """What came of many readings."""

    refused: int = 0
    read: int = 0
    slowest: float = 0.0
    """Seconds of the processor."""

    def __str__(self) -> str:
        return f"{self.refused:,} refused, {self.read:,} read, the slowest took {self.slowest:.3f} s"


def flips(path: Path, data: bytes, bits: Iterable[int]) -> Outcome:
    """Flip one bit after the other; a file that is read in spite of it is an AssertionError."""
    outcome = Outcome()
    path.write_bytes(data)
    with path.open("r+b", buffering=0) as file:
        for bit in bits:
            place, byte = bit >> 3, data[bit >> 3]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << (bit & 7)]), place)
            _refused(path, f"bit {bit & 7} of byte {place}")
            os.pwrite(file.fileno(), bytes([byte]), place)
            outcome.refused += 1
    read_bfp(path)
    return outcome


def truncations(path: Path, data: bytes, lengths: Iterable[int]) -> Outcome:
    """Cut the file to each length; as `flips`."""
    outcome = Outcome()
    for length in lengths:
        path.write_bytes(data[:length])
        _refused(path, f"cut to {length} bytes")
        outcome.refused += 1
    return outcome


def _refused(path: Path, what: str) -> None:
    try:
        read_bfp(path)
    except BfpFormatError as error:
        assert error.code.startswith("bfp-"), (what, error)
        return
    raise AssertionError(f"{what}: the file was read")


def fuzz(target: Target, folder: Path, count: int, seed: int) -> Outcome:
    """Read `count` changed files: each is read, or refused with one error of the package in one line."""
    outcome, path, random = Outcome(), folder / f"fuzzed{target.ending}", Random(seed)
    honest = target.files(folder)
    for data in honest:
        path.write_bytes(data)
        target.read(path)
    for number in range(count):
        data = target.mutate(random.choice(honest), random)
        path.write_bytes(data)
        start = time.process_time()
        try:
            with _no_longer_than(20):
                target.read(path)
            outcome.read += 1
        except BfpError as error:
            assert "\n" not in str(error), (target.name, seed, number, error)
            outcome.refused += 1
        except BaseException:
            (folder / f"found{target.ending}").write_bytes(data)
            print(f"{target.name}, seed {seed}, input {number}: kept as {folder / f'found{target.ending}'}")
            raise
        outcome.slowest = max(outcome.slowest, time.process_time() - start)
    return outcome


@contextlib.contextmanager
def _no_longer_than(seconds: int) -> Iterator[None]:
    """End what hangs."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no answer in {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def kills(folder: Path, count: int, seed: int) -> str:
    """Kill a process at random moments while it replaces a file again and again; the file must be one of two."""
    codes = np.random.default_rng(seed).integers(0, 256, (2, 1 << 18), np.uint8)
    tensors = [BFPTensor.from_codes(np.full(1 << 13, 127, np.uint8), row, "bfp8") for row in codes]
    path, random = folder / "killed.bfp", Random(seed)
    wholes = []
    for tensor in tensors:
        write(path, {"w": tensor})
        wholes.append(path.read_bytes())
    left = seen = 0
    for _ in range(count):
        child = os.fork()
        if child == 0:
            turn = 0
            while True:
                with Writer(path, {"w": Declaration((1 << 18,), "bfp8")}, fsync=turn % 8 == 0) as writer:
                    for start in range(0, 1 << 18, 1 << 15):
                        writer.append("w", _part(tensors[turn % 2], start))
                turn += 1
        time.sleep(random.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = path.read_bytes()
        assert found in wholes, "the file is neither the old one nor the new one"
        seen += found == wholes[0]
        for temporary in folder.glob(".killed.bfp.*.tmp"):
            # It is a file only if it is whole: killed between the preamble and the new name.
            if temporary.read_bytes() not in wholes:
                _refused(temporary, "a temporary file")
            temporary.unlink()
            left += 1
    return f"{count:,} kills: {seen:,} times one file, {count - seen:,} times the other, {left:,} temporary files left"


def _part(tensor: BFPTensor, start: int) -> BFPTensor:
    stop = start + (1 << 15)
    return BFPTensor.from_codes(
        tensor.exponent_codes[start // 32 : stop // 32], tensor.element_codes[start:stop], tensor.preset
    )


def full_disks(folder: Path, limits: Iterable[int]) -> str:
    """Write past a limit of the system: a clear error, the old file untouched, nothing left behind."""
    array = np.ones((512, 512), np.float32)
    tensor = BFPTensor(array, "bfp8")
    ways: dict[str, Callable[[Path], None]] = {
        "full.bfp": lambda path: write(path, {"w": tensor}),
        "packed.bfp": lambda path: pack(path, {"w": array}, "bfp8"),
        "full.npz": lambda path: write_arrays(path, {"w": array}),
        "full.h5": lambda path: hdf5.write(path, {"w": tensor}),
        "numbers.h5": lambda path: write_arrays(path, {"w": array}),
        "full.safetensors": lambda path: write_arrays(path, {"w": array}),
    }
    count = 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in limits:
        for name, way in ways.items():
            path = folder / name
            path.write_bytes(b"old")
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            try:
                way(path)
            except BfpError as error:
                assert error.code == "output-unwritable", error
            else:
                raise AssertionError(f"{name} was written past the limit of {limit} bytes")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert path.read_bytes() == b"old"
            assert not list(folder.glob(f".{name}.*")), "a temporary file was left"
            count += 1
    return f"{count:,} writes past a limit: each refused, the old file untouched"
