"""What a case is, and how a file of cases is spelled (spec 8)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bfpemu.errors import BfpError
from bfpemu.formats import LAYOUTS, BFPSpec, Conversion, Layout, Preset
from bfpemu.formats.serialise import preset_to_dict
from bfpemu.reference import EncodedTensor, decode_tensor, encode_tensor, pack_tensor
from golden.patterns import Number, hex_words, patterns, width_of

VERSION = 1
FLOATS = ("float64", "float32", "float16", "bfloat16")


class Case(Protocol):
    """A named input whose answer the reference gives."""

    @property
    def name(self) -> str:
        """The reason why the case exists."""
        ...

    def record(self, preset: Preset) -> dict[str, Any]:
        """Return the case with its answer."""
        ...


@dataclass(frozen=True)
class Encode:
    """A tensor to encode."""

    name: str
    numbers: Sequence[Number]
    dtype: str = "float32"
    shape: tuple[int, ...] | None = None
    axis: int | None = -1
    exponents: Sequence[int] | None = None
    random_words: Sequence[int] | None = None

    def record(self, preset: Preset) -> dict[str, Any]:
        """Return the input, and the codes or the error."""
        shape = (len(self.numbers),) if self.shape is None else self.shape
        bits = patterns(self.numbers, self.dtype)
        record: dict[str, Any] = {"name": self.name, "dtype": self.dtype, "shape": shape, "axis": self.axis}
        record["input"] = hex_words(bits, width_of(self.dtype))
        if self.exponents is not None:
            record["exponents"] = list(self.exponents)
        if self.random_words is not None:
            record["random_words"] = hex_words(self.random_words, 32)
        supplied = {"exponents": self.exponents, "random_words": self.random_words}
        try:
            encoded = encode_tensor(bits, self.dtype, shape, preset, self.axis, **supplied)
        except BfpError as error:
            return record | {"error": error.code}
        return record | spelled_codes(encoded)


@dataclass(frozen=True)
class Codes:
    """The codes of a tensor, in the shapes of (spec 4.7)."""

    name: str
    shape: tuple[int, ...]
    exponent_codes: Sequence[int]
    element_codes: Sequence[int]
    shift_codes: Sequence[int] = ()
    axis: int | None = -1

    def tensor(self, preset: Preset) -> EncodedTensor:
        """Return the codes with the preset that says what they mean."""
        encoded = EncodedTensor(
            preset, self.shape, self.axis, list(self.exponent_codes), list(self.shift_codes), list(self.element_codes)
        )
        blocks = math.prod(encoded.blocking.exponent_shape)
        assert len(self.exponent_codes) == blocks, self.name
        assert len(self.shift_codes) == blocks * preset.format.shifts_per_block, self.name
        assert len(self.element_codes) == math.prod(self.shape), self.name
        return encoded


@dataclass(frozen=True)
class Decode:
    """Codes to decode into float dtypes."""

    codes: Codes
    dtypes: Sequence[str] = FLOATS

    @property
    def name(self) -> str:
        """The name of the codes."""
        return self.codes.name

    def record(self, preset: Preset) -> dict[str, Any]:
        """Return the codes and the bits of their values in each dtype."""
        encoded = self.codes.tensor(preset)
        output = {dtype: hex_words(decode_tensor(encoded, dtype), width_of(dtype)) for dtype in self.dtypes}
        return _head(self.codes) | spelled_codes(encoded) | {"output": output}


@dataclass(frozen=True)
class Pack:
    """Codes to pack, and to unpack again."""

    codes: Codes
    layout: str | None = None
    """A named layout (spec 5.5), or None for the preset's own."""

    @property
    def name(self) -> str:
        """The name of the codes."""
        return self.codes.name

    def record(self, preset: Preset) -> dict[str, Any]:
        """Return the codes and their bytes."""
        encoded = self.codes.tensor(preset)
        layout = None if self.layout is None else LAYOUTS[self.layout]
        chosen = {} if self.layout is None else {"layout": self.layout}
        return _head(self.codes) | chosen | spelled_codes(encoded) | {"bytes": pack_tensor(encoded, layout).hex()}


def _head(codes: Codes) -> dict[str, Any]:
    return {"name": codes.name, "shape": codes.shape, "axis": codes.axis}


def spelled_codes(encoded: EncodedTensor) -> dict[str, Any]:
    spec = encoded.preset.format
    spelled = {"exponent_codes": hex_words(encoded.exponent_codes, spec.exponent_bits)}
    if spec.sub_shift_bits:
        spelled["shift_codes"] = hex_words(encoded.shift_codes, spec.sub_shift_bits)
    return spelled | {"element_codes": hex_words(encoded.element_codes, spec.mantissa_bits)}


def file_text(operation: str, preset: Preset, cases: Sequence[Case]) -> str:
    """Return the text of one file of vectors: a JSON object with one line for each case (spec 8.2)."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), (preset.name, sorted(names))
    return json_text(operation, {"preset": preset_to_dict(preset)}, [case.record(preset) for case in cases])


def json_text(operation: str, head: dict[str, Any], records: Sequence[dict[str, Any]]) -> str:
    """Return a JSON object with a line for each key of its head and for each case (spec 8.2)."""
    keys = {"version": VERSION, "operation": operation} | head
    lines = [f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in keys.items()]
    body = ",\n".join(json.dumps(record) for record in records)
    return "{\n" + "".join(lines) + f'"cases": [\n{body}\n]\n}}\n'


def option(
    name: str,
    mantissa_bits: int = 8,
    block_size: int | tuple[int, ...] | None = 8,
    *,
    format: dict[str, Any] | None = None,
    conversion: dict[str, Any] | None = None,
    layout: dict[str, Any] | None = None,
) -> Preset:
    """Return a preset that differs from the default in what the name says."""
    spec = BFPSpec(name, mantissa_bits, block_size, **(format or {}))
    return Preset(spec, Conversion(**(conversion or {})), Layout(**(layout or {})))


File = tuple[Preset, list[Case]]
"""A preset and the cases of one operation for it."""
