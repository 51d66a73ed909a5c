"""Where header and segments lie in a `.bfp` file (spec 7.9, 7.10), in exact integers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from bfpemu.errors import BfpFormatError
from bfpemu.storage.geometry import ALIGNMENT
from bfpemu.storage.header import Entry, Header, Segment
from bfpemu.storage.preamble import PREAMBLE_BYTES, Preamble


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
    ranges = [(0, PREAMBLE_BYTES, -2, 0)]
    ranges.append((preamble.header_offset, preamble.header_offset + preamble.header_bytes, -1, 0))
    for number, entry in enumerate(header.tensors):
        for position, segment in enumerate(entry.segments):
            end = segment.offset + segment.nbytes
            if segment.offset % ALIGNMENT or end > preamble.file_bytes or (segment.offset and not segment.nbytes):
                raise _misplaced(_owner(header, number, position), segment, preamble.file_bytes)
            if segment.nbytes:
                ranges.append((segment.offset, end, number, position))
    ranges.sort()
    gaps = []
    for (_, end, *before), (start, _, *after) in pairwise(ranges):
        if start < end:
            owners = f"{_owner(header, *before)} must end where {_owner(header, *after)} starts"
            raise BfpFormatError("bfp-range", f"byte {start}: {owners}, not overlap it")
        if start - end >= ALIGNMENT:
            raise _unowned(end, ALIGNMENT - 1, _owner(header, *before), start - end)
        if start > end:
            gaps.append((end, start))
    _, end, *last = ranges[-1]
    if end != preamble.file_bytes:
        raise _unowned(end, 0, _owner(header, *last), preamble.file_bytes - end)
    return gaps


def _owner(header: Header, number: int, position: int) -> str:
    """Return the words for what lies in a range."""
    if number < 0:
        return "the preamble" if number == -2 else "the header"
    entry = header.tensors[number]
    return f"tensors[{number}].segments: {entry.segments[position].role!r} of {entry.name!r}"


def _unowned(place: int, most: int, owner: str, count: int) -> BfpFormatError:
    rule = f"at most {most} bytes that nobody owns may follow {owner}"
    return BfpFormatError("bfp-range", f"byte {place}: {rule}, got {count}")


def _misplaced(where: str, segment: Segment, file_bytes: int) -> BfpFormatError:
    if not segment.nbytes and segment.offset:
        rule = f"an empty segment must have offset 0, got {segment.offset}"
    elif segment.offset % ALIGNMENT:
        rule = f"offset must be a multiple of {ALIGNMENT}, got {segment.offset}"
    else:
        rule = f"{segment.nbytes} bytes at {segment.offset} run past the file's {file_bytes}"
    return BfpFormatError("bfp-range", f"{where}: {rule}")


def _with_offsets(header: Header, position: int) -> Header:
    tensors: list[Entry] = []
    for entry in header.tensors:
        segments: list[Segment] = []
        for segment in entry.segments:
            if not segment.nbytes:
                segments.append(segment._replace(offset=0))
                continue
            start = -(-position // ALIGNMENT) * ALIGNMENT
            segments.append(segment._replace(offset=start))
            position = start + segment.nbytes
        tensors.append(entry._replace(segments=tuple(segments)))
    return replace(header, tensors=tuple(tensors))
