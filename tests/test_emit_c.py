"""Emitted C models (spec 13): compiled by gcc, and compared with the golden vectors and the reference bit for bit."""

from __future__ import annotations

import ctypes
import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bfpemu.emit import Model, c_model
from bfpemu.emit.dtypes import FLOATS, INTEGERS, pattern_bits
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec, ExponentRule, Preset, Rounding
from bfpemu.formats.serialise import preset_from_dict
from bfpemu.formats.unit import DotProductUnit
from bfpemu.formats.unit_serialise import unit_from_dict
from bfpemu.reference.blocks import Blocking

VECTORS = Path(__file__).parents[1] / "golden_vectors"
DTYPES = (*FLOATS, *INTEGERS)
FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
STATUS = {0: None, 2: "nan", 3: "infinity", 4: "exponent-overflow", 5: "exponent-given"}
"""What a function returns -> the error code of the specification (spec 9.3, 13.5)."""


def compiled(sources: dict[str, str], folder: Path, *options: str) -> ctypes.CDLL:
    """Write headers and ``all.c``, and return the library that gcc makes of them."""
    assert shutil.which("gcc"), "gcc must be installed: the emitted C is compiled here, and no other test does it"
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8")
    command = ["gcc", *FLAGS, *(options or ("-O0",)), "-fPIC", "-shared", "-o", "all.so", "all.c"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(folder / "all.so"))


def words(bits: int, numbers: Sequence[int]) -> Any:
    return (getattr(ctypes, f"c_uint{bits}") * max(len(numbers), 1))(*numbers)


class Codec:
    """One header's `encode` and `decode`, behind functions of one signature for all formats."""

    def __init__(self, number: int, preset: Preset, dtypes: Sequence[str] = DTYPES) -> None:
        self.name = f"m{number}"
        self.preset = preset
        self.dtypes = tuple(dtypes)
        self.header = c_model(Model(preset, self.name, self.dtypes))

    @property
    def adapter(self) -> str:
        """C that calls the header's functions with the arguments that they have."""
        is_given = self.preset.conversion.exponent_rule is ExponentRule.GIVEN
        is_random = self.preset.conversion.rounding is Rounding.STOCHASTIC
        shifts = "shifts, " if self.preset.format.sub_block_size else ""
        extra = ("exponent, " if is_given else "") + ("randoms, " if is_random else "")
        lines = []
        for dtype in self.dtypes:
            pattern = f"uint{pattern_bits(dtype)}_t"
            lines.append(
                f"int {self.name}_e_{dtype}(const {pattern} *x, int32_t n, int32_t exponent, const uint32_t *randoms, "
                f"uint32_t *code, uint32_t *shifts, uint32_t *elements)\n"
                f"{{ (void)exponent, (void)randoms, (void)shifts;\n"
                f"  return {self.name}_encode_{dtype}(x, n, {extra}code, {shifts}elements); }}"
            )
            if dtype in FLOATS:
                lines.append(
                    f"void {self.name}_d_{dtype}(uint32_t code, const uint32_t *shifts, const uint32_t *elements, "
                    f"int32_t n, {pattern} *x)\n"
                    f"{{ (void)shifts; {self.name}_decode_{dtype}(code, {shifts}elements, n, x); }}"
                )
        return "\n".join(lines) + "\n"

    def encode(
        self, library: ctypes.CDLL, patterns: Sequence[int], dtype: str, exponent: int = 0, randoms: Sequence[int] = ()
    ) -> tuple[str | None, int, list[int], list[int]]:
        spec = self.preset.format
        code, count = ctypes.c_uint32(), spec.elements_per_block or len(patterns)
        shifts, elements = words(32, [9] * spec.shifts_per_block), words(32, [9] * count)
        source = words(pattern_bits(dtype), patterns)
        function = getattr(library, f"{self.name}_e_{dtype}")
        arguments = (source, len(patterns), exponent, words(32, randoms), ctypes.byref(code), shifts, elements)
        status = STATUS[function(*arguments)]
        return status, code.value, list(shifts)[: spec.shifts_per_block], list(elements)

    def decode(
        self, library: ctypes.CDLL, code: int, shifts: Sequence[int], elements: Sequence[int], dtype: str
    ) -> list[int]:
        patterns = words(pattern_bits(dtype), [0] * len(elements))
        function = getattr(library, f"{self.name}_d_{dtype}")
        function(code, words(32, shifts), words(32, elements), len(elements), patterns)
        return list(patterns)[: len(elements)]


def library_of(codecs: Sequence[Codec | Dot], folder: Path, *options: str) -> ctypes.CDLL:
    sources = {f"{codec.name}.h": codec.header for codec in codecs}
    text = "".join(f'#include "{codec.name}.h"\n' for codec in codecs)
    # Nothing else calls the adapters, so each is declared first: -Wextra asks for it in the strictest sets.
    return compiled(sources | {"all.c": text + "".join(codec.adapter for codec in codecs)}, folder, *options)


class Dot:
    """One header's `dot`, behind a function of one signature for all formats and units."""

    def __init__(self, number: int, unit: DotProductUnit, a: BFPSpec, b: BFPSpec, max_k: int = 1 << 16) -> None:
        self.name = f"u{number}"
        self.unit, self.a, self.b = unit, a, b
        second = None if a == b else Preset(b)
        self.header = c_model(Model(Preset(a), self.name, ("float32",), unit, second, max_k))

    @property
    def adapter(self) -> str:
        shifts = ["as, " if self.a.sub_block_size else "", "bs, " if self.b.sub_block_size else ""]
        row = "const uint32_t *{0}c, const uint32_t *{0}s, const uint32_t *{0}e"
        return (
            f"int {self.name}_d({row.format('a')}, {row.format('b')}, int32_t k, uint64_t *output, uint32_t *flags)\n"
            f"{{ (void)as, (void)bs;\n"
            f"  return {self.name}_dot(ac, {shifts[0]}ae, bc, {shifts[1]}be, k, output, flags); }}\n"
        )

    def answer(
        self, library: ctypes.CDLL, a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]
    ) -> tuple[int, int, int]:
        output, flags = ctypes.c_uint64(), ctypes.c_uint32()
        codes = [words(32, part) for part in (*a, *b)]
        function = getattr(library, f"{self.name}_d")
        status = function(*codes, len(a[2]), ctypes.byref(output), ctypes.byref(flags))
        return status, output.value, flags.value


# --- golden vectors (spec 8.6, 8.7) ---------------------------------------------------------


def hexes(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def documents(operation: str) -> list[dict[str, Any]]:
    paths = sorted((VECTORS / operation).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def encoded_tensor(codec: Codec, library: ctypes.CDLL, case: dict[str, Any]) -> dict[str, Any]:
    """Encode a case block by block; blocking is the caller's work (spec 13.6)."""
    spec, shape = codec.preset.format, tuple(case["shape"])
    blocking = Blocking.of(shape, spec, case["axis"])
    patterns, randoms = hexes(case["input"]), hexes(case.get("random_words", ""))
    blocks = math.prod(blocking.exponent_shape)
    answer = {
        "exponent_codes": [0] * blocks,
        "shift_codes": [0] * blocks * spec.shifts_per_block,
        "element_codes": [0] * len(patterns),
    }
    for (row, block), slots in blocking.positions().items():
        at = blocking.exponent_position(row, block)
        members = [slots[slot] for slot in sorted(slots)]
        status, code, shifts, elements = codec.encode(
            library,
            [patterns[member] for member in members],
            case["dtype"],
            case["exponents"][at] if "exponents" in case else 0,
            [randoms[member] for member in members] if randoms else (),
        )
        if status:
            return {"error": status}
        answer["exponent_codes"][at] = code
        answer["shift_codes"][at * spec.shifts_per_block : (at + 1) * spec.shifts_per_block] = shifts
        for member, element in zip(members, elements, strict=False):
            answer["element_codes"][member] = element
        assert not any(elements[len(members) :])
    return answer


def decoded_tensor(codec: Codec, library: ctypes.CDLL, case: dict[str, Any], dtype: str) -> list[int]:
    spec, shape = codec.preset.format, tuple(case["shape"])
    blocking, per_block = Blocking.of(shape, spec, case["axis"]), spec.shifts_per_block
    codes, shifts, elements = (hexes(case.get(f"{kind}_codes", "")) for kind in ("exponent", "shift", "element"))
    answer = [0] * len(elements)
    for (row, block), slots in blocking.positions().items():
        at = blocking.exponent_position(row, block)
        members = [slots[slot] for slot in sorted(slots)]
        own = shifts[at * per_block : (at + 1) * per_block]
        values = codec.decode(library, codes[at], own, [elements[member] for member in members], dtype)
        for member, value in zip(members, values, strict=True):
            answer[member] = value
    return answer


def expected_codes(case: dict[str, Any]) -> dict[str, Any]:
    if "error" in case:
        return {"error": case["error"]}
    return {f"{kind}_codes": hexes(case.get(f"{kind}_codes", "")) for kind in ("exponent", "shift", "element")}


def refused_before_any_block(preset: Preset, case: dict[str, Any]) -> str | None:
    """Return the error of a case about arrays of several blocks, which no function here takes (spec 13.6)."""
    try:
        blocking = Blocking.of(case["shape"], preset.format, case["axis"])
    except BfpError as error:
        return error.code
    is_given = preset.conversion.exponent_rule is ExponentRule.GIVEN
    if len(case.get("exponents", ())) != is_given * math.prod(blocking.exponent_shape):
        return "exponent-given"
    is_random = preset.conversion.rounding is Rounding.STOCHASTIC
    count = len(hexes(case.get("random_words", "")))
    return "random-words" if count != is_random * len(hexes(case["input"])) else None


def test_golden_encodings(tmp_path: Path) -> None:
    files = documents("encode")
    codecs = [
        Codec(number, preset_from_dict(file["preset"]), sorted({case["dtype"] for case in file["cases"]}))
        for number, file in enumerate(files)
    ]
    library = library_of(codecs, tmp_path)
    wrong, compared = [], 0
    for codec, file in zip(codecs, files, strict=True):
        for case in file["cases"]:
            refused = refused_before_any_block(codec.preset, case)
            if refused is not None:
                assert case["error"] == refused
                continue
            compared += 1
            if encoded_tensor(codec, library, case) != expected_codes(case):
                wrong.append((codec.preset.name, case["name"]))
    assert wrong == []
    assert compared > 7000


def test_golden_decodings(tmp_path: Path) -> None:
    files = documents("decode")
    codecs = [Codec(number, preset_from_dict(file["preset"]), tuple(FLOATS)) for number, file in enumerate(files)]
    library = library_of(codecs, tmp_path)
    wrong, compared = [], 0
    for codec, file in zip(codecs, files, strict=True):
        for case in file["cases"]:
            for dtype, patterns in case["output"].items():
                compared += 1
                if decoded_tensor(codec, library, case, dtype) != hexes(patterns):
                    wrong.append((codec.preset.name, case["name"], dtype))
    assert wrong == []
    assert compared > 900


def operand_codes(given: dict[str, Any]) -> list[list[int]]:
    return [hexes(given.get(f"{kind}_codes", "")) for kind in ("exponent", "shift", "element")]


def test_golden_dot_products(tmp_path: Path) -> None:
    models: dict[tuple[str, str, str], Dot] = {}
    files = documents("dot")
    for file in files:
        unit = unit_from_dict(file["unit"])
        formats = {name: BFPSpec(**fields) for name, fields in file["formats"].items()}
        for case in file["cases"]:
            a, b = case["a"]["format"], case["b"]["format"]
            key = (unit.name, a, b)
            if key not in models:
                models[key] = Dot(len(models), unit, formats[a], formats[b])
    library = library_of(list(models.values()), tmp_path)
    wrong, compared = [], 0
    for file in files:
        for case in file["cases"]:
            model = models[file["unit"]["name"], case["a"]["format"], case["b"]["format"]]
            answer = model.answer(library, operand_codes(case["a"]), operand_codes(case["b"]))
            compared += 1
            if answer != (0, int(case["output"], 16), case["flags"]):
                wrong.append((model.unit.name, case["name"], answer))
    assert wrong == []
    assert compared > 5000
