"""What bins of codes are looked for in (spec 12.10)."""

from __future__ import annotations

from typing import NamedTuple

from bfpemu.vectors.words import Fields


class CodeFacts(NamedTuple):
    """Codes and their answers."""

    stimulus: Fields
    answer: Fields
