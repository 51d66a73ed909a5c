"""A tensor's facts as JSON, for the files of others that hold our planes (spec 15.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bfpemu.errors import BfpFormatError, DataError, SpecError
from bfpemu.formats import Preset
from bfpemu.storage import strict_json
from bfpemu.storage.described import DECODE_KEYS, PLANAR, PROVENANCE_KEYS, describe, described_preset
from bfpemu.storage.geometry import geometry, shape_problem
from bfpemu.storage.header import DTYPES, segment_bytes

VERSION = 1
"""Of this description."""

_KEYS = frozenset(("axis", "dtype", "shape", "spec", "version"))


@dataclass(frozen=True, slots=True)
class DescribedTensor:
    """What decoding needs beside the planes (spec 15.1).

    Examples
    --------
    >>> from bfpemu.catalog import preset
    >>> facts = DescribedTensor((2, 40), 1, "float32", preset("bfp8"))
    >>> facts.to_text()[:53]
    '{"axis":1,"dtype":"float32","shape":[2,40],"spec":{"d'
    >>> described_tensor("w", facts.to_text()) == facts
    True
    """

    shape: tuple[int, ...]
    axis: int | None
    """The axis along which it is blocked (spec 4); None if there is none."""
    dtype: str
    """What the tensor decodes to (spec 2.10)."""
    preset: Preset

    def known_preset(self) -> Preset:
        """Return `preset`, which is always known here."""
        return self.preset

    @property
    def plane_bytes(self) -> dict[str, int]:
        """Bytes of each plane that the tensor has, by role (spec 7.4)."""
        return segment_bytes(self.preset.format, self.shape, self.axis)

    @property
    def plane_shapes(self) -> dict[str, tuple[int, int]]:
        """Rows and bytes of a row of each plane that the tensor has, by role (spec 15.2)."""
        rows = geometry(self.preset.format, self.shape, self.axis).rows
        return {role: (rows, size // max(rows, 1)) for role, size in self.plane_bytes.items()}

    def to_text(self) -> str:
        """Return the canonical JSON."""
        table = {
            "axis": self.axis,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "spec": dict(describe(self.preset)),
            "version": VERSION,
        }
        return strict_json.dump(table).decode("ascii")


def described_tensor(where: str, text: object) -> DescribedTensor:
    """Return what a description says, and check all of it (spec 15.1).

    Parameters
    ----------
    where : str
        The tensor, for messages.
    text : str
        Whatever a file holds in the place of the description.

    Raises
    ------
    BfpFormatError
        ``bfp-header``, or ``bfp-version`` for a version or a layout of planes that is unknown here.
    """
    try:
        table = strict_json.load_canonical(text.encode("utf-8")) if isinstance(text, str) else None
    except ValueError as error:  # UnicodeEncodeError, for a lone surrogate, is one
        raise _refusal(where, f"must be canonical JSON (spec 7.5): {error}") from error
    table = _object(where, table, _KEYS)
    if type(table["version"]) is not int or table["version"] != VERSION:
        raise BfpFormatError("bfp-version", f"{where}: version must be {VERSION} (spec 15.1), got {table['version']!r}")
    shape, dtype, axis = table["shape"], table["dtype"], table["axis"]
    problem = shape_problem(shape)
    if problem:
        raise _refusal(where, f"{problem} (spec 7.6)")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _refusal(where, f"dtype must be one of {', '.join(DTYPES)} (spec 7.6), got {dtype!r}")
    if axis is not None and (type(axis) is not int or not 0 <= axis < len(shape)):
        raise _refusal(where, f"axis must be null or an axis of shape {shape} (spec 7.6), got {axis!r}")
    found = DescribedTensor(tuple(shape), axis, dtype, spec_preset(where, table["spec"]))
    try:
        _ = found.plane_bytes
    except DataError as error:
        raise _refusal(where, str(error)) from error
    return found


def spec_preset(where: str, value: Any) -> Preset:
    """Return the preset that a spec describes (spec 7.7); errors as `described_tensor`."""
    table = _object(where, value, frozenset(("decode", "provenance")))
    decode = table["decode"]
    if isinstance(decode, dict) and decode.get("layout") != PLANAR:
        raise BfpFormatError(
            "bfp-version", f"{where}: the layout must be {PLANAR!r} (spec 7.7), got {decode.get('layout')!r}"
        )
    decode = _object(f"{where}: decode", decode, frozenset(DECODE_KEYS))
    provenance = _object(f"{where}: provenance", table["provenance"], frozenset(PROVENANCE_KEYS))
    try:
        return described_preset(decode, provenance)
    except SpecError as error:
        raise _refusal(where, str(error)) from error


def _object(where: str, value: Any, keys: frozenset[str]) -> dict[str, Any]:
    """Return the known keys of an object; ``x-`` keys are for others to read."""
    if not isinstance(value, dict):
        raise _refusal(where, f"must be a JSON object, got {value!r:.60}")
    known = {name: item for name, item in value.items() if not name.startswith("x-")}
    if known.keys() != keys:
        raise _refusal(where, f"must have exactly the keys {', '.join(sorted(keys))}; see {min(known.keys() ^ keys)!r}")
    return known


def _refusal(where: str, rule: str) -> BfpFormatError:
    return BfpFormatError("bfp-header", f"{where}: {rule}")
