"""What a device gave, read in the spellings that benches write (spec 12.12)."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bfpemu.errors import BfpFileError, BfpFormatError
from bfpemu.vectors.verify.output_items import csv_words, json_words
from bfpemu.vectors.words import INVALID, NIBBLES, Bytes, WordLayout

_PIECE = 1 << 22
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LONGEST_HEAD = 1 << 16
_LONGEST_LINE = 1 << 28
_MARKS = b"0123456789abcdefABCDEFxXzZ?"
_COMMENT = re.compile(r"//|/\*|#")
_ADDRESS = re.compile(r"@[0-9a-fA-F_]*[0-9a-fA-F][0-9a-fA-F_]*", re.ASCII)
_NO_DIGIT = re.compile(rb"^_+$", re.MULTILINE)
_LOWER = bytes.maketrans(b"ABCDEFXzZ?", b"abcdefxxxx")
"""Digits in lower case, and ``x`` for what is not known."""


def read_results(files: Sequence[str], layout: WordLayout) -> Iterator[Bytes]:
    """Yield the words of files that follow each other; ``-`` is standard input.

    Yields
    ------
    uint8 array, shape (rows, digits)
        ASCII: lower-case digits, ``x`` where the device gave x or z.

    Raises
    ------
    BfpFileError
        ``input-missing``.
    BfpFormatError
        ``device-output``.
    """
    for name in files:
        try:
            if name == "-":
                yield from _read(_standard_input(), "standard input", layout)
                continue
            with Path(name).open("rb") as file:
                yield from _read(file, repr(name), layout)
        except BfpFileError:
            raise
        except OSError as error:
            raise BfpFileError("input-missing", f"output file {name!r} cannot be read: {error.strerror}") from error


def _standard_input() -> BinaryIO:
    if sys.stdin is None:  # which is how Python says that a process has none
        raise BfpFileError("input-missing", "standard input must be open to be read as '-', and is closed")
    return sys.stdin.buffer


def _read(file: BinaryIO, where: str, layout: WordLayout) -> Iterator[Bytes]:
    reader = _HexReader(where, layout)
    rest, is_first = b"", True
    while True:
        data = file.read(_PIECE)
        if is_first:
            if data.startswith(_UTF16):
                raise BfpFormatError("device-output", f"{where} must be ASCII or UTF-8 (spec 12.12), got UTF-16")
            data = data.removeprefix(_UTF8_MARK)
            kind = _kind(data)
            is_first = False
            if kind != "hex":
                whole = io.BufferedReader(_Joined(data, file))
                text = io.TextIOWrapper(whole, encoding="utf-8", errors="replace", newline="")
                yield from (csv_words if kind == "csv" else json_words)(text, where, layout)
                return
        if not data:
            if rest:
                yield reader.words(rest + b"\n")
            reader.finish()
            return
        data = rest + data
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            yield reader.words(data[:end])
        if len(rest) > _LONGEST_LINE:
            raise BfpFormatError(
                "device-output",
                f"a line must have at most {_LONGEST_LINE:,} characters (spec 12.12), and {where} has a longer one",
            )


class _Joined(io.RawIOBase):
    """What was read of a file already, and then the rest of it, piece by piece."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head, self._file = io.BytesIO(head), file

    def readable(self) -> bool:
        """Whether it can be read, which it can."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes into a buffer and return how many."""
        data = self._head.read(len(buffer)) or self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _kind(data: bytes) -> str:
    head = data.lstrip()[:4096]
    if head.startswith(b"{"):
        return "json"
    first = head.split(b"\n", 1)[0]
    return "csv" if b"," in first and first.isascii() and not first.startswith((b"//", b"#")) else "hex"


class _HexReader:
    """Lines of hexadecimal digits."""

    def __init__(self, where: str, layout: WordLayout) -> None:
        self.where, self.digits, self.bits = where, layout.digits, layout.bits
        self.lines, self.found = 0, 0
        self.in_comment = False

    def words(self, data: bytes) -> Bytes:
        """Return the words of whole lines."""
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        parted = b"_" in data and b"/" not in data and not _NO_DIGIT.search(data)
        found = self._quickly(data.replace(b"_", b"") if parted else data)
        return self._result(self._slowly(data) if found is None else found)

    def _quickly(self, data: bytes) -> Bytes | None:
        """Return words that are lines of their digits and nothing else, or None where there is anything else."""
        # Comments and an address stand at the head of most files, and nothing but words after them.
        width, head = self.digits + 1, 0
        while data[head : head + 1] in (b"/", b"@", b"#", b"\n") and head < _LONGEST_HEAD:
            head = data.find(b"\n", head) + 1
        rest = data[head:]
        if len(rest) % width or self.in_comment or b"/*" in data[:head]:
            return None
        rows = np.frombuffer(rest, np.uint8).reshape(-1, width)
        if not (rows[:, -1] == ord("\n")).all() or not _are_digits(rest.replace(b"\n", b""), self.digits * len(rows)):
            return None
        found = self._slowly(data[:head]) if head else rows[:0, :-1]
        self.lines += len(rows)
        return np.concatenate([found, rows[:, :-1]]) if head else rows[:, :-1]

    def finish(self) -> None:
        """Say when a comment has no end."""
        if self.in_comment:
            raise BfpFormatError("device-output", f"a comment of {self.where} must end with */ (spec 12.12)")

    def _result(self, rows: Bytes) -> Bytes:
        self.found += len(rows)
        text = rows.tobytes().translate(_LOWER)
        lower = np.frombuffer(text, np.uint8).reshape(rows.shape)
        spare = 4 * self.digits - self.bits
        if spare and len(rows):
            top = NIBBLES[lower[:, 0]]
            over = (top != INVALID) & (top >> np.uint8(4 - spare) != 0)
            if over.any():
                raise BfpFormatError(
                    "device-output",
                    f"a word must have {self.bits} bits (spec 12.12), and result "
                    f"{self.found - len(rows) + int(over.argmax())} of {self.where} has more",
                )
        return lower

    def _slowly(self, data: bytes) -> Bytes:
        found: list[str] = []
        for line in data.decode("ascii", "replace").split("\n")[:-1]:
            self.lines += 1
            text = self._without_comments(line).strip()
            if not text:
                continue
            for word in text.split():
                if word.startswith("@"):
                    self._check_address(word, self.found + len(found))
                    continue
                found.append(self._checked(word))
        return np.frombuffer("".join(found).encode(), np.uint8).reshape(-1, self.digits)

    def _without_comments(self, line: str) -> str:
        if self.in_comment:
            _, end, line = line.partition("*/")
            if not end:
                return ""
            self.in_comment = False
        while (mark := _COMMENT.search(line)) is not None:
            if mark[0] != "/*":
                return line[: mark.start()]
            before, after = line[: mark.start()], line[mark.end() :]
            _, end, rest = after.partition("*/")
            if not end:
                self.in_comment = True
                return before
            line = f"{before} {rest}"
        return line

    def _check_address(self, word: str, expected: int) -> None:
        if not _ADDRESS.fullmatch(word) or int(word[1:].replace("_", ""), 16) != expected:
            raise BfpFormatError(
                "device-output",
                f"an address must be that of the next word, @{expected:x} (spec 12.12), got {word!r} in line "
                f"{self.lines} of {self.where}",
            )

    def _checked(self, word: str) -> str:
        text = word.replace("_", "")
        if text[:2] in ("0x", "0X"):
            text = text[2:]
        if not _are_digits(text.encode("utf-8"), len(text)):
            raise BfpFormatError(
                "device-output",
                f"a word must be hexadecimal digits, x or z (spec 12.12), got {word[:40]!r} in line {self.lines} "
                f"of {self.where}",
            )
        if len(text) != self.digits:
            raise BfpFormatError(
                "device-output",
                f"a word must have {self.digits} digits for {self.bits} bits (spec 12.12), got {len(text)} in line "
                f"{self.lines} of {self.where}{self._advice(text)}",
            )
        return text

    def _advice(self, text: str) -> str:
        """Return what to do about a word of another length, where there is one thing to do."""
        if len(text) < self.digits:
            return "; print all digits, as %h does and %0h does not"
        if len(text) == self.bits and not text.translate(dict.fromkeys(map(ord, "01xXzZ"))):
            return "; print hexadecimal digits, as %h does and %b does not"
        return ""


def _are_digits(text: bytes, count: int) -> bool:
    """Whether a text is so many digits and nothing else."""
    return len(text) == count and not text.translate(None, _MARKS)
