"""Measure the jitted JAX quantiser against the kernels on one core.

It runs in a process of its own, since the core is chosen before JAX starts its threads. Times are those of
the processor, the smallest of some, so that other work on the machine disturbs them less.
"""

from __future__ import annotations

import os
from functools import partial

from timing import fastest, printed_alone

ELEMENTS = 1 << 24
REPEATS = 9
FORMATS = ("bfp8", "bfp4", "bfp16")


def table() -> str:
    """Return the table in Markdown, measured in a process that has one core."""
    return printed_alone(__file__)


def main() -> None:
    """Print the table."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jax
    import numpy as np

    from bfpemu import bfp_quantize as with_kernels
    from bfpemu.jax import bfp_quantize

    values = np.random.default_rng(0).standard_normal((ELEMENTS // 4096, 4096), dtype=np.float32)
    on_device = jax.device_put(values)
    print("| 16 Mi float32, one core | JAX, jitted (ms) | kernels (ms) | ratio |\n|---|---:|---:|---:|")
    for name in FORMATS:
        jitted = jax.jit(partial(bfp_quantize, format=name))
        operations = (
            lambda jitted=jitted: jitted(on_device).block_until_ready(),
            lambda name=name: with_kernels(values, name, threads=1),
        )
        results = [np.asarray(operation()).view(np.uint32) for operation in operations]
        assert (results[0] == results[1]).all()
        jitted_time, own = (1e3 * taken for taken in fastest(*operations, repeats=REPEATS))
        print(f"| {name} | {jitted_time:.0f} | {own:.0f} | {jitted_time / own:.2f} |")


if __name__ == "__main__":
    main()
