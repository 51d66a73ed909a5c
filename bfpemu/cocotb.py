"""For cocotb 2: drivers for streams, and a scoreboard that takes its answers from the reference model (spec 12.13).

The extra ``cocotb`` brings what this module needs. A stream has `valid`, `ready` and `data`; a word of spec 12.3
passes at a rising edge of the clock at which `valid` and `ready` are 1. Signals are sampled when everything has settled
after the edge before, so inputs of the device must change right after rising edges, as the drivers here do. For other
buses, call `Scoreboard.expect` and `Scoreboard.check` from drivers of your own.

A whole bench, in which `dut` is a device of the unit `encode`, with the names of AXI streams::

    import cocotb
    from cocotb.clock import Clock
    from cocotb.triggers import RisingEdge
    from bfpemu.cocotb import Scoreboard, StreamDriver, StreamMonitor, compare_stream, open_set, take

    @cocotb.test()
    async def bits_are_those_of_the_reference(dut):
        Clock(dut.aclk, 2, unit="step").start()  # with unit="ns" the build must have a timescale
        driver = StreamDriver(dut.aclk, dut.s_tvalid, dut.s_tready, dut.s_tdata, pause=0.3)
        monitor = StreamMonitor(dut.aclk, dut.m_tvalid, dut.m_tready, dut.m_tdata)
        dut.aresetn.value, dut.m_tready.value = 0, 0
        for _ in range(3):
            await RisingEdge(dut.aclk)
        dut.aresetn.value = 1
        cocotb.start_soon(take(dut.aclk, dut.m_tready, pause=0.3))
        found = open_set("vectors")  # made by `bfpemu vectors generate --unit encode --out vectors`
        print(await compare_stream(found.stimulus_words(), driver, monitor, Scoreboard(found)))

and what runs it, with that in ``test_device.py``; the simulator runs in ``test_dir``, where "vectors" then is::

    from cocotb_tools.runner import get_runner

    runner = get_runner("icarus")
    runner.build(sources=["device.sv"], hdl_toplevel="device", build_args=["-g2012"])
    runner.test(hdl_toplevel="device", test_module="test_device", test_dir=".")

Latency does not matter: a device may have any number of words in it. For one without `ready` pass None.

A device that answers out of order has a tag beside its data on both sides, which driver and monitor are given too;
`compare_stream` then takes the tags of the stimuli. ``Scoreboard(found, Coverage(found))`` counts the bins that the
stimuli hit, and ``min_coverage`` asks for some of them.

With ``Scoreboard(model)`` and ``model.words(1000)``, where ``model = Model(found.manifest)``, it compares stimuli
beyond the set.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.stored import VectorSet, open_set
from bfpemu.vectors.verify.sampling import Coverage
from bfpemu.vectors.verify.scoreboard import Model, Scoreboard

try:
    import cocotb
    from cocotb.triggers import ReadOnly, RisingEdge
    from cocotb.types import LogicArray
except ImportError as error:
    raise ImportError("bfpemu.cocotb needs cocotb 2.0 or newer: pip install 'bfpemu[cocotb]'") from error

__all__ = [
    "Coverage",
    "Model",
    "Problem",
    "Scoreboard",
    "StreamDriver",
    "StreamMonitor",
    "VectorSet",
    "compare_stream",
    "digits",
    "open_set",
    "take",
]


class StreamDriver:
    """Offers words to a device until it takes them; between them `data` is X.

    Parameters
    ----------
    clock, valid, ready, data : cocotb handles
        Of the device; `ready` may be None for one that takes a word every clock.
    pause : float
        How probable it is that a clock passes before a word is offered, again and again.
    seed : int
        Of the pauses.
    tag : cocotb handle, optional
        The tag that goes with a word.
    """

    def __init__(
        self, clock: Any, valid: Any, ready: Any, data: Any, *, pause: float = 0.0, seed: int = 1, tag: Any = None
    ) -> None:
        self.clock, self.valid, self.ready, self.data, self.tag = clock, valid, ready, data, tag
        self.pause = pause
        self._random = random.Random(seed)
        self._idle()

    def _idle(self) -> None:
        self.valid.value = 0
        for signal in (self.data, self.tag):
            if signal is not None:
                signal.value = LogicArray("X" * len(signal))

    async def send(self, word: int, tag: int | None = None) -> None:
        """Offer a word, with its tag, and return after the rising edge at which it was taken.

        Raises
        ------
        ValueError
            If there is a tag and no signal for it, or the other way round.
        """
        if (tag is None) != (self.tag is None):
            raise ValueError("a word must have a tag where the driver has a signal for it, and only there")
        while self._random.random() < self.pause:
            await RisingEdge(self.clock)
        self.valid.value, self.data.value = 1, word
        if tag is not None:
            self.tag.value = tag
        is_taken = False
        while not is_taken:
            await ReadOnly()
            is_taken = self.ready is None or _is_high(self.ready, "ready")
            await RisingEdge(self.clock)
        self._idle()


class StreamMonitor:
    """Watches a device give words, and that it keeps each one until it is taken.

    Parameters
    ----------
    clock, valid, ready, data : cocotb handles
        Of the device; `ready` may be None where every word is taken at once.
    patience : int
        Clocks without a word after which the device hangs.
    tag : cocotb handle, optional
        The tag that comes with a word.
    """

    def __init__(
        self, clock: Any, valid: Any, ready: Any, data: Any, *, patience: int = 10_000, tag: Any = None
    ) -> None:
        self.clock, self.valid, self.ready, self.data, self.tag = clock, valid, ready, data, tag
        self.patience = patience
        self.last_tag: int | None = None
        """The tag of the word that was received last."""
        self._held: tuple[str, int | None] | None = None

    async def receive(self) -> str:
        """Return the next word that passes, as hexadecimal digits (`digits`), after its rising edge.

        Raises
        ------
        AssertionError
            If no word passes for `patience` clocks, and as `watch`.
        """
        word = await self.watch(self.patience)
        if word is None:
            raise AssertionError(f"the device hangs: no word for {self.patience:,} clocks")
        return word

    async def watch(self, clocks: int) -> str | None:
        """Return the next word that passes within some clocks, as `receive`, or None.

        Raises
        ------
        AssertionError
            If a word or its tag changes or goes before it was taken, or if `valid`, `ready` or the tag is X or Z.
        """
        for _ in range(clocks):
            await ReadOnly()
            word = (digits(self.data.value), self._tag()) if _is_high(self.valid, "valid") else None
            is_taken = word is not None and (self.ready is None or _is_high(self.ready, "ready"))
            if self._held is not None and word != self._held:
                now = "is not valid any more" if word is None else f"is {_shown(*word)}"
                raise AssertionError(f"a word must stay until it is taken: {_shown(*self._held)} {now}")
            self._held = None if is_taken else word
            await RisingEdge(self.clock)
            if word is not None and is_taken:
                self.last_tag = word[1]
                return word[0]
        return None

    def _tag(self) -> int | None:
        if self.tag is None:
            return None
        text = str(self.tag.value)
        if not set(text) <= {"0", "1"}:
            raise AssertionError(f"the tag of a valid word must be known, got {text}")
        return int(text, 2)


def _shown(word: str, tag: int | None) -> str:
    return word if tag is None else f"{word} with the tag {tag}"


async def take(clock: Any, ready: Any, *, pause: float = 0.0, seed: int = 1) -> None:
    """Drive `ready` for ever, with clocks of 0 that are as probable as `pause`; start it with `cocotb.start_soon`."""
    source = random.Random(seed)
    while True:
        ready.value = int(source.random() >= pause)
        await RisingEdge(clock)


async def compare_stream(
    words: Iterable[int],
    driver: StreamDriver,
    monitor: StreamMonitor,
    scoreboard: Scoreboard,
    *,
    tags: Iterable[int] | None = None,
    min_coverage: float | None = None,
    clocks_after: int = 100,
) -> str:
    """Send words through a device, compare every result, and return the scoreboard's report.

    For `clocks_after` clocks behind the last result it looks whether one comes that nothing asked for.

    Parameters
    ----------
    words : iterable of int
        Stimulus words.
    driver, monitor, scoreboard
    tags : iterable of int, optional
        A tag for each word, by which results that come out of order find their stimulus; one may be taken again
        after its result, or where the device keeps the order of one tag.
    min_coverage : float, optional
        As in `Scoreboard.report`.

    Raises
    ------
    AssertionError
        As `Scoreboard.report`; when the device hangs or breaks the stream, with that said after the report.
    DataError, BfpFormatError
        As `Scoreboard.expect` and `Scoreboard.check`.
    """
    stimuli = list(words)
    keys: list[int | None] = [None] * len(stimuli) if tags is None else [*itertools.islice(tags, len(stimuli))]
    if len(keys) != len(stimuli):
        raise ValueError(f"each of {len(stimuli)} words must have a tag, got {len(keys)}")

    async def send() -> None:
        for word, key in zip(stimuli, keys, strict=True):
            scoreboard.expect(word, key)
            await driver.send(word, key)

    sending = cocotb.start_soon(send())
    try:
        for _ in stimuli:
            scoreboard.check(await monitor.receive(), monitor.last_tag)
        await sending
        if (word := await monitor.watch(clocks_after)) is not None:
            scoreboard.check(word, monitor.last_tag)
    except AssertionError as stream:
        sending.cancel()
        try:
            scoreboard.report()
        except AssertionError as found:
            raise AssertionError(f"{found}\n{stream}") from None
        raise
    return scoreboard.report(min_coverage)


def digits(value: Any) -> str:
    """Return a value of a signal as hexadecimal digits, ``x`` where one of the four bits is neither 0 nor 1.

    Examples
    --------
    >>> digits(LogicArray("10000XZ1")), digits(LogicArray("101011"))
    ('8x', '2b')
    """
    bits = str(value)
    bits = "0" * (-len(bits) % 4) + bits
    nibbles = (bits[place : place + 4] for place in range(0, len(bits), 4))
    return "".join(f"{int(nibble, 2):x}" if set(nibble) <= {"0", "1"} else "x" for nibble in nibbles)


def _is_high(signal: Any, name: str) -> bool:
    text = str(signal.value)
    if text not in ("0", "1"):
        raise AssertionError(f"{name} must be 0 or 1, got {text}")
    return text == "1"
