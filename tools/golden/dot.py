"""What a case of a dot product is, and how its operands are made from significands (spec 8.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec, Encoding, Preset
from bfpemu.formats.serialise import to_dict
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.formats.unit_serialise import unit_to_dict
from bfpemu.reference.dot import accumulated, dot_rows
from bfpemu.reference.group import Row
from bfpemu.reference.output import encoded
from golden.case import json_text
from golden.patterns import hex_words

Significand: TypeAlias = int | str
"""A significand, or "-0" for the sign-magnitude code of that name."""


class Block(NamedTuple):
    """One block of an operand."""

    exponent: int | None
    """None is the exponent code of all ones."""
    significands: Sequence[Significand]
    shifts: Sequence[int] = ()


class Pair(NamedTuple):
    """The elements of one group: ``sum(x * y) * 2 ** k``; y is all ones unless given."""

    k: int
    xs: Sequence[int]
    ys: Sequence[int] | None = None


@dataclass(frozen=True)
class Dot:
    """Two rows to multiply."""

    name: str
    a: Row
    b: Row

    def record(self, unit: DotProductUnit) -> dict[str, Any]:
        """Return the codes of both rows, and the result with its flags."""
        assert isinstance(unit.output, FloatFormat)
        result = dot_rows(self.a, self.b, unit)
        width = 1 + unit.output.exponent_bits + unit.output.fraction_bits
        operands = {"name": self.name, "a": _spelled(self.a), "b": _spelled(self.b)}
        return operands | {"output": hex_words([result.pattern], width), "flags": result.flags}

    @property
    def rows(self) -> list[Row]:
        """Both rows."""
        return [self.a, self.b]


@dataclass(frozen=True)
class Products:
    """One row to multiply with several, for an output in block floating point."""

    name: str
    a: Row
    b: Sequence[Row]

    def record(self, unit: DotProductUnit) -> dict[str, Any]:
        """Return the codes of all rows, and those of the results with their flags, or the code of an error."""
        assert isinstance(unit.output, Preset)
        found = {"name": self.name, "a": _spelled(self.a), "b": [_spelled(row) for row in self.b]}
        sums = [accumulated(self.a, row, unit) for row in self.b]
        try:
            tensor, raised = encoded([total.value for total in sums], [len(sums)], unit)
        except DataError as error:
            return found | {"error": error.code}
        spec = unit.output.format
        codes = {"exponent_codes": hex_words(tensor.exponent_codes, spec.exponent_bits)}
        if spec.sub_shift_bits:
            codes["shift_codes"] = hex_words(tensor.shift_codes, spec.sub_shift_bits)
        codes["element_codes"] = hex_words(tensor.element_codes, spec.mantissa_bits)
        return found | codes | {"flags": [int(total.flags | more) for total, more in zip(sums, raised, strict=True)]}

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [self.a, *self.b]


DotFile = tuple[DotProductUnit, Sequence[Dot | Products]]
"""A unit, named as its file, and the cases for it."""


def dot_text(unit: DotProductUnit, cases: Sequence[Dot | Products]) -> str:
    """Return the text of one file of dot products (spec 8.10)."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), (unit.name, sorted(names))
    formats: dict[str, BFPSpec] = {}
    for case in cases:
        for row in case.rows:
            assert formats.setdefault(row.spec.name, row.spec) == row.spec, row.spec.name
    head = {"unit": unit_to_dict(unit), "formats": {name: to_dict(spec) for name, spec in formats.items()}}
    return json_text("dot", head, [case.record(unit) for case in cases])


def code_of(significand: Significand, spec: BFPSpec) -> int:
    """Return the element code of a significand (spec 2.2)."""
    sign_bit = 1 << (spec.mantissa_bits - 1)
    if isinstance(significand, str):
        assert significand == "-0"
        return sign_bit
    if significand >= 0:
        return significand
    return sign_bit - significand if spec.encoding is Encoding.SIGN_MAGNITUDE else 2 * sign_bit + significand


def row(spec: BFPSpec, *blocks: Block) -> Row:
    """Return a row of blocks, of which only the last may be short."""
    codes = [spec.all_ones_code if block.exponent is None else block.exponent + spec.exponent_bias for block in blocks]
    assert all(0 <= code <= spec.all_ones_code for code in codes), codes
    elements = [code_of(significand, spec) for block in blocks for significand in block.significands]
    return Row(codes, [shift for block in blocks for shift in block.shifts], elements, spec)


def dot(name: str, pairs: Sequence[Pair], spec: BFPSpec) -> Dot:
    """Return a case with one group for each block of two rows in one format; all but the last are filled with zeros.

    The first operand has the exponent that gives ``k``, or as much of it as it can hold.
    """
    size = spec.block_size
    assert isinstance(size, int)
    a, b = [], []
    for index, pair in enumerate(pairs):
        fill = [0] * (size - len(pair.xs) if index + 1 < len(pairs) else 0)
        wanted = pair.k + 2 * spec.fraction_bits
        own = max(spec.smallest_exponent, min(wanted, spec.largest_exponent))
        ys = [1] * len(pair.xs) if pair.ys is None else pair.ys
        a.append(Block(own, [*pair.xs, *fill]))
        b.append(Block(wanted - own, [*ys, *fill]))
    return Dot(name, row(spec, *a), row(spec, *b))


def _spelled(operand: Row) -> dict[str, Any]:
    spec = operand.spec
    spelled: dict[str, Any] = {"format": spec.name}
    spelled["exponent_codes"] = hex_words(operand.exponent_codes, spec.exponent_bits)
    if spec.sub_shift_bits:
        spelled["shift_codes"] = hex_words(operand.shift_codes, spec.sub_shift_bits)
    return spelled | {"element_codes": hex_words(operand.element_codes, spec.mantissa_bits)}


def option_unit(name: str, accumulator: dict[str, Any] | None = None, **fields: Any) -> DotProductUnit:
    """Return a unit that differs from the default in what the name says."""
    return DotProductUnit(
        accumulator=Accumulator(**(accumulator or {})), name=name, source="an option of spec 6", **fields
    )
