"""What a width analysis found: a histogram for every stage, and the accumulator that would do (spec 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bfpemu.arithmetic.bounds import Bound

_COLUMNS = ("stage", "of each", "median", "99 %", "largest", "stated", "above", "worst case")


@dataclass(frozen=True, slots=True)
class Stage:
    """The bits that one stage of a unit needs."""

    counted: str
    """What every count of the histogram is: a ``product``, a ``group`` or an ``output``."""
    meaning: str
    histogram: Mapping[int, int]
    """Bits -> how many of them need exactly so many, in the order of the bits."""
    stated_bits: int | None
    """What the unit has; None when it states no width, or one that is no limit."""
    bound: Bound
    """What no data of these formats can exceed."""

    @property
    def count(self) -> int:
        """All that were counted."""
        return sum(self.histogram.values())

    @property
    def largest(self) -> int | None:
        """The most bits that any needs; None when nothing was counted."""
        return max(self.histogram, default=None)

    @property
    def share_above(self) -> float | None:
        """The share that needs more than the unit's stated width; None without one."""
        if self.stated_bits is None:
            return None
        above = sum(count for bits, count in self.histogram.items() if bits > self.stated_bits)
        return above / max(self.count, 1)

    def quantile(self, percent: int) -> int | None:
        """Return the bits that are enough for `percent` of 100; None when nothing was counted."""
        seen = 0
        for bits, count in self.histogram.items():
            seen += count
            if 100 * seen >= percent * self.count:
                return bits
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the keys of the histogram are numbers in text, as in JSON."""
        return {
            "counted": self.counted,
            "meaning": self.meaning,
            "histogram": {str(bits): count for bits, count in self.histogram.items()},
            "count": self.count,
            "largest": self.largest,
            "stated_bits": self.stated_bits,
            "share_above": self.share_above,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthReport:
    """The bits that each stage of a unit needs for the product of two tensors (spec 6).

    Bits of a number ``n`` are those of two's complement: the smallest ``w`` with
    ``-2**(w-1) <= n <= 2**(w-1) - 1``. So 0 and -1 need 1, 127 and -128 need 8, and 128 needs 9.
    """

    unit: str
    a_format: str
    b_format: str
    shape: tuple[int, int, int]
    """Rows of a, length of the sums, columns of b, of the whole product: ``M, K, N``."""
    outputs: int
    """Results that were looked at."""
    nan_outputs: int
    """Results that are NaN; no stage counts them."""
    group_size: int
    stages: Mapping[str, Stage]
    """`product`, `partial_sum`, `group_sum`, `exponent_spread`, `accumulator`, `aligned` and `alignment`."""
    window_lsb_exponent: int
    window_bits: int
    """The smallest `fixed` accumulator that neither overflows nor drops a bit on this data (spec 6.6)."""

    @property
    def worst_case(self) -> dict[str, Bound]:
        """The bounds of all stages from the formats alone."""
        return {name: stage.bound for name, stage in self.stages.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, texts and dictionaries, ready for JSON."""
        return {
            "unit": self.unit,
            "a_format": self.a_format,
            "b_format": self.b_format,
            "shape": list(self.shape),
            "outputs": self.outputs,
            "nan_outputs": self.nan_outputs,
            "group_size": self.group_size,
            "stages": {name: stage.to_dict() for name, stage in self.stages.items()},
            "window_lsb_exponent": self.window_lsb_exponent,
            "window_bits": self.window_bits,
            "worst_case": {
                name: {"bits": bound.bits, "formula": bound.formula} for name, bound in self.worst_case.items()
            },
        }

    def table(self) -> str:
        """Return one line for each stage, with the meaning of the stages and the smallest accumulator below."""
        rows = [_COLUMNS, *(_row(name, stage) for name, stage in self.stages.items())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        lines = [
            "  ".join(
                text.ljust(width) if column < 2 else text.rjust(width) for column, (text, width) in enumerate(row)
            )
            for row in ([*zip(row, widths, strict=True)] for row in rows)
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        lines += ["", *(f"{name.ljust(widths[0])}  {stage.meaning}" for name, stage in self.stages.items())]
        lines += ["", f"worst case, for {self.shape[1]} elements in groups of {self.group_size}:"]
        lines += [f"{name.ljust(widths[0])}  {bound.formula} = {bound.bits}" for name, bound in self.worst_case.items()]
        return "\n".join([*lines, "", self.window_text()])

    def window_text(self) -> str:
        """Return a sentence on the smallest accumulator, and one on results that are NaN."""
        text = (
            "The smallest fixed accumulator that neither overflows nor drops a bit on this data has "
            f"bits={self.window_bits}, lsb_exponent={self.window_lsb_exponent} (spec 6.6)."
        )
        return text + (f" {self.nan_outputs:,} results are NaN and not counted." if self.nan_outputs else "")

    def histograms(self) -> str:
        """Return the shares of every stage in percent, one line for each number of bits."""
        names = list(self.stages)
        every = sorted({bits for stage in self.stages.values() for bits in stage.histogram})
        lines = ["bits  " + "  ".join(names)]
        for bits in every:
            shares = (_percent(stage.histogram.get(bits, 0), stage.count) for stage in self.stages.values())
            cells = (share.rjust(len(name)) for share, name in zip(shares, names, strict=True))
            lines.append(f"{bits:4}  " + "  ".join(cells).rstrip())
        return "\n".join(lines)


def _row(name: str, stage: Stage) -> tuple[str, ...]:
    share = stage.share_above
    return (
        name,
        stage.counted,
        _number(stage.quantile(50)),
        _number(stage.quantile(99)),
        _number(stage.largest),
        _number(stage.stated_bits),
        "" if share is None else f"{100 * share:.3g} %",
        str(stage.bound.bits),
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _percent(count: int, total: int) -> str:
    if not count:
        return ""
    share = 100 * count / total
    return "< 0.01" if share < 0.01 else f"{share:.2f}"
