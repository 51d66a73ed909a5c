"""What a format does to data: sizes, error energies and counts, which add up over tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bfpemu.counts import encode_counts
from bfpemu.formats import Preset
from bfpemu.packing import plane_sizes
from bfpemu.tensor import BFPTensor

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Counts and energies of one format over some tensors; ``+`` puts two together."""

    elements: int = 0
    source_bytes: int = 0
    packed_bytes: int = 0
    """Of the planes in a `.bfp` file (spec 7.8)."""
    saturated: int = 0
    flushed: int = 0
    lost: int = 0
    """Finite elements whose result is not finite; no energy counts them."""
    compared: int = 0
    """Finite elements whose result is finite."""
    signal: Fraction = Fraction(0)
    """Sum of squares of the source."""
    noise: Fraction = Fraction(0)
    """Sum of squares of source minus result."""
    largest_error: float = 0.0

    def __add__(self, other: Measures) -> Measures:
        """Return the measures over the tensors of both."""
        return Measures(
            elements=self.elements + other.elements,
            source_bytes=self.source_bytes + other.source_bytes,
            packed_bytes=self.packed_bytes + other.packed_bytes,
            saturated=self.saturated + other.saturated,
            flushed=self.flushed + other.flushed,
            lost=self.lost + other.lost,
            compared=self.compared + other.compared,
            signal=self.signal + other.signal,
            noise=self.noise + other.noise,
            largest_error=max(self.largest_error, other.largest_error),
        )

    @property
    def is_exact(self) -> bool:
        """Whether every finite element came back as it was."""
        return not self.noise and not self.lost

    @property
    def is_measured(self) -> bool:
        """Whether errors say anything: not when every finite element was lost."""
        return self.compared > 0 or not self.lost

    @property
    def sqnr_db(self) -> float:
        """Ratio of signal to noise in decibels; infinite when there is no noise, as for a signal of zeros."""
        if not self.noise:
            return math.inf
        ratio = self.signal / self.noise  # exact: two logarithms of large numbers would cancel
        return 10 * (math.log10(ratio.numerator) - math.log10(ratio.denominator))


def measure(data: NDArray[Any], preset: Preset, axis: int | None) -> Measures:
    """Encode `data`, decode it into float64, and measure the difference.

    The energies are sums in float64 over chunks, scaled by powers of two so that none
    overflows or vanishes, and added up exactly. An error is 0 only if the element came back as
    it was, 64-bit integers too.
    """
    tensor = BFPTensor(data, preset, axis=axis)
    counts = encode_counts(data, preset, axis)
    total = Measures(
        elements=data.size,
        source_bytes=data.nbytes,
        packed_bytes=sum(plane_sizes(tensor.format, tensor.shape, tensor.axis)),
        saturated=counts.saturated,
        flushed=counts.flushed,
    )
    source, result = data.reshape(-1), tensor.dequantize(np.float64).reshape(-1)
    for start in range(0, data.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        total += _errors(source[chunk], result[chunk])
    return total


def swallowed(data: NDArray[Any], tensor: BFPTensor) -> int:
    """Return how many finite elements of `data` are in NaN blocks of `tensor`, which was made from it."""
    code = tensor.format.nan_code
    if code is None or not np.any(tensor.exponent_codes == code):
        return 0
    return int(np.count_nonzero(np.isfinite(data) & np.isnan(tensor.dequantize(np.float32))))


def _errors(source: NDArray[Any], result: NDArray[np.float64]) -> Measures:
    is_usable = np.isfinite(source) & np.isfinite(result)
    head, tail = _split(source[is_usable])
    signal = head + tail
    # Results have at most 32 significant bits. So the difference to the head is 0, or at least as
    # exact as the tail is coarse: the sum is 0 only for equal numbers.
    noise = (head - result[is_usable]) + tail
    return Measures(
        lost=int(np.count_nonzero(np.isfinite(source) & ~is_usable)),
        compared=signal.size,
        signal=_energy(signal),
        noise=_energy(noise),
        largest_error=float(np.max(np.abs(noise), initial=0.0)),
    )


def _split(source: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64] | float]:
    """Return two floats, or one and 0, whose exact sum is each number; only 64-bit integers need two."""
    if source.dtype.kind == "f" or source.dtype.itemsize < 8:
        return source.astype(np.float64), 0.0
    low = source & source.dtype.type((1 << 11) - 1)
    return (source - low).astype(np.float64), low.astype(np.float64)


def _energy(values: NDArray[np.float64]) -> Fraction:
    _, exponent = math.frexp(float(np.max(np.abs(values), initial=0.0)))
    scaled = np.ldexp(values, -exponent)
    return Fraction(float(np.sum(scaled * scaled))) * Fraction(2) ** (2 * exponent)
