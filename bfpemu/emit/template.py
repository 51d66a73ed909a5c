"""Readable C with `#if NAME` in it, cut down to the lines that one format needs.

The files in ``bfpemu/emit/c`` are C. Their `#if` lines hold facts about a format, such as
``TWO_LEVEL`` or ``ROUNDING_STOCHASTIC``, and are decided here, before a compiler sees the text:
a header has no code that its format does not use. `#ifdef` and `#ifndef` are left to the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_DIRECTIVE = re.compile(r"#\s*(ifdef|ifndef|if|elif|else|endif)\b\s*(.*)")


def fragment(name: str, facts: Mapping[str, bool], words: Mapping[str, str]) -> str:
    """Return the lines of ``c/NAME.h`` that hold under `facts`, with `words` put in.

    Parameters
    ----------
    name : str
    facts : mapping of str to bool
        Every name that an `#if` may hold.
    words : mapping of str to str
        Start of an identifier -> what stands for it.
    """
    text = files("bfpemu.emit").joinpath("c", f"{name}.h").read_text(encoding="utf-8")
    return replaced(selected(text, facts), words)


def selected(text: str, facts: Mapping[str, bool]) -> str:
    """Return the lines of a text that hold under `facts`.

    Examples
    --------
    >>> lines = ["#if SHORT && !WIDE", "one", "#else", "two", "#endif", ""]
    >>> print(selected(chr(10).join(lines), {"SHORT": True, "WIDE": True}), end="")
    two
    """
    kept: list[str] = []
    frames: list[_Frame] = []
    for line in text.splitlines(keepends=True):
        found = _DIRECTIVE.match(line)
        is_live = all(frame.is_live for frame in frames)
        if found is None:
            if is_live:
                kept.append(line)
            continue
        kind, condition = found[1], found[2].strip()
        if kind in ("ifdef", "ifndef"):
            frames.append(_Frame(is_compilers=True))
        elif kind == "if":
            frames.append(_Frame())
            frames[-1].take(holds(condition, facts))
        frame = frames[-1]
        if frame.is_compilers:
            if is_live:
                kept.append(line)
        elif kind in ("elif", "else"):
            frame.take(kind == "else" or holds(condition, facts))
        if kind == "endif":
            frames.pop()
    assert not frames, "an #if has no #endif"
    return "".join(kept)


class _Frame:
    """An `#if` that is open."""

    def __init__(self, *, is_compilers: bool = False) -> None:
        self.is_compilers = is_compilers
        self.is_live = is_compilers
        self._was_taken = False

    def take(self, condition: bool) -> None:
        """Come to a branch: the first whose condition holds is live."""
        self.is_live = condition and not self._was_taken
        self._was_taken |= condition


def holds(condition: str, facts: Mapping[str, bool]) -> bool:
    """Return whether a condition of names, `!`, `&&` and `||` holds; there are no parentheses.

    Examples
    --------
    >>> holds("A && !B || C", {"A": True, "B": False, "C": False})
    True
    """
    return any(all(_is_true(term.strip(), facts) for term in terms.split("&&")) for terms in condition.split("||"))


def _is_true(term: str, facts: Mapping[str, bool]) -> bool:
    return not facts[term[1:]] if term.startswith("!") else facts[term]


def replaced(text: str, words: Mapping[str, str]) -> str:
    """Return a text with the words of a mapping replaced at the start of identifiers, the longest that fits.

    Examples
    --------
    >>> replaced("bfp_a_load(BFP_BLOCK)", {"bfp_a_": "left_", "bfp_": "mine_", "BFP_": "MINE_"})
    'left_load(MINE_BLOCK)'
    """
    longest_first = sorted(words, key=len, reverse=True)
    anyone = re.compile(r"\b(?:" + "|".join(map(re.escape, longest_first)) + ")")
    return anyone.sub(lambda found: words[found[0]], text)
