"""cocotb: streams blocks through two encoders that answer out of order, by `bfpemu.cocotb`."""

from __future__ import annotations

import itertools
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from bfpemu.cocotb import Coverage, Model, Problem, Scoreboard, StreamDriver, StreamMonitor, compare_stream, take
from tests.rtl.choices import ENCODE
from tests.rtl.stimuli import stimuli

CHOICE = ENCODE[0]
BLOCKS = 60
TAGS = 16


class Watching(StreamMonitor):
    """A monitor that remembers tags in the order of their results."""

    seen: list[int | None]

    async def receive(self) -> str:
        word = await super().receive()
        self.seen.append(self.last_tag)
        return word


async def _started(dut: Any, *, has_tags: bool) -> tuple[StreamDriver, Watching]:
    Clock(dut.clk, 2, unit="ns").start()
    tags = (dut.in_tag, dut.out_tag) if has_tags else (None, None)
    driver = StreamDriver(dut.clk, dut.in_valid, dut.in_ready, dut.in_data, pause=0.1, seed=3, tag=tags[0])
    monitor = Watching(dut.clk, dut.out_valid, dut.out_ready, dut.out_data, patience=300, tag=tags[1])
    monitor.seen = []
    dut.in_tag.value = 0
    dut.rst.value, dut.out_ready.value = 1, 0
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    cocotb.start_soon(take(dut.clk, dut.out_ready, pause=0.1, seed=4))
    return driver, monitor


def _words(model: Model) -> list[int]:
    return [model.stimulus.join({"x": patterns}) for (patterns,) in stimuli("encode", CHOICE, BLOCKS)][:BLOCKS]


@cocotb.test()
async def tags_find_their_stimuli(dut: Any) -> None:
    model, coverage = Model(Problem("encode", CHOICE.preset)), Coverage(Problem("encode", CHOICE.preset))
    driver, monitor = await _started(dut, has_tags=True)
    tags = itertools.cycle(range(TAGS))
    said = await compare_stream(_words(model), driver, monitor, Scoreboard(model, coverage), tags=tags, min_coverage=1)
    assert said.startswith(f"EQUAL: {BLOCKS} results; ")
    assert monitor.seen != [number % TAGS for number in range(BLOCKS)], "this device is to answer out of order"
    assert coverage.sampled == BLOCKS
    assert coverage.report()["block.nan"]["hits"] > 0


@cocotb.test()
async def without_tags_the_order_differs(dut: Any) -> None:
    model = Model(Problem("encode", CHOICE.preset))
    driver, monitor = await _started(dut, has_tags=False)
    await compare_stream(_words(model), driver, monitor, Scoreboard(model))


@cocotb.test()
async def too_few_bins_are_hit(dut: Any) -> None:
    model, coverage = Model(Problem("encode", CHOICE.preset)), Coverage(Problem("encode", CHOICE.preset))
    driver, monitor = await _started(dut, has_tags=True)
    scoreboard = Scoreboard(model, coverage)
    await compare_stream(_words(model)[:3], driver, monitor, scoreboard, tags=range(3), min_coverage=99)
