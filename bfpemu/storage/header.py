"""The header of a `.bfp` file: its JSON to and from dataclasses, without NumPy (spec 7.5 to 7.8)."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bfpemu.errors import BfpFormatError, DataError, SpecError
from bfpemu.formats import BFPSpec, Preset
from bfpemu.storage import strict_json
from bfpemu.storage.described import DECODE_KEYS, PLANAR, PROVENANCE_KEYS, describe, described_preset
from bfpemu.storage.geometry import plane_bytes, shape_problem
from bfpemu.storage.names import check_meta, check_name
from bfpemu.storage.sums import CHUNK_BYTES, sums_digits

DTYPES = ("bfloat16", "float16", "float32", "float64")
"""What a tensor may decode to (spec 2.10)."""

_LARGEST_TENSOR_COUNT = 1 << 20
_HASH_DIGITS = "0123456789abcdef"
_HEADER_KEYS = ("chunk", "meta", "specs", "tensors")
_SPEC_KEYS = ("decode", "provenance")
_TENSOR_KEYS = ("axis", "dtype", "name", "segments", "shape", "spec")


class Segment(NamedTuple):
    """Where one plane of a tensor lies (spec 7.8)."""

    role: str
    offset: int
    nbytes: int
    sums: str
    """One xxh3-64 for each chunk, 16 lower-case hexadecimal digits each."""


_KEY_SETS: dict[tuple[str, ...], frozenset[str]] = {
    keys: frozenset(keys)
    for keys in (_HEADER_KEYS, _SPEC_KEYS, _TENSOR_KEYS, DECODE_KEYS, PROVENANCE_KEYS, Segment._fields)
}


class Entry(NamedTuple):
    """One tensor as the header describes it (spec 7.6)."""

    name: str
    shape: tuple[int, ...]
    axis: int | None
    """The axis along which it is blocked (spec 4); None if there is none."""
    dtype: str
    """What the tensor decodes to: one of `DTYPES`."""
    layout: str
    """The arrangement of the planes; a tensor with another one than `PLANAR` is listed only."""
    preset: Preset | None
    """Format, conversion and memory layout; None when `layout` is unknown here."""
    provenance: Mapping[str, Any]
    """How the numbers got there, as it stands in the header."""
    segments: tuple[Segment, ...]

    @property
    def format(self) -> BFPSpec:
        """The format, with its name.

        Raises
        ------
        BfpFormatError
            ``bfp-version``, if the arrangement of the planes is unknown here.
        """
        return self.known_preset().format

    @property
    def plane_bytes(self) -> dict[str, int]:
        """Bytes of each plane, by role."""
        return {segment.role: segment.nbytes for segment in self.segments}

    @property
    def offsets(self) -> dict[str, int]:
        """Where each plane starts in the file, by role; 0 for an empty plane."""
        return {segment.role: segment.offset for segment in self.segments}

    def known_preset(self) -> Preset:
        """Return `preset`, or raise BfpFormatError ``bfp-version`` if there is none."""
        if self.preset is None:
            raise BfpFormatError(
                "bfp-version", f"tensor {self.name!r} must have the layout {PLANAR!r} (spec 7.7), got {self.layout!r}"
            )
        return self.preset

    def to_json(self, spec: int) -> dict[str, Any]:
        """Return the header's JSON for this tensor, whose spec has the index `spec`."""
        return {
            "axis": self.axis,
            "dtype": self.dtype,
            "name": self.name,
            "segments": [segment._asdict() for segment in self.segments],
            "shape": list(self.shape),
            "spec": spec,
        }


@dataclass(frozen=True, slots=True)
class Header:
    """Everything that stands in the header of a file."""

    tensors: tuple[Entry, ...]
    meta: Mapping[str, str] = field(default_factory=dict)
    chunk_bytes: int = CHUNK_BYTES

    def to_bytes(self) -> bytes:
        """Return the canonical JSON, without the padding."""
        presets = dict.fromkeys(entry.known_preset() for entry in self.tensors)
        # Presets of which only the notes differ have one spec.
        spellings = {preset: strict_json.dump(describe(preset)) for preset in presets}
        numbers = {spelling: number for number, spelling in enumerate(dict.fromkeys(spellings.values()))}
        table = {
            "chunk": self.chunk_bytes,
            "meta": dict(self.meta),
            "specs": [strict_json.load(spelling) for spelling in numbers],
            "tensors": [entry.to_json(numbers[spellings[entry.known_preset()]]) for entry in self.tensors],
        }
        return strict_json.dump(table)


class _Spec(NamedTuple):
    """What a spec says (spec 7.7)."""

    layout: str
    preset: Preset | None
    provenance: Mapping[str, Any]


def parse_header(data: bytes) -> Header:
    """Read and check a header's bytes, padding spaces included (spec 7.11, rules 9 to 13).

    Where the segments lie is checked by `placement.check_ranges`.

    Raises
    ------
    BfpFormatError
        ``bfp-header``, ``bfp-name`` or ``bfp-range``, with the place in the JSON.
    """
    # A header of thousands of tensors is a hundred thousand objects and no cycle; a collection meanwhile
    # looks at everything that the process holds, and takes as long as all of this.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _parsed(data)
    finally:
        if was_enabled:
            gc.enable()


def _parsed(data: bytes) -> Header:
    try:
        value = strict_json.load_canonical(data.rstrip(b" "))
    except ValueError as error:
        raise _refusal("header", f"must be canonical JSON (spec 7.5): {error}") from error
    table = _table("header", value, _HEADER_KEYS)
    chunk = table["chunk"]
    if not _is_count(chunk) or not 1 << 12 <= chunk <= 1 << 30 or chunk & (chunk - 1):
        raise _refusal("chunk", f"must be a power of two from 4096 to 2**30 (spec 7.5), got {chunk!r}")
    check_meta(table["meta"])
    specs, tensors = _specs(table["specs"]), table["tensors"]
    if not isinstance(tensors, list) or len(tensors) > _LARGEST_TENSOR_COUNT:
        raise _refusal("tensors", f"must be a list of at most {_LARGEST_TENSOR_COUNT} tensors (spec 7.5)")
    sizes = _Sizes()
    entries = tuple(_entry(number, tensor, specs, chunk, sizes) for number, tensor in enumerate(tensors))
    names = set[str]()
    for number, entry in enumerate(entries):
        if entry.name in names:
            raise BfpFormatError("bfp-name", f"tensors[{number}].name: must be unique, got {entry.name!r} again")
        names.add(entry.name)
    unused = set(range(len(specs))).difference(tensor["spec"] for tensor in tensors)
    if unused:
        raise _refusal(f"specs[{min(unused)}]", "must be the spec of a tensor (spec 7.5)")
    return Header(entries, table["meta"], chunk)


def _specs(value: Any) -> list[_Spec]:
    if not isinstance(value, list):
        raise _refusal("specs", f"must be a list of specs (spec 7.5), got {type(value).__name__}")
    firsts: dict[bytes, int] = {}
    for number, spec in enumerate(value):
        first = firsts.setdefault(strict_json.dump(spec), number)
        if first != number:
            raise _refusal(f"specs[{number}]", f"must differ from specs[{first}] (spec 7.5)")
    return [_spec(f"specs[{number}]", spec) for number, spec in enumerate(value)]


def _spec(where: str, value: Any) -> _Spec:
    table = _table(where, value, _SPEC_KEYS)
    decode, provenance = table["decode"], table["provenance"]
    layout = decode.get("layout") if isinstance(decode, dict) else None
    if not isinstance(layout, str) or not isinstance(provenance, dict):
        raise _refusal(where, "must have an object 'decode' with a text 'layout', and an object 'provenance'")
    if layout != PLANAR:
        return _Spec(layout, None, provenance)
    decode = _table(f"{where}.decode", decode, DECODE_KEYS)
    provenance = _table(f"{where}.provenance", provenance, PROVENANCE_KEYS)
    try:
        return _Spec(layout, described_preset(decode, provenance), provenance)
    except SpecError as error:
        raise BfpFormatError("bfp-header", f"{where}: {error}") from error


class _Sizes(dict[tuple[BFPSpec, tuple[int, ...], int | None], dict[str, int]]):
    """The planes of tensors by format, shape and axis; in a large file many tensors have the same."""

    def __missing__(self, key: tuple[BFPSpec, tuple[int, ...], int | None]) -> dict[str, int]:
        self[key] = sizes = segment_bytes(*key)
        return sizes


def _entry(number: int, value: Any, specs: Sequence[_Spec], chunk: int, known: _Sizes) -> Entry:
    where = f"tensors[{number}]"
    table = _table(where, value, _TENSOR_KEYS)
    name, dtype, axis, index = check_name(table["name"], where), table["dtype"], table["axis"], table["spec"]
    problem = shape_problem(table["shape"])
    if problem:
        raise _refusal(where, f"{problem} (spec 7.6)")
    shape = tuple(table["shape"])
    if axis is not None and not (_is_count(axis) and axis < len(shape)):
        raise _refusal(f"{where}.axis", f"must be null or an axis of shape {list(shape)} (spec 7.6), got {axis!r}")
    if dtype not in DTYPES:
        raise _refusal(f"{where}.dtype", f"must be one of {', '.join(DTYPES)} (spec 7.6), got {dtype!r}")
    if not _is_count(index) or index >= len(specs):
        raise _refusal(f"{where}.spec", f"must be an index into the {len(specs)} specs (spec 7.6), got {index!r}")
    spec, listed = specs[index], table["segments"]
    if not isinstance(listed, list):
        raise _refusal(f"{where}.segments", f"must be a list of segments (spec 7.8), got {type(listed).__name__}")
    segments = tuple([_segment(number, position, segment, chunk) for position, segment in enumerate(listed)])
    if spec.preset is not None:
        try:
            sizes = known[spec.preset.format, shape, axis]
        except DataError as error:
            raise BfpFormatError("bfp-header", f"{where}.axis: {error}") from error
        if [(segment.role, segment.nbytes) for segment in segments] != list(sizes.items()):
            raise _size_refusal(where, shape, sizes, segments)
    return Entry(name, shape, axis, dtype, spec.layout, spec.preset, spec.provenance, segments)


def _segment(number: int, position: int, value: Any, chunk: int) -> Segment:
    fields = _table((number, position), value, Segment._fields)
    role, offset, nbytes, sums = fields["role"], fields["offset"], fields["nbytes"], fields["sums"]
    if type(role) is not str or type(sums) is not str:
        raise _refusal(_place(number, position), "'role' and 'sums' must be texts (spec 7.8)")
    if type(offset) is not int or type(nbytes) is not int or offset < 0 or nbytes < 0:
        raise _refusal(_place(number, position), "'offset' and 'nbytes' must be integers from 0 (spec 7.8)")
    digits = sums_digits(nbytes, chunk)
    if len(sums) != digits or sums.strip(_HASH_DIGITS):
        rule = f"must be {digits} lower-case hexadecimal digits (spec 7.8)"
        raise _refusal(f"{_place(number, position)}.sums", rule)
    return Segment(role, offset, nbytes, sums)


def _place(number: int, position: int) -> str:
    return f"tensors[{number}].segments[{position}]"


def _size_refusal(
    where: str, shape: tuple[int, ...], sizes: Mapping[str, int], segments: tuple[Segment, ...]
) -> BfpFormatError:
    if [segment.role for segment in segments] != list(sizes):
        return _refusal(f"{where}.segments", f"must have the roles {', '.join(sizes)} in this order (spec 7.8)")
    stated = {segment.role: segment.nbytes for segment in segments}
    return BfpFormatError(
        "bfp-range", f"{where}.segments: shape {list(shape)} needs planes of {sizes} bytes (spec 7.4), got {stated}"
    )


def segment_bytes(spec: BFPSpec, shape: tuple[int, ...], axis: int | None) -> dict[str, int]:
    """Return the bytes of each plane that a tensor has, by role; one-level formats have no shifts."""
    sizes = plane_bytes(spec, shape, axis)._asdict()
    return {role: size for role, size in sizes.items() if role != "shifts" or spec.sub_shift_bits}


def _table(where: str | tuple[int, int], value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the known keys of an object; ``x-`` keys are for others to read (spec 7.5)."""
    if isinstance(value, dict):
        if value.keys() == _KEY_SETS[keys]:
            return value
        known = {name: item for name, item in value.items() if not name.startswith("x-")}
        if known.keys() == _KEY_SETS[keys]:
            return known
    place = where if isinstance(where, str) else _place(*where)
    if not isinstance(value, dict):
        raise _refusal(place, f"must be an object, got {type(value).__name__}")
    wrong = min(known.keys() ^ set(keys))
    raise _refusal(place, f"must have exactly the keys {', '.join(sorted(keys))} (spec 7.5); see {wrong!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _refusal(where: str, rule: str) -> BfpFormatError:
    return BfpFormatError("bfp-header", f"{where}: {rule}")
