"""What a set is about: unit, formats and elements, and so the fields of its words (spec 12.2, 12.3)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats import (
    BFPSpec,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    Preset,
    ReservedExponent,
    Rounding,
    StepOverflow,
)
from bfpemu.formats.serialise import preset_from_dict, preset_to_dict
from bfpemu.formats.unit import AccumulatorKind, DotProductUnit, FloatFormat
from bfpemu.formats.unit_serialise import unit_from_dict, unit_to_dict
from bfpemu.reference.group import group_size
from bfpemu.sources import FLOATS, KINDS, SourceKind
from bfpemu.vectors.layouts import expected_layout, stimulus_layout, value_text
from bfpemu.vectors.words import WordLayout

UNITS = ("encode", "decode", "dot", "add", "multiply", "requantize")
_MOST_BITS = 1 << 20


@dataclass(frozen=True)
class Problem:
    """A unit with everything that its numbers depend on.

    Raises
    ------
    SpecError
        ``set-unit``, if the formats cannot be used with the unit.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("encode", resolve("bfp8"))
    >>> problem.elements, problem.stimulus.bits, problem.expected.bits
    (32, 1024, 264)
    """

    unit: str
    """One of `UNITS`."""
    format: Preset
    """Of the result of `encode`, of the codes of `decode`, of the first operand of the others."""
    b: Preset | None = None
    """Of the second operand; that of the first unless given."""
    result: Preset | None = None
    """Of the result of `add`, `multiply` and `requantize`; that of the first operand unless given."""
    dot_unit: DotProductUnit | None = None
    dtype: str = "float32"
    """The float that is encoded, or decoded to."""
    elements: int = 0
    """Elements of a vector; 0 takes what the formats ask for."""
    shows_accumulator: bool = False
    """Whether the words of `dot` show the accumulator too (spec 12.4)."""
    results: int = 0
    """Rows `b`, and so results, of a vector of `dot` with an output in blocks; 0 takes a block of the output."""

    def __post_init__(self) -> None:
        """Fill in what follows from the rest, and check that all fits."""
        put = object.__setattr__
        if self.unit not in UNITS:
            raise SpecError("set-unit", f"unit must be one of {', '.join(UNITS)} (spec 12.2), got {self.unit!r}")
        if self.unit in ("add", "multiply", "dot"):
            put(self, "b", self.b or self.format)
        elif self.b is not None:
            raise SpecError("set-unit", f"{self.unit} must have one operand (spec 12.2), got a second format")
        if self.unit in ("add", "multiply", "requantize"):
            put(self, "result", self.result or self.format)
        elif self.result is not None:
            raise SpecError("set-unit", f"{self.unit} must have no format of a result (spec 12.2), got one")
        if (self.dot_unit is not None) != (self.unit == "dot"):
            raise SpecError("set-unit", "a dot-product unit must go with 'dot' and only with it (spec 12.2)")
        if self.dtype not in FLOATS:
            raise SpecError("set-unit", f"the float must be {', '.join(FLOATS)} (spec 12.2), got {self.dtype!r}")
        put(self, "elements", self._checked_elements(self.elements))
        put(self, "results", self._checked_results(self.results))
        self._check_conversion()
        self._check_accumulator()
        for layout in (self.stimulus, self.expected):
            if layout.bits > _MOST_BITS:
                raise SpecError(
                    "set-unit", f"a word must have at most {_MOST_BITS} bits (spec 12.3), got {layout.bits}"
                )

    def _checked_elements(self, elements: int) -> int:
        sizes = [preset.format.elements_per_block for preset in (self.format, self.b, self.result) if preset]
        counts = [size for size in sizes if size is not None]
        if not elements:
            if len(counts) < len(sizes):
                raise SpecError(
                    "set-unit", "elements must be stated for a format with one block over the whole tensor (spec 12.2)"
                )
            elements = 4 * max(counts) if self.unit == "dot" else math.lcm(*counts)
        if not 1 <= elements <= 1 << 16:
            raise SpecError("set-unit", f"elements must be 1 to 65536 (spec 12.2), got {elements}")
        if self.unit in ("encode", "decode") and any(count != elements for count in counts):
            raise SpecError(
                "set-unit", f"{self.unit} must have one block a vector (spec 12.2), got {elements} elements"
            )
        return elements

    def _check_conversion(self) -> None:
        """Refuse what no bench can be made for (spec 12.2)."""
        target = self.result or self.block_output
        if target is None:
            return
        makes_infinity = any(step.overflow is StepOverflow.INFINITY for step in target.conversion.source_chain)
        if makes_infinity and self.refuses_infinity:
            raise SpecError(
                "set-unit",
                f"the result of {self.unit} must take the infinities of its source chain (spec 12.2), and refuses them",
            )
        if target.conversion.exponent_overflow is ExponentOverflow.ERROR:
            raise SpecError(
                "set-unit",
                f"the result of {self.unit} must have an exponent for every sum and product (spec 12.2), got "
                "exponent_overflow 'error'",
            )

    def _check_accumulator(self) -> None:
        """Refuse groups that do not fit, and accumulators without a register (spec 6.3, 12.4)."""
        unit = self.dot_unit
        size = group_size(self.a_flat.format, self.b_flat.format, unit, self.elements) if unit else 0
        if not self.shows_accumulator:
            return
        if unit is None or unit.accumulator.kind is AccumulatorKind.EXACT:
            raise SpecError("set-unit", "only 'dot' with an accumulator that is not exact has a register (spec 12.4)")
        is_exact = unit.accumulator.kind is AccumulatorKind.ALIGNED or unit.accumulator.fused
        if unit.pairwise and is_exact and self.elements <= size:
            raise SpecError("set-unit", "a group sum that nothing is added to is in no register (spec 6.7, 12.4)")

    def _checked_results(self, results: int) -> int:
        """Return how many results make a block of the output, 0 where they are floats (spec 12.2)."""
        output = self.block_output
        if output is None:
            if results:
                raise SpecError(
                    "set-unit", f"results must be of a unit with an output in blocks (spec 12.2), got {results}"
                )
            return 0
        size = output.format.elements_per_block
        if size is None and not 1 <= results <= 1 << 16:
            raise SpecError(
                "set-unit",
                f"results must be stated, 1 to 65536, for an output with one block for all (spec 12.2), got {results}",
            )
        if size is not None and results not in (0, size):
            raise SpecError("set-unit", f"a vector must have the {size} results of a block (spec 12.2), got {results}")
        return size or results

    @property
    def block_output(self) -> Preset | None:
        """What the results of a dot-product unit are encoded in, where that is a block (spec 6.8)."""
        output = None if self.dot_unit is None else self.dot_unit.output
        return output if isinstance(output, Preset) else None

    @property
    def float_output(self) -> FloatFormat | None:
        """The float format of a dot-product unit's results, where they have one."""
        output = None if self.dot_unit is None else self.dot_unit.output
        return output if isinstance(output, FloatFormat) else None

    @property
    def output(self) -> FloatFormat:
        """The float format of results that have one."""
        assert self.float_output is not None
        return self.float_output

    # ---------------------------------------------------------------------------- flat formats

    @cached_property
    def a_flat(self) -> Preset:
        """The first format with its block along one axis."""
        return _flat(self.format, self.elements)

    @cached_property
    def b_flat(self) -> Preset:
        """The second format with its block along one axis."""
        assert self.b is not None
        return _flat(self.b, self.elements)

    @cached_property
    def target(self) -> Preset:
        """What results are encoded in."""
        if self.block_output is not None:
            return _flat(self.block_output, self.results)
        return _flat(self.result or self.format, self.elements)

    @property
    def kind(self) -> SourceKind:
        """The float that is encoded, or decoded to."""
        return KINDS[self.dtype]

    @property
    def source_kind(self) -> SourceKind:
        """The float whose NaN and infinities the conversion reads (spec 6.12)."""
        return self.kind if self.unit == "encode" else KINDS["float32"]

    def blocks(self, preset: Preset) -> int:
        """Return the blocks of a vector in a format."""
        size = preset.format.block_size
        assert isinstance(size, int)
        return -(-self.elements // size)

    @property
    def result_blocks(self) -> int:
        """Blocks of a vector of results; those of dot products make one."""
        return 1 if self.results else self.blocks(self.target)

    @property
    def needs_random_words(self) -> bool:
        """Whether the conversion takes a random word for each element."""
        return self._encodes and self.target.conversion.rounding is Rounding.STOCHASTIC

    @property
    def needs_exponents(self) -> bool:
        """Whether the conversion takes exponents."""
        return self._encodes and self.target.conversion.exponent_rule is ExponentRule.GIVEN

    @property
    def _encodes(self) -> bool:
        return self.unit not in ("decode", "dot") or self.block_output is not None

    @property
    def refuses_nan(self) -> bool:
        """Whether encoding refuses every NaN (spec 3.3)."""
        conversion, spec = self.target.conversion, self.target.format
        reserved = spec.exponent_reserved
        return self._encodes and (
            conversion.nan is NanPolicy.ERROR
            or (conversion.nan is NanPolicy.BLOCK and reserved is not ReservedExponent.NAN)
            or (self.refuses_only_nan and self.target.format.elements_per_block == 1)
            or (conversion.nan is NanPolicy.INFINITY and self.refuses_infinity)
        )

    @property
    def refuses_only_nan(self) -> bool:
        """Whether encoding refuses a block that has nothing but NaN (spec 3.3)."""
        is_zero = self.target.conversion.nan is NanPolicy.ZERO_UNLESS_ALL
        return self._encodes and is_zero and self.target.format.exponent_reserved is ReservedExponent.NONE

    @property
    def may_refuse(self) -> bool:
        """Whether there is anything that encoding refuses (spec 3.3, 3.6)."""
        is_error = self._encodes and self.target.conversion.exponent_overflow is ExponentOverflow.ERROR
        return is_error or self.refuses_nan or self.refuses_only_nan or self.refuses_infinity

    @property
    def refuses_infinity(self) -> bool:
        """Whether encoding refuses an infinity (spec 3.3)."""
        conversion, spec = self.target.conversion, self.target.format
        return self._encodes and (
            conversion.infinity is InfinityPolicy.ERROR
            or (conversion.infinity is InfinityPolicy.BLOCK and spec.exponent_reserved is not ReservedExponent.NAN)
        )

    # ----------------------------------------------------------------------------------- words

    @cached_property
    def stimulus(self) -> WordLayout:
        """The fields of a stimulus word (spec 12.3)."""
        return stimulus_layout(self)

    @cached_property
    def expected(self) -> WordLayout:
        """The fields of an expected word (spec 12.3, 12.4)."""
        return expected_layout(self)

    # -------------------------------------------------------------------------------- manifest

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of the manifest that say what the set is about (spec 12.7)."""
        presets = {"format": self.format, "b": self.b, "result": self.result}
        found: dict[str, Any] = {
            "unit": self.unit,
            "formats": {name: preset_to_dict(preset) for name, preset in presets.items() if preset is not None},
            "dtype": self.dtype,
            "elements": self.elements,
            "shows_accumulator": self.shows_accumulator,
            "stimulus": self.stimulus.to_dict(),
            "expected": self.expected.to_dict(),
            "value": value_text(self.target.format if self._encodes else self.a_flat.format),
        }
        found |= {} if self.dot_unit is None else {"dot_unit": unit_to_dict(self.dot_unit)}
        return found | ({"results": self.results} if self.results else {})

    @classmethod
    def from_dict(cls, manifest: dict[str, Any]) -> Problem:
        """Return the problem that a manifest describes; raises SpecError as the parts do."""
        formats = {name: preset_from_dict(entry) for name, entry in manifest["formats"].items()}
        return cls(
            manifest["unit"],
            formats["format"],
            formats.get("b"),
            formats.get("result"),
            unit_from_dict(manifest["dot_unit"]) if "dot_unit" in manifest else None,
            manifest["dtype"],
            manifest["elements"],
            manifest["shows_accumulator"],
            manifest.get("results", 0),
        )


def _flat(preset: Preset, elements: int) -> Preset:
    """Return a preset for tensors of one row: a block over several axes counts by its elements (spec 12.2)."""
    size = preset.format.elements_per_block
    spec: BFPSpec = dataclasses.replace(preset.format, block_size=elements if size is None else size)
    return Preset(spec, preset.conversion)
