"""Measure the fake quantiser of TensorFlow beside the package's own, on one core, in one run.

16 Mi float32, bfp8 in blocks of 32 along the last axis: `bfpemu.bfp_quantize`, `bfpemu.tensorflow.bfp_quantize`
eager and in a graph, and a copy by XLA, which is what no quantiser there can be quicker than. It runs in a process
of its own, since the core is chosen before TensorFlow starts its threads. Times are those of the processor, the
smallest of some.
"""

from __future__ import annotations

import os

from timing import fastest, printed_alone

SHAPE = (4096, 4096)
REPEATS = 9


def table() -> str:
    """Return the table in Markdown, measured in a process that has one core."""
    return printed_alone(__file__)


def main() -> None:
    """Print the table."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import numpy as np
    import tensorflow as tf

    import bfpemu
    from bfpemu.tensorflow import bfp_quantize

    values = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    tensor = tf.constant(values)
    graph = tf.function(lambda x: bfp_quantize(x, "bfp8"))
    copy = tf.function(lambda x: tf.bitcast(tf.bitcast(x, tf.int32) + 1, tf.float32), jit_compile=True)
    same = np.array_equal(graph(tensor).numpy().view(np.uint32), bfpemu.bfp_quantize(values, "bfp8").view(np.uint32))
    if not same:
        raise SystemExit("TensorFlow and the kernels differ")
    operations = {
        "`bfpemu.bfp_quantize`": lambda: bfpemu.bfp_quantize(values, "bfp8", threads=1),
        "a copy by XLA": lambda: copy(tensor),
        "TensorFlow, eager": lambda: bfp_quantize(tensor, "bfp8"),
        "TensorFlow, in a graph": lambda: graph(tensor),
    }
    times = fastest(*operations.values(), repeats=REPEATS)
    print("| 16 Mi float32, bfp8, one core | ms | against the kernels |\n|---|---:|---:|")
    for name, taken in zip(operations, times, strict=True):
        print(f"| {name} | {1e3 * taken:.0f} | {taken / times[0]:.2f} |")


if __name__ == "__main__":
    main()
