"""cocotb: streams blocks through the serial encoder with stalls on both sides, by `bfpemu.cocotb`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from bfpemu.cocotb import (
    Model,
    Problem,
    Scoreboard,
    StreamDriver,
    StreamMonitor,
    compare_stream,
    open_set,
    take,
)
from tests.rtl.choices import ENCODE
from tests.rtl.stimuli import stimuli

CHOICE = ENCODE[0]
STALLS = 0.3
"""How often either side makes the other wait."""
PATIENCE = 200
"""Clocks without a result after which the device hangs."""


async def _compared(dut: Any, words: list[int], scoreboard: Scoreboard) -> str:
    """Reset the device, and send words through it."""
    Clock(dut.clk, 2, unit="ns").start()
    driver = StreamDriver(dut.clk, dut.in_valid, dut.in_ready, dut.in_data, pause=STALLS, seed=1)
    monitor = StreamMonitor(dut.clk, dut.out_valid, dut.out_ready, dut.out_data, patience=PATIENCE)
    dut.rst.value, dut.out_ready.value = 1, 0
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    cocotb.start_soon(take(dut.clk, dut.out_ready, pause=STALLS, seed=2))
    return await compare_stream(words, driver, monitor, scoreboard)


@cocotb.test()
async def results_are_those_of_the_model(dut: Any) -> None:
    model = Model(Problem("encode", CHOICE.preset))
    assert await _compared(dut, model.words(80), Scoreboard(model)) == "EQUAL: 80 results"


@cocotb.test()
async def corners_are_those_of_the_model(dut: Any) -> None:
    model = Model(Problem("encode", CHOICE.preset))
    words = [model.stimulus.join({"x": patterns}) for (patterns,) in stimuli("encode", CHOICE, 20)]
    assert await _compared(dut, words, Scoreboard(model)) == f"EQUAL: {len(words)} results"


@cocotb.test()
async def one_block_has_one_result(dut: Any) -> None:
    model = Model(Problem("encode", CHOICE.preset))
    ones = model.stimulus.join({"x": [0x3F800000] * CHOICE.elements})
    assert await _compared(dut, [ones], Scoreboard(model)) == "EQUAL: 1 result"


@cocotb.test()
async def results_are_those_of_the_set(dut: Any) -> None:
    found = open_set(Path(cocotb.plusargs["set"]))
    dut._log.info(await _compared(dut, list(found.stimulus_words()), Scoreboard(found)))
