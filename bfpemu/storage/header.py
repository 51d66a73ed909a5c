"""The header of a `.bfp` file: its JSON to and from dataclasses, without NumPy (spec 7.5 to 7.8)."""

from __future__ import annotations

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
_HASH_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Segment:
    """Where one plane of a tensor lies (spec 7.8)."""

    role: str
    offset: int
    nbytes: int
    sums: str
    """One xxh3-64 for each chunk, 16 lower-case hexadecimal digits each."""


@dataclass(frozen=True, slots=True)
class Entry:
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
            "segments": [{key: getattr(segment, key) for key in Segment.__slots__} for segment in self.segments],
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
    try:
        value = strict_json.load_canonical(data.rstrip(b" "))
    except ValueError as error:
        raise _refusal("header", f"must be canonical JSON (spec 7.5): {error}") from error
    table = _table("header", value, ("chunk", "meta", "specs", "tensors"))
    chunk = table["chunk"]
    if not _is_count(chunk) or not 1 << 12 <= chunk <= 1 << 30 or chunk & (chunk - 1):
        raise _refusal("chunk", f"must be a power of two from 4096 to 2**30 (spec 7.5), got {chunk!r}")
    check_meta(table["meta"])
    specs, tensors = _specs(table["specs"]), table["tensors"]
    if not isinstance(tensors, list) or len(tensors) > _LARGEST_TENSOR_COUNT:
        raise _refusal("tensors", f"must be a list of at most {_LARGEST_TENSOR_COUNT} tensors (spec 7.5)")
    entries = tuple(_entry(f"tensors[{number}]", tensor, specs, chunk) for number, tensor in enumerate(tensors))
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
    table = _table(where, value, ("decode", "provenance"))
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


def _entry(where: str, value: Any, specs: Sequence[_Spec], chunk: int) -> Entry:
    table = _table(where, value, ("axis", "dtype", "name", "segments", "shape", "spec"))
    name, dtype, axis, number = check_name(table["name"], f"{where}.name"), table["dtype"], table["axis"], table["spec"]
    problem = shape_problem(table["shape"])
    if problem:
        raise _refusal(where, f"{problem} (spec 7.6)")
    shape = tuple(table["shape"])
    if axis is not None and not (_is_count(axis) and axis < len(shape)):
        raise _refusal(f"{where}.axis", f"must be null or an axis of shape {list(shape)} (spec 7.6), got {axis!r}")
    if dtype not in DTYPES:
        raise _refusal(f"{where}.dtype", f"must be one of {', '.join(DTYPES)} (spec 7.6), got {dtype!r}")
    if not _is_count(number) or number >= len(specs):
        raise _refusal(f"{where}.spec", f"must be an index into the {len(specs)} specs (spec 7.6), got {number!r}")
    spec, segments = specs[number], _segments(f"{where}.segments", table["segments"], chunk)
    if spec.preset is not None:
        _check_sizes(where, spec.preset.format, shape, axis, segments)
    return Entry(name, shape, axis, dtype, spec.layout, spec.preset, spec.provenance, segments)


def _segments(where: str, value: Any, chunk: int) -> tuple[Segment, ...]:
    if not isinstance(value, list):
        raise _refusal(where, f"must be a list of segments (spec 7.8), got {type(value).__name__}")
    return tuple(_segment(f"{where}[{number}]", segment, chunk) for number, segment in enumerate(value))


def _segment(where: str, value: Any, chunk: int) -> Segment:
    fields = _table(where, value, Segment.__slots__)
    if not all(isinstance(text, str) for text in (fields["role"], fields["sums"])):
        raise _refusal(where, "'role' and 'sums' must be texts (spec 7.8)")
    if not all(_is_count(number) for number in (fields["offset"], fields["nbytes"])):
        raise _refusal(where, "'offset' and 'nbytes' must be integers from 0 (spec 7.8)")
    segment = Segment(**fields)
    digits = sums_digits(segment.nbytes, chunk)
    if len(segment.sums) != digits or not _HASH_DIGITS.issuperset(segment.sums):
        raise _refusal(f"{where}.sums", f"must be {digits} lower-case hexadecimal digits (spec 7.8)")
    return segment


def _check_sizes(
    where: str, spec: BFPSpec, shape: tuple[int, ...], axis: int | None, segments: tuple[Segment, ...]
) -> None:
    try:
        sizes = segment_bytes(spec, shape, axis)
    except DataError as error:
        raise BfpFormatError("bfp-header", f"{where}.axis: {error}") from error
    if [segment.role for segment in segments] != list(sizes):
        raise _refusal(f"{where}.segments", f"must have the roles {', '.join(sizes)} in this order (spec 7.8)")
    stated = {segment.role: segment.nbytes for segment in segments}
    if stated != sizes:
        raise BfpFormatError(
            "bfp-range", f"{where}.segments: shape {list(shape)} needs planes of {sizes} bytes (spec 7.4), got {stated}"
        )


def segment_bytes(spec: BFPSpec, shape: tuple[int, ...], axis: int | None) -> dict[str, int]:
    """Return the bytes of each plane that a tensor has, by role; one-level formats have no shifts."""
    sizes = plane_bytes(spec, shape, axis)._asdict()
    return {role: size for role, size in sizes.items() if role != "shifts" or spec.sub_shift_bits}


def _table(where: str, value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the known keys of an object; ``x-`` keys are for others to read (spec 7.5)."""
    if not isinstance(value, dict):
        raise _refusal(where, f"must be an object, got {type(value).__name__}")
    known = {name: item for name, item in value.items() if not name.startswith("x-")}
    if known.keys() != set(keys):
        wrong = min(known.keys() ^ set(keys))
        raise _refusal(where, f"must have exactly the keys {', '.join(sorted(keys))} (spec 7.5); see {wrong!r}")
    return known


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _refusal(where: str, rule: str) -> BfpFormatError:
    return BfpFormatError("bfp-header", f"{where}: {rule}")
