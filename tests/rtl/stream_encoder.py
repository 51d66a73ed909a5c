"""cocotb: streams blocks through the serial encoder with stalls on both sides, the reference model beside it."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

from tests.rtl.answers import answer, expected_widths, stimulus_widths
from tests.rtl.choices import ENCODE
from tests.rtl.sets import packed
from tests.rtl.stimuli import stimuli

CHOICE = ENCODE[0]
PATIENCE = 200
"""Cycles without a result after which the device hangs."""


def _word(widths: list[tuple[str, int, int]], items: list[list[int]]) -> int:
    return packed(zip((width for _, width, _ in widths), items, strict=True))


async def _send(dut: Any, blocks: list[list[list[int]]], sent: deque[int], source: random.Random) -> None:
    """Offer every block until the device takes it, with idle cycles between."""
    for items in blocks:
        while source.random() < 0.3:
            await RisingEdge(dut.clk)
        dut.in_valid.value = 1
        dut.in_data.value = _word(stimulus_widths("encode", CHOICE), items)
        while True:
            await ReadOnly()
            is_taken = dut.in_ready.value == 1
            await RisingEdge(dut.clk)
            if is_taken:
                break
        sent.append(_word(expected_widths("encode", CHOICE), answer("encode", CHOICE, items)))
        dut.in_valid.value = 0
        dut.in_data.value = 0


@cocotb.test()
async def results_come_in_order_whatever_stalls(dut: Any) -> None:
    source = random.Random(1)
    blocks = stimuli("encode", CHOICE, 20)
    sent: deque[int] = deque()
    dut.rst.value, dut.in_valid.value, dut.out_ready.value = 1, 0, 0
    Clock(dut.clk, 2, unit="ns").start()
    for _ in range(3):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    driver = cocotb.start_soon(_send(dut, blocks, sent, source))
    compared = idle = 0
    held = None
    while compared < len(blocks) and idle < PATIENCE:
        dut.out_ready.value = int(source.random() < 0.6)
        await ReadOnly()
        is_result = dut.out_valid.value == 1 and dut.out_ready.value == 1
        if dut.out_valid.value == 1:
            assert dut.out_data.value.is_resolvable
            got = dut.out_data.value.to_unsigned()
            assert held is None or got == held, "a result must not change until it is taken"
            held = got
        await RisingEdge(dut.clk)
        idle += 1
        if is_result:
            assert held == sent.popleft(), f"block {compared}"
            compared, idle, held = compared + 1, 0, None
    await driver
    assert compared == len(blocks) > 0
    assert not sent
