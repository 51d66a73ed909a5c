"""Sharing independent pieces of work among threads; the pieces fix the bits, the threads do not."""

from __future__ import annotations

import operator
import os
from collections import deque
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, TypeVar

from bfpemu.errors import DataError

Piece = TypeVar("Piece")


def thread_count(threads: Any) -> int:
    """Return how many threads to use; None means one for each core that this process may use.

    Raises
    ------
    DataError
        ``threads``, if it is not a positive integer.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        count = 0 if isinstance(threads, bool) else operator.index(threads)
    except TypeError:
        count = 0
    if count < 1:
        raise DataError("threads", f"threads must be None or an integer from 1, got {threads!r}")
    return count


_GROUPS = 16
"""Groups of pieces for each thread: enough that no thread waits long for another."""


def for_each(pieces: Sequence[Piece], work: Callable[[Piece], None], threads: int) -> None:
    """Call `work` on every piece, on up to `threads` threads, of which one is the caller's.

    Raises
    ------
    Exception
        The first piece's, if some of them raise; no piece is begun after that.
    """

    def run(group: Sequence[Piece]) -> None:
        for piece in group:
            work(piece)

    if threads == 1 or len(pieces) <= 1:
        run(pieces)
        return
    size = -(-len(pieces) // (_GROUPS * threads))
    groups = deque(enumerate(pieces[first : first + size] for first in range(0, len(pieces), size)))
    raised: list[tuple[int, BaseException]] = []

    def run_groups() -> None:
        while not raised:
            try:
                number, group = groups.popleft()
            except IndexError:
                return
            try:
                run(group)
            except BaseException as error:
                # Groups are taken in order: what comes before this one has been begun, and is waited for.
                raised.append((number, error))

    helpers = [Thread(target=run_groups) for _ in range(min(threads, len(groups)) - 1)]
    for helper in helpers:
        helper.start()
    run_groups()
    try:
        for helper in helpers:
            helper.join()
    finally:  # an interrupt leaves no thread behind that still writes
        groups.clear()
        for helper in helpers:
            helper.join()
    if raised:
        raise min(raised, key=operator.itemgetter(0))[1]
