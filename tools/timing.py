"""How operations are timed: in turns, so that all of them see the same machine."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Operation = Callable[[], object]
Clock = Callable[[], float]


def seconds(operation: Operation, clock: Clock = time.perf_counter) -> float:
    """Return the time of one call, of the wall unless another clock is given."""
    start = clock()
    operation()
    return clock() - start


def in_turns(
    operations: Sequence[Operation], repeats: int, clock: Clock = time.perf_counter, between: Operation | None = None
) -> list[list[float]]:
    """Return the times of each operation after a first call, which compiles; `between` precedes every call."""
    times: list[list[float]] = [[] for _ in operations]
    for number in range(repeats + 1):
        for operation, found in zip(operations, times, strict=True):
            if between is not None:
                between()
            taken = seconds(operation, clock)
            if number:
                found.append(taken)
    return times


def ratio(operation: Operation, other: Operation, repeats: int, between: Operation | None = None) -> float:
    """Return how many times the speed of `other` the operation has, by medians."""
    own, others = in_turns((operation, other), repeats, between=between)
    return statistics.median(others) / statistics.median(own)


def fastest(*operations: Operation, repeats: int) -> list[float]:
    """Return the least processor time of each operation, which other work on the machine disturbs least."""
    return [min(times) for times in in_turns(operations, repeats, time.process_time)]


def printed_alone(script: str) -> str:
    """Return what a script prints in a process of its own, whose libraries do not share threads with this one."""
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{Path(script).name} failed:\n{done.stderr}")
    return done.stdout.strip()
