"""`Preset`: a format, a conversion and a layout under one name (spec 2.8)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats.conversion import Conversion
from bfpemu.formats.enums import (
    Encoding,
    ExponentOverflow,
    ExponentRule,
    MatrixAxis,
    NegativeZero,
    ReservedExponent,
    SignificandRange,
)
from bfpemu.formats.layout import INTERLEAVED, Layout
from bfpemu.formats.spec import BFPSpec

# The rule `lower_error` decides by an exact sum of integers, which these keep inside 64 bits: in units
# of 2 ** (e - 1 - f), a factor q1 - q0 has at most 17 bits, a factor q1 + q0 - 2x at most 27, and a
# block 12 of elements.
_LARGEST_LOWER_ERROR_BLOCK = 1 << 12
_MOST_LOWER_ERROR_BITS = 16
_LEAST_LOWER_ERROR_OFFSET = -8
_NEEDED_ENCODING = {
    NegativeZero.KEEP: Encoding.SIGN_MAGNITUDE,
    NegativeZero.SIGN_FILL: Encoding.TWOS_COMPLEMENT,
}
_ONE_LEVEL_RULES = (ExponentRule.EVEN, ExponentRule.LOWER_ERROR, ExponentRule.GIVEN)


class Status(StrEnum):
    """How sure we are that a preset is what its name claims (spec 2.8)."""

    VERIFIED = "verified"
    FROM_DOCUMENTS = "from_documents"
    ASSUMPTION = "assumption"


@dataclass(frozen=True, slots=True)
class Preset:
    """The three things that a name such as "BFP16" leaves open, together (spec 2.8).

    Raises
    ------
    SpecError
        ``parts-conflict`` or ``layout``, if the parts cannot be used together.

    Examples
    --------
    >>> preset = Preset(BFPSpec("mine", 6, 16), Conversion(exponent_rule="floor"))
    >>> preset.name, preset.layout.group
    ('mine', <RecordGroup.BLOCK: 'block'>)
    """

    format: BFPSpec
    conversion: Conversion = field(default_factory=Conversion)
    layout: Layout = INTERLEAVED
    vendor: str = ""
    """Who made the machine or tool, or "seed" for the formats of the public page."""
    source: str = ""
    """Where the facts are from."""
    status: Status = Status.ASSUMPTION
    """How the preset was checked."""
    notes: str = ""
    """What a user should know."""
    not_verified: str = ""
    """What nobody could verify, and what of the machine is not reproduced."""

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        object.__setattr__(self, "status", Status(self.status))
        self._check_conversion()
        self._check_layout()

    @property
    def name(self) -> str:
        """The name of the format."""
        return self.format.name

    def with_(self, **changes: Any) -> Preset:
        """Return this preset with other fields of its format, conversion or layout (spec 2.8).

        Parameters
        ----------
        **changes
            Fields of the three parts by name; no name is in two of them.

        Returns
        -------
        Preset
            Its status is ``assumption``, for nobody checked the combination.

        Raises
        ------
        SpecError
            ``unknown-key``, or the code of the field that is out of range.

        Examples
        --------
        >>> Preset(BFPSpec("mine", 6, 16)).with_(rounding="ties_up", block_size=32).format.block_size
        32
        """
        parts: dict[str, Any] = {}
        for name in ("format", "conversion", "layout"):
            part = getattr(self, name)
            own = {field.name for field in fields(part)} & changes.keys()
            parts[name] = replace(part, **{key: changes.pop(key) for key in own}) if own else part
        if changes:
            unknown = min(changes)
            raise SpecError("unknown-key", f"with_ takes fields of a format, conversion or layout, got {unknown!r}")
        status = self.status if parts == {name: getattr(self, name) for name in parts} else Status.ASSUMPTION
        return replace(self, **parts, status=status)

    def _check_conversion(self) -> None:
        spec, conversion = self.format, self.conversion
        wide = spec.mantissa_bits + conversion.post_truncate_bits
        by_error = conversion.exponent_rule is ExponentRule.LOWER_ERROR
        for holds, rule in (
            (
                wide <= 32,
                f"mantissa_bits + post_truncate_bits must be at most 32 (spec 3.8), got {wide}",
            ),
            (
                conversion.alignment_bits is None or conversion.alignment_bits >= wide - spec.has_sign,
                f"alignment_bits must cover the {wide - spec.has_sign} magnitude bits of an element (spec 3.7), "
                f"got {conversion.alignment_bits}",
            ),
            (
                _NEEDED_ENCODING.get(conversion.negative_zero, spec.encoding) is spec.encoding,
                f"negative_zero {str(conversion.negative_zero)!r} does not fit encoding {str(spec.encoding)!r} "
                "(spec 3.9)",
            ),
            (
                conversion.significand_range is SignificandRange.FULL or spec.encoding is Encoding.TWOS_COMPLEMENT,
                f"significand_range {str(conversion.significand_range)!r} is a choice for two's complement only "
                f"(spec 3.8), got encoding {str(spec.encoding)!r}",
            ),
            (
                conversion.zero_exponent is None
                or spec.smallest_exponent <= conversion.zero_exponent <= spec.largest_exponent,
                f"zero_exponent must be {spec.smallest_exponent} to {spec.largest_exponent} (spec 3.5), "
                f"got {conversion.zero_exponent}",
            ),
            (
                conversion.exponent_overflow is not ExponentOverflow.NAN
                or spec.exponent_reserved is ReservedExponent.NAN,
                "exponent_overflow 'nan' needs a reserved NaN code (spec 3.6), "
                f"got exponent_reserved {str(spec.exponent_reserved)!r}",
            ),
            (
                spec.sub_block_size is None or conversion.exponent_rule not in _ONE_LEVEL_RULES,
                f"the rule {str(conversion.exponent_rule)!r} cannot be used with a two-level format (spec 3.5), "
                f"got sub_block_size {spec.sub_block_size}",
            ),
            (
                not by_error or (spec.elements_per_block or 1 << 24) <= _LARGEST_LOWER_ERROR_BLOCK,
                f"the rule 'lower_error' takes blocks of at most {_LARGEST_LOWER_ERROR_BLOCK} elements (spec 3.5), "
                f"got block_size {spec.block_size!r}",
            ),
            (
                not by_error or spec.mantissa_bits <= _MOST_LOWER_ERROR_BITS,
                f"the rule 'lower_error' takes at most {_MOST_LOWER_ERROR_BITS} mantissa_bits (spec 3.5), "
                f"got {spec.mantissa_bits}",
            ),
            (
                not by_error or conversion.exponent_offset >= _LEAST_LOWER_ERROR_OFFSET,
                f"the rule 'lower_error' takes an exponent_offset of at least {_LEAST_LOWER_ERROR_OFFSET} (spec 3.5), "
                f"got {conversion.exponent_offset}",
            ),
        ):
            if not holds:
                raise SpecError("parts-conflict", rule)

    def _check_layout(self) -> None:
        spec, layout = self.format, self.layout
        if layout.exponent_storage_bits is not None and layout.exponent_storage_bits < spec.exponent_bits:
            raise SpecError(
                "layout",
                f"exponent_storage_bits must be at least exponent_bits {spec.exponent_bits} (spec 5.2), "
                f"got {layout.exponent_storage_bits}",
            )
        if layout.padding_exponent_code >> spec.exponent_bits:
            raise SpecError(
                "layout",
                f"padding_exponent_code must fit the {spec.exponent_bits} exponent_bits (spec 5.4), "
                f"got {layout.padding_exponent_code}",
            )
        if not layout.is_row_major:
            block_extents(spec, layout)


def block_extents(spec: BFPSpec, layout: Layout) -> tuple[int, int]:
    """Return the rows and columns of a matrix that one block covers, in tiles or a block order (spec 5.4).

    Raises
    ------
    SpecError
        ``layout``, if blocks do not fill the tiles, faces or loops of `layout`.

    Examples
    --------
    >>> block_extents(BFPSpec("mine", 8, 16), Layout(tile_shape=(32, 32)))
    (1, 16)
    """
    size = spec.block_size
    extents = (1, size) if isinstance(size, int) else size
    if extents is None or len(extents) != 2:
        raise SpecError(
            "layout", f"tiles and block_order need a block_size of one or two counts (spec 5.4), got {size!r}"
        )
    rows, columns = extents
    if layout.block_order is not None:
        smallest = {axis: min(step for name, step in layout.block_order if name is axis) for axis in MatrixAxis}
        if (smallest[MatrixAxis.ROWS], smallest[MatrixAxis.COLUMNS]) != extents:
            raise SpecError(
                "layout",
                f"the smallest steps of block_order must be the {rows} x {columns} rows and columns of a block "
                f"(spec 5.4), got {smallest[MatrixAxis.ROWS]} x {smallest[MatrixAxis.COLUMNS]}",
            )
        return rows, columns
    shape = layout.face_shape or layout.tile_shape
    assert shape is not None
    if shape[0] % rows or shape[1] % columns:
        raise SpecError(
            "layout",
            f"block_size must divide the {shape[0]} x {shape[1]} rows and columns of a tile or face (spec 5.4), "
            f"got {size!r}",
        )
    return rows, columns
