"""`Conversion`: how a real number gets into a format (spec 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.enums import (
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    NegativeZero,
    Rounding,
    SignificandRange,
    SourceSubnormals,
    StepCarry,
    StepOverflow,
    StepUnderflow,
)

_LARGEST_EXPONENT = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStep:
    """One rounding of the source to a narrower float, before blocking (spec 3.4).

    Examples
    --------
    The first step of a machine that cuts float32 to bfloat16:

    >>> SourceStep(fraction_bits=7, rounding=Rounding.TOWARD_ZERO).maximum_exponent
    127
    """

    fraction_bits: int
    """Bits after the leading one: 7 for bfloat16, 10 for float16; 0 to 52."""
    minimum_exponent: int = -126
    """Exponent of the smallest normal number."""
    maximum_exponent: int = 127
    """Exponent of the largest number."""
    rounding: Rounding = Rounding.TIES_TO_EVEN
    """Any mode but stochastic."""
    carry: StepCarry = StepCarry.EXPONENT
    """Whether rounding may carry out of the fraction; SATURATE keeps all ones instead."""
    underflow: StepUnderflow = StepUnderflow.GRADUAL
    """What happens below ``2 ** minimum_exponent``."""
    overflow: StepOverflow = StepOverflow.INFINITY
    """What happens to magnitudes of ``2 ** (maximum_exponent + 1)`` and above, after rounding."""

    def __post_init__(self) -> None:
        """Check every field."""
        put = object.__setattr__
        code = "source-step"
        put(self, "fraction_bits", check.integer(code, "fraction_bits", self.fraction_bits, 0, 52, "3.4"))
        low = check.integer(
            code, "minimum_exponent", self.minimum_exponent, -_LARGEST_EXPONENT, _LARGEST_EXPONENT, "3.4"
        )
        put(self, "minimum_exponent", low)
        put(
            self,
            "maximum_exponent",
            check.integer(code, "maximum_exponent", self.maximum_exponent, low, _LARGEST_EXPONENT, "3.4"),
        )
        put(self, "rounding", check.choice(Rounding, code, "rounding", self.rounding, "3.4"))
        put(self, "carry", check.choice(StepCarry, code, "carry", self.carry, "3.4"))
        put(self, "underflow", check.choice(StepUnderflow, code, "underflow", self.underflow, "3.4"))
        put(self, "overflow", check.choice(StepOverflow, code, "overflow", self.overflow, "3.4"))
        if self.rounding is Rounding.STOCHASTIC:
            raise SpecError(code, "a source step must round deterministically (spec 3.4), got rounding 'stochastic'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How real numbers become codes; the defaults give the seed formats (spec 3).

    Raises
    ------
    SpecError
        ``field-type``, ``random-bits``, ``alignment``, ``exponent-offset``, ``zero-exponent`` or ``source-step``.

    Examples
    --------
    >>> Conversion().exponent_rule
    <ExponentRule.RCEIL: 'rceil'>
    >>> Conversion(rounding="toward_zero").rounding
    <Rounding.TOWARD_ZERO: 'toward_zero'>
    """

    exponent_rule: ExponentRule = ExponentRule.RCEIL
    """How the shared exponent follows from the largest magnitude."""
    zero_exponent: int | None = None
    """The exponent of a block of zeros; None gives it the exponent code 0."""
    exponent_offset: int = 0
    """Added to the exponent that every rule but `given` finds; -1 halves the unit."""
    rounding: Rounding = Rounding.TIES_TO_EVEN
    """How ``x * 2 ** (fraction_bits - exponent)`` becomes an integer."""
    random_bits: int = 32
    """Bits of a random word that stochastic rounding uses, from its least significant end."""
    significand_range: SignificandRange = SignificandRange.FULL
    """Whether the most negative two's-complement significand may be produced."""
    alignment_bits: int | None = None
    """Magnitude bits that survive the shift to the shared exponent, counted from the top
    magnitude bit of an element; None keeps all of them."""
    alignment_rounding: Rounding = Rounding.TOWARD_ZERO
    """How bits below `alignment_bits` go; `to_odd` keeps a sticky bit."""
    ignored_bit: int | None = None
    """Rounding does not see the bit of weight ``2 ** -ignored_bit`` of an element unit; None sees all."""
    post_truncate_bits: int = 0
    """Extra low bits that elements are rounded to and then lose, toward zero."""
    exponent_overflow: ExponentOverflow = ExponentOverflow.SATURATE
    """What happens to a block whose exponent is above every code."""
    nan: NanPolicy = NanPolicy.BLOCK
    """What a NaN becomes; `block` is an error when the format reserves no code."""
    infinity: InfinityPolicy = InfinityPolicy.SATURATE
    """What an infinity becomes; `block` is an error when the format reserves no code."""
    negative_zero: NegativeZero = NegativeZero.DROP
    """Whether a significand of 0 keeps its source's sign, and how."""
    source_subnormals: SourceSubnormals = SourceSubnormals.EXACT
    """How subnormals of the source's own dtype are read."""
    source_chain: tuple[SourceStep, ...] = ()
    """Roundings that come first, in order."""

    def __post_init__(self) -> None:
        """Check every field, and spell choices as enum members."""
        put = object.__setattr__
        for name, kind, clause in (
            ("exponent_rule", ExponentRule, "3.5"),
            ("rounding", Rounding, "3.7"),
            ("significand_range", SignificandRange, "3.8"),
            ("alignment_rounding", Rounding, "3.7"),
            ("exponent_overflow", ExponentOverflow, "3.6"),
            ("nan", NanPolicy, "3.3"),
            ("infinity", InfinityPolicy, "3.3"),
            ("negative_zero", NegativeZero, "3.9"),
            ("source_subnormals", SourceSubnormals, "3.2"),
        ):
            put(self, name, check.choice(kind, "field-type", name, getattr(self, name), clause))
        put(
            self,
            "exponent_offset",
            check.integer("exponent-offset", "exponent_offset", self.exponent_offset, -64, 64, "3.5"),
        )
        put(self, "random_bits", check.integer("random-bits", "random_bits", self.random_bits, 1, 32, "3.7"))
        put(
            self,
            "post_truncate_bits",
            check.integer("alignment", "post_truncate_bits", self.post_truncate_bits, 0, 31, "3.8"),
        )
        if self.zero_exponent is not None:
            exponent = check.integer("zero-exponent", "zero_exponent", self.zero_exponent, -(1 << 17), 1 << 17, "3.5")
            put(self, "zero_exponent", exponent)
        if self.ignored_bit is not None:
            put(self, "ignored_bit", check.integer("alignment", "ignored_bit", self.ignored_bit, 1, 32, "3.7"))
        if self.alignment_bits is not None:
            put(self, "alignment_bits", check.integer("alignment", "alignment_bits", self.alignment_bits, 1, 62, "3.7"))
        if self.alignment_rounding is Rounding.STOCHASTIC:
            raise SpecError("alignment", "alignment_rounding must be deterministic (spec 3.7), got 'stochastic'")
        put(self, "source_chain", _checked_chain(self.source_chain))


def _checked_chain(steps: Any) -> tuple[SourceStep, ...]:
    if not isinstance(steps, tuple | list) or not all(isinstance(step, SourceStep) for step in steps):
        raise SpecError("source-step", f"source_chain must hold SourceStep objects (spec 3.4), got {steps!r}")
    return tuple(steps)
