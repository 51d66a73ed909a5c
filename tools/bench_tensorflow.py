"""Measure the fake quantiser of TensorFlow beside the package's own, on one core, in one run.

16 million float32, bfp8 in blocks of 32 along the last axis: `bfpemu.bfp_quantize`, `bfpemu.tensorflow.bfp_quantize`
eager and in a graph, both by their compiled kernel, and a copy by XLA, which is what no quantiser there can be
quicker than. Times are of the process, the least of several.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
import tensorflow as tf

import bfpemu
from bfpemu.tensorflow import bfp_quantize

SHAPE = (4096, 4096)
REPEATS = 9


def milliseconds(function: Callable[[], object]) -> float:
    """Return the least time of a call."""
    function()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def main() -> None:
    values = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    tensor = tf.constant(values)
    graph = tf.function(lambda x: bfp_quantize(x, "bfp8"))
    copy = tf.function(lambda x: tf.bitcast(tf.bitcast(x, tf.int32) + 1, tf.float32), jit_compile=True)
    same = np.array_equal(graph(tensor).numpy().view(np.uint32), bfpemu.bfp_quantize(values, "bfp8").view(np.uint32))
    if not same:
        raise SystemExit("TensorFlow and the kernels differ")
    own = milliseconds(lambda: bfpemu.bfp_quantize(values, "bfp8", threads=1))
    print(f"{'kernel':20} {own:7.1f} ms")
    for name, function in (
        ("XLA, a copy", lambda: copy(tensor)),
        ("TensorFlow eager", lambda: bfp_quantize(tensor, "bfp8")),
        ("TensorFlow graph", lambda: graph(tensor)),
    ):
        taken = milliseconds(function)
        print(f"{name:20} {taken:7.1f} ms  {taken / own:5.2f} of the kernel")


if __name__ == "__main__":
    main()
