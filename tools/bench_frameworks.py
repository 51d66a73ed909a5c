"""Measure fake quantisation and a step of training in PyTorch against our kernel and against float32.

All figures are ratios of process times on one thread, smallest of alternating repetitions, so that other
work on the machine counts little.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from bfpemu.blocking import blocking
from bfpemu.catalog import resolve
from bfpemu.codec import Supplied
from bfpemu.codec.quantize import quantize_array
from bfpemu.sources import source_kind
from timing import Operation, fastest

SHAPE = (4096, 4096)
REPEATS = 9


def quantizers(values: Any) -> tuple[float, float]:
    """Return the time of the operator, eager and compiled, divided by kernel and allocation, and by the kernel."""
    import torch

    from bfpemu.torch import bfp_quantize

    array, preset = values.numpy(), resolve("bfp8")
    out, kind = np.empty_like(array), source_kind(array.dtype)
    blocked = blocking(preset.format, array.shape, -1)
    compiled = torch.compile(lambda x: bfp_quantize(x, "bfp8"), fullgraph=True)
    kernel, allocation, eager, graph = fastest(
        lambda: quantize_array(array, kind, blocked, preset, Supplied(), out=out, threads=1),
        lambda: torch.empty_like(values).view(-1)[::1024].zero_(),  # touches every page once
        lambda: bfp_quantize(values, "bfp8"),
        lambda: compiled(values),
        repeats=REPEATS,
    )
    return eager / (kernel + allocation), graph / kernel


def training_step() -> float:
    """Return the time of a training step of three convolutions in bfp8, divided by that in float32."""
    import torch
    from torch import nn

    from bfpemu.torch import QATConfig, quantize_

    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    images, labels = torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))

    def step_of(model: nn.Module) -> Operation:
        optimizer = torch.optim.SGD(model.parameters(), 0.01)

        def step() -> None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()

        return step

    quantized = copy.deepcopy(plain)
    quantize_(quantized, QATConfig())
    floats, blocks = fastest(step_of(plain), step_of(quantized), repeats=REPEATS)
    return blocks / floats


def table() -> str:
    """Return the table in Markdown."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        eager, compiled = quantizers(torch.randn(SHAPE))
        step = training_step()
    finally:
        torch.set_num_threads(threads)
    return "\n".join(
        [
            "| PyTorch, one thread, bfp8 | time, relative |",
            "|---|---:|",
            f"| quantiser on 16 Mi float32, eager, against our kernel and a new array | {eager:.2f} |",
            f"| the same compiled, against our kernel alone | {compiled:.2f} |",
            f"| training step of three convolutions, weights and activations, against float32 | {step:.2f} |",
        ]
    )


if __name__ == "__main__":
    print(table())
