"""Where header and segments lie in a `.bfp` file (spec 7.9, 7.10), in exact integers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from bfpemu.errors import BfpFormatError
from bfpemu.storage.header import Entry, Header, Segment
from bfpemu.storage.preamble import PREAMBLE_BYTES, Preamble

ALIGNMENT = 64
"""Every segment starts at a multiple of this. JAX copies planes that do not, and TensorFlow
aborts the process."""


def place(header: Header) -> tuple[Header, int]:
    """Return the header with its canonical offsets, and its length with padding (spec 7.10).

    Offsets are digits in the header and so change its length; the loop ends because every
    round is longer than the one before, and offsets have few digits.
    """
    length = len(header.to_bytes())
    while True:
        placed = _with_offsets(header, PREAMBLE_BYTES + length)
        needed = len(placed.to_bytes())
        if needed <= length:
            return placed, length
        length = needed


def end_of_file(header: Header, header_bytes: int) -> int:
    """Return the length of the canonical file: the end of what lies last."""
    ends = [segment.offset + segment.nbytes for entry in header.tensors for segment in entry.segments]
    return max([PREAMBLE_BYTES + header_bytes, *ends])


def check_ranges(preamble: Preamble, header: Header) -> list[tuple[int, int]]:
    """Check that preamble, header and segments tile the file (spec 7.11, rules 14 and 15).

    Returns
    -------
    list of (start, end)
        The gaps between them, which must hold zeros.

    Raises
    ------
    BfpFormatError
        ``bfp-range``.
    """
    ranges = [
        (0, PREAMBLE_BYTES, "the preamble"),
        (preamble.header_offset, preamble.header_offset + preamble.header_bytes, "the header"),
    ]
    for number, entry in enumerate(header.tensors):
        for segment in entry.segments:
            where = f"tensors[{number}].segments: {segment.role!r} of {entry.name!r}"
            _check_segment(where, segment, preamble.file_bytes)
            if segment.nbytes:
                ranges.append((segment.offset, segment.offset + segment.nbytes, where))
    ranges.sort()
    ranges.append((preamble.file_bytes, preamble.file_bytes, "the end of the file"))
    gaps = []
    for (_, end, before), (start, _, after) in pairwise(ranges):
        if start < end:
            raise BfpFormatError("bfp-range", f"byte {start}: {before} must end where {after} starts, not overlap it")
        largest = 0 if after == "the end of the file" else ALIGNMENT - 1
        if start - end > largest:
            raise BfpFormatError(
                "bfp-range",
                f"byte {end}: at most {largest} bytes that nobody owns may follow {before}, got {start - end}",
            )
        if start > end:
            gaps.append((end, start))
    return gaps


def _with_offsets(header: Header, position: int) -> Header:
    tensors: list[Entry] = []
    for entry in header.tensors:
        segments: list[Segment] = []
        for segment in entry.segments:
            if not segment.nbytes:
                segments.append(replace(segment, offset=0))
                continue
            start = -(-position // ALIGNMENT) * ALIGNMENT
            segments.append(replace(segment, offset=start))
            position = start + segment.nbytes
        tensors.append(replace(entry, segments=tuple(segments)))
    return replace(header, tensors=tuple(tensors))


def _check_segment(where: str, segment: Segment, file_bytes: int) -> None:
    if not segment.nbytes and segment.offset:
        raise BfpFormatError("bfp-range", f"{where}: an empty segment must have offset 0, got {segment.offset}")
    if segment.offset % ALIGNMENT:
        raise BfpFormatError("bfp-range", f"{where}: offset must be a multiple of {ALIGNMENT}, got {segment.offset}")
    if segment.offset + segment.nbytes > file_bytes:
        raise BfpFormatError(
            "bfp-range", f"{where}: {segment.nbytes} bytes at {segment.offset} run past the file's {file_bytes}"
        )
