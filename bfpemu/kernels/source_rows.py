"""The exact numbers of rows of source words (spec 3.1 to 3.4)."""

from __future__ import annotations

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import Source
from bfpemu.kernels.source import Numbers, read_block, take_numbers
from bfpemu.kernels.types import Int64Array, UInt64Array


@kernel
def read_rows(words: UInt64Array, source: Source, steps: Int64Array, out: Numbers) -> None:
    """Read source words of shape (n, elements), source chain included, as `read_block` does."""
    for n in range(words.shape[0]):
        read_block(words[n], source, steps, out.kinds[n], out.negatives[n], out.mantissas[n], out.tops[n])


@kernel
def take_rows(source: Source, steps: Int64Array, numbers: Numbers) -> None:
    """Treat rows of numbers of shape (n, elements), in place, as `take_numbers` does."""
    for n in range(numbers.kinds.shape[0]):
        take_numbers(source, steps, numbers.kinds[n], numbers.negatives[n], numbers.mantissas[n], numbers.tops[n])
