"""Bins of the results of `dot` in a float format (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.vectors.dot_facts import DotFacts
from bfpemu.vectors.dot_stimulus import DotStimulus
from bfpemu.vectors.problem import Problem

RESULT_NAMES = [
    f"result.{name}" for name in ("zero", "subnormal.pos", "subnormal.neg", "normal.pos", "normal.neg", "largest.pos")
] + [f"result.{name}" for name in ("largest.neg", "infinity.pos", "infinity.neg", "nan", "smallest_normal.pos")]


def result_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    """Return a function from facts and a row to the bins of its result."""
    output = problem.output
    point, width = output.fraction_bits, output.exponent_bits + output.fraction_bits
    infinity = ((1 << output.exponent_bits) - 1) << point

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        pattern = facts.results[row].pattern
        sign, magnitude = ("neg" if pattern >> width else "pos"), pattern & ((1 << width) - 1)
        if magnitude == 0:
            yield "result.zero"
        elif magnitude > infinity:
            yield "result.nan"
        elif magnitude == infinity:
            yield f"result.infinity.{sign}"
        else:
            yield f"result.{'subnormal' if magnitude < 1 << point else 'normal'}.{sign}"
            if magnitude == infinity - 1:
                yield f"result.largest.{sign}"
            if magnitude == 1 << point:
                yield f"result.smallest_normal.{sign}"

    return bins


def why_no_result(problem: Problem) -> Callable[[str], str | None]:
    """Return a function from a bin to the reason why no result is such a number, or None."""
    output, stimulus = problem.output, DotStimulus(problem, 0, 1)

    def absent(name: str) -> str | None:
        low, high = stimulus.ends[0], stimulus.ends[1] + (stimulus.most * stimulus.slots).bit_length()
        accumulator = stimulus.unit.accumulator
        if accumulator.kind is AccumulatorKind.FIXED:
            low, high = accumulator.lsb_exponent, accumulator.lsb_exponent + (accumulator.bits or 0) - 1
        if ".neg" in name and not (stimulus.low_a or stimulus.low_b):
            return "nothing is negative"
        if name.startswith("result.subnormal") and output.subnormals == "flush":
            return "the output flushes subnormals"
        if ("subnormal" in name or "smallest" in name) and low > 1 - output.bias:
            return f"no sum lies below 2 ** {low}"
        if ("largest" in name or "infinity" in name) and high <= output.bias:
            return f"no sum lies above 2 ** {high}"
        if "infinity" in name and output.overflow == "saturate":
            return "the output saturates"
        if name == "result.nan" and "nan" not in (
            problem.a_flat.format.exponent_reserved,
            problem.b_flat.format.exponent_reserved,
        ):
            return "no block is NaN"
        return None

    return absent
