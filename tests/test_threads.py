"""Pieces of work are each done once, by the caller too, and the first piece's exception is raised."""

from __future__ import annotations

import threading

import pytest

from bfpemu.threads import for_each


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 300])
def test_every_piece_is_done_once(count: int, threads: int) -> None:
    done: list[int] = []
    for_each(range(count), done.append, threads)
    assert sorted(done) == list(range(count))


def test_the_caller_is_one_of_the_threads() -> None:
    both, found = threading.Barrier(2), set()

    def work(_: int) -> None:
        both.wait(60)  # two pieces can only be under way together on two threads
        found.add(threading.get_ident())

    for_each(range(2), work, 2)
    assert len(found) == 2
    assert threading.get_ident() in found


@pytest.mark.parametrize("threads", [1, 2])
def test_the_exception_is_that_of_the_first_piece_that_raises(threads: int) -> None:
    second_raised = threading.Event()

    def work(piece: int) -> None:
        if piece == 1:
            second_raised.set()
        elif piece == 0 and threads > 1:
            assert second_raised.wait(60)
        raise ValueError(piece)

    with pytest.raises(ValueError, match=r"^0$"):
        for_each(range(2), work, threads)


def test_no_piece_is_begun_after_an_exception() -> None:
    begun: list[int] = []

    def work(piece: int) -> None:
        begun.append(piece)
        raise ValueError(piece)

    with pytest.raises(ValueError, match=r"^0$"):
        for_each(range(1000), work, 2)
    assert len(begun) <= 2
