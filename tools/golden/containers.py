"""Golden `.bfp` files: their bytes by the specification, and what the reference says they hold (spec 7).

Nothing here calls `bfpemu.storage`, which is what these files check.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from bfpemu.catalog import presets
from bfpemu.formats import BFPSpec, Conversion, Layout, Preset, SourceStep
from bfpemu.formats.named_layouts import named_layout
from bfpemu.formats.serialise import to_dict
from bfpemu.reference.blocks import Blocking
from bfpemu.reference.tensor import EncodedTensor, decode_tensor, pack_tensor

_DECODE = (
    "block_size", "decode_underflow", "encoding", "exponent_bias", "exponent_bits", "exponent_reserved",
    "fraction_bits", "mantissa_bits", "negative_zero_code", "sub_block_size", "sub_shift_bits",
)  # fmt: skip
_BITS = {"float64": 64, "float32": 32, "float16": 16, "bfloat16": 16}


@dataclass(frozen=True)
class Tensor:
    """A tensor to be: its codes are pseudorandom, so that every code of a narrow format occurs."""

    name: str
    preset: Preset
    shape: tuple[int, ...]
    axis: int | None = -1
    dtype: str = "float32"


@dataclass(frozen=True)
class Container:
    """One golden file."""

    tensors: Sequence[Tensor]
    meta: Mapping[str, str] = field(default_factory=dict)
    is_canonical: bool = True
    """Otherwise the header is at the end, chunks are small, and there are things to ignore."""


def containers() -> dict[str, Container]:
    """Return every golden file by its name."""
    plain = Preset(BFPSpec("plain", 5, 4, 6))
    return {
        "no_tensors": Container([]),
        "meta": Container([Tensor("w", plain, (2, 9))], {"by": "hand", "naïve": "€ \U0001f600", "": '\n\t"\\'}),
        "widths": Container(list(_widths())),
        "axes": Container(list(_axes())),
        "empty": Container([Tensor("z", plain, (0,)), Tensor("a", plain, (3, 0)), Tensor("m", plain, (0, 4), 0)]),
        "empty_last": Container([Tensor("a", plain, (3, 5)), Tensor("z", plain, (0, 4))]),
        "scalar": Container([Tensor(axis, plain, (), None) for axis in ("a", "b")]),
        "names": Container([Tensor(name, plain, (3,)) for name in _NAMES]),
        "dtypes": Container([Tensor(dtype, _preset(14, 4, 12), (4, 8), dtype=dtype) for dtype in _BITS]),
        "two_levels": Container(list(_two_levels())),
        "choices": Container(list(_choices())),
        "presets": Container(list(_catalogue())),
        "not_canonical": Container(
            [Tensor("b", plain, (2, 9)), Tensor("a", _preset(8, 32, 8), (65, 130))], {"k": "v"}, is_canonical=False
        ),
    }


_NAMES = (
    "a", "A", "b/c", "../../etc/passwd", "/", "C:\\a", " ", "é", "\u20ac", "\uffe0", "\U0001f600", "\"", "x" * 1024,
    "\u200f\u202e", "é" * 512, ".", "CON", "a b", "%2e", "{}",
)  # fmt: skip


def _preset(bits: int, block: Any, exponent_bits: int, **fields: Any) -> Preset:
    return Preset(BFPSpec(f"{bits}x{block}x{exponent_bits}", bits, block, exponent_bits, **fields))


def _widths() -> Iterator[Tensor]:
    for bits in range(1, 33):
        yield Tensor(f"m{bits:02}", _preset(bits, 4, (bits - 1) % 16 + 1, has_sign=bits > 1), (2, 9), dtype="float64")


def _axes() -> Iterator[Tensor]:
    for axis in (0, 1, 2, None):
        yield Tensor(f"one axis, {axis}", _preset(5, 4, 6), (3, 5, 6), axis)
    for axis in (1, 2):
        yield Tensor(f"two axes, {axis}", _preset(5, (2, 3), 6), (3, 5, 6), axis)
    yield Tensor("three axes", _preset(5, (2, 2, 2), 6), (3, 5, 6), 2)
    yield Tensor("one block", _preset(5, None, 6), (3, 5, 6), None)
    yield Tensor("one dimension", _preset(3, 7, 5), (17,), 0)


def _two_levels() -> Iterator[Tensor]:
    for size, shift_bits in ((2, 1), (4, 3), (16, 8), (1, 2)):
        preset = _preset(5, 16, 6, sub_block_size=size, sub_shift_bits=shift_bits)
        yield Tensor(f"{size}, {shift_bits}", preset, (3, 40))
    yield Tensor("axis 0", _preset(3, 4, 8, sub_block_size=2, sub_shift_bits=1, encoding="sign_magnitude"), (5, 6), 0)


def _choices() -> Iterator[Tensor]:
    """Yield every way in which a code can be read."""
    for reserved in ("nan", "zero", "none"):
        yield Tensor(f"reserved {reserved}", _preset(4, 2, 3, exponent_reserved=reserved), (8, 12))
    for meaning in ("negative_zero", "zero", "negative_infinity", "all_ones_exponent"):
        preset = _preset(3, 2, 4, encoding="sign_magnitude", negative_zero_code=meaning)
        yield Tensor(f"code of minus zero: {meaning}", preset, (8, 12))
    for underflow in ("flush", "flush_below_zero", "pattern", "wrap"):
        for encoding in ("twos_complement", "sign_magnitude"):
            preset = _preset(5, 2, 3, encoding=encoding, decode_underflow=underflow, exponent_reserved="none")
            yield Tensor(f"{underflow}, {encoding}", preset, (8, 24), dtype="bfloat16")
    yield Tensor("fraction and bias", _preset(6, 4, 5, fraction_bits=-9, exponent_bias=-40), (4, 8))
    yield Tensor("subnormal and infinite", _preset(9, 4, 9, fraction_bits=4), (64, 8), dtype="float16")


def _catalogue() -> Iterator[Tensor]:
    for name in ("bfp8", "flexpoint8", "bfp2", "tt_bfp8_b_hw", "tt_bfp2_b_host", "mx6", "quark_mx9", "mxint8"):
        yield Tensor(name, presets()[name], (2, 40), dtype="bfloat16")
    chain = Conversion(rounding="ties_up", source_chain=(SourceStep(fraction_bits=7),))
    yield Tensor("chain", Preset(BFPSpec("chain", 6, 16), chain, named_layout("tt_tile_32x32")), (2, 40))


# ------------------------------------------------------------------------------------ the bytes


def container_files() -> dict[str, bytes]:
    """Return the bytes of every golden file and of what it holds, by name below ``containers/v1``."""
    files = {}
    for name, container in containers().items():
        encoded = {tensor.name: encoded_tensor(tensor) for tensor in container.tensors}
        assert len(encoded) == len(container.tensors), name
        files[f"{name}.bfp"] = file_bytes(container, encoded)
        files[f"{name}.json"] = _expectation(container, encoded).encode("ascii")
    return files


def encoded_tensor(tensor: Tensor) -> EncodedTensor:
    """Return a tensor of pseudorandom codes, the same in every run."""
    spec, blocking = tensor.preset.format, Blocking.of(tensor.shape, tensor.preset.format, tensor.axis)
    state = 0x9E3779B97F4A7C15 ^ sum(tensor.name.encode())

    def codes(count: int, bits: int) -> list[int]:
        nonlocal state
        found = []
        for _ in range(count):
            state = (state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
            found.append(state >> 32 & (1 << bits) - 1 if bits < 32 else state >> 32)
        return found

    blocks = math.prod(blocking.exponent_shape)
    return EncodedTensor(
        tensor.preset,
        tensor.shape,
        tensor.axis,
        codes(blocks, spec.exponent_bits),
        codes(blocks * spec.shifts_per_block, spec.sub_shift_bits),
        codes(math.prod(tensor.shape), spec.mantissa_bits),
    )


def file_bytes(container: Container, encoded: Mapping[str, EncodedTensor]) -> bytes:
    """Return a file: header, planes, and where they lie (spec 7.2 to 7.10)."""
    tensors = sorted(container.tensors, key=lambda tensor: tensor.name.encode())
    chunk = 1 << 20 if container.is_canonical else 1 << 12
    specs: list[dict[str, Any]] = []
    entries, planes = [], []
    for tensor in tensors:
        described = described_spec(tensor.preset)
        if described not in specs:
            specs.append(described)
        segments = []
        for role, data in planar_sections(tensor, encoded[tensor.name]).items():
            sums = "".join(xxh3_64_hexdigest(data[i : i + chunk]) for i in range(0, len(data), chunk))
            segments.append({"nbytes": len(data), "offset": 0, "role": role, "sums": sums})
            planes.append((segments[-1], data))
        axis = None if tensor.axis is None or not tensor.shape else tensor.axis % len(tensor.shape)
        entries.append({
            "axis": axis, "dtype": tensor.dtype, "name": tensor.name, "segments": segments,
            "shape": list(tensor.shape), "spec": specs.index(described),
        })  # fmt: skip
    header: dict[str, Any] = {"chunk": chunk, "meta": dict(container.meta), "specs": specs, "tensors": entries}
    if container.is_canonical:
        return _with_header_first(header, planes)
    header |= {"x-more": [1, {"a": None}]}
    entries[0]["x-note"] = "ignored"
    entries.reverse()
    return _with_header_last(header, planes)


def described_spec(preset: Preset) -> dict[str, Any]:
    """Return the JSON of a spec (spec 7.7)."""
    fields = to_dict(preset.format)

    def changes(part: Conversion | Layout) -> dict[str, Any]:
        defaults = to_dict(type(part)())
        return {name: value for name, value in to_dict(part).items() if value != defaults[name]}

    return {
        "decode": {name: fields[name] for name in _DECODE} | {"layout": "bfp-planar-1"},
        "provenance": {
            "conversion": changes(preset.conversion),
            "format": preset.format.name,
            "memory_layout": changes(preset.layout),
            "use_subnormals": preset.format.use_subnormals,
        },
    }


def planar_sections(tensor: Tensor, encoded: EncodedTensor) -> dict[str, bytes]:
    """Return the three sections of the planar layout, one after the other in the reference's stream (spec 7.4)."""
    spec, blocking = tensor.preset.format, encoded.blocking
    stream = pack_tensor(encoded, named_layout("planar"))
    blocks = blocking.blocks_per_row if math.prod(blocking.exponent_shape) else 0
    counts = {
        "exponents": (1, spec.exponent_bits),
        "shifts": (spec.shifts_per_block, spec.sub_shift_bits),
        "elements": (blocking.slots, spec.mantissa_bits),
    }
    found, start = {}, 0
    for role, (count, bits) in counts.items():
        end = start + blocking.rows * -(-blocks * count * bits // 8)
        if role != "shifts" or spec.sub_shift_bits:
            found[role] = stream[start:end]
        start = end
    assert start == len(stream), tensor.name
    return found


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _placed(planes: list[tuple[dict[str, Any], bytes]], position: int) -> int:
    """Give every plane its offset from `position` on, and return where the last one ends."""
    for segment, data in planes:
        if data:
            segment["offset"] = -(-position // 64) * 64
            position = segment["offset"] + len(data)
    return position


def _with_header_first(header: dict[str, Any], planes: list[tuple[dict[str, Any], bytes]]) -> bytes:
    length = len(_canonical(header))
    while True:
        end = _placed(planes, 64 + length)
        data = _canonical(header)
        if len(data) <= length:
            break
        length = len(data)
    return _assembled(data.ljust(length), 64, planes, end, minor=0)


def _with_header_last(header: dict[str, Any], planes: list[tuple[dict[str, Any], bytes]]) -> bytes:
    offset = _placed(planes, 64) + 5  # a gap before the header, too
    data = _canonical(header) + b"   "
    return _assembled(data, offset, planes, offset + len(data), minor=9)


def _assembled(
    header: bytes, offset: int, planes: list[tuple[dict[str, Any], bytes]], end: int, *, minor: int
) -> bytes:
    file = bytearray(end)
    file[offset : offset + len(header)] = header
    for segment, data in planes:
        if data:
            file[segment["offset"] : segment["offset"] + len(data)] = data
    fields = [offset, len(header), end, xxh3_64_intdigest(header), 0]
    start = b"\x89BFP\r\n\x1a\n" + b"".join(
        number.to_bytes(size, "little") for number, size in ((1, 2), (minor, 2), (0, 4), *((f, 8) for f in fields))
    )
    file[:64] = start + xxh3_64_intdigest(start).to_bytes(8, "little")
    return bytes(file)


# --------------------------------------------------------------------------------- what they hold


def _expectation(container: Container, encoded: Mapping[str, EncodedTensor]) -> str:
    """Return the JSON beside a file: one line for each tensor."""
    lines = []
    for tensor in container.tensors:
        spec, found = tensor.preset.format, encoded[tensor.name]
        facts = {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
            "exponent_codes": _words(found.exponent_codes, spec.exponent_bits),
            "shift_codes": _words(found.shift_codes, spec.sub_shift_bits),
            "element_codes": _words(found.element_codes, spec.mantissa_bits),
            "bits": _words(decode_tensor(found, tensor.dtype), _BITS[tensor.dtype]),
        }
        lines.append(json.dumps(facts))
    head = json.dumps({"version": 1, "is_canonical": container.is_canonical, "meta": dict(container.meta)})
    return head[:-1] + ', "tensors": [\n' + ",\n".join(lines) + "\n]}\n"


def _words(codes: Sequence[int], bits: int) -> str:
    digits = -(-bits // 4)
    return " ".join(f"{code:0{digits}x}" for code in codes)
