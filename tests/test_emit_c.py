"""Emitted C models (spec 13): compiled by gcc, and compared with the golden vectors and the reference bit for bit."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bfpemu.catalog import presets, resolve
from bfpemu.emit import Model, c_model, dpi_source, facts, systemverilog_package
from bfpemu.emit import unit as unit_facts
from bfpemu.emit.dtypes import FLOATS, INTEGERS, pattern_bits
from bfpemu.errors import BfpError, SpecError
from bfpemu.formats import BFPSpec, Conversion, ExponentRule, Preset, Rounding, SourceStep
from bfpemu.formats.serialise import preset_from_dict
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.formats.unit_serialise import unit_from_dict
from bfpemu.reference import EncodedBlock, decode_block, dot_blocks, encode_block, round_to_float
from bfpemu.reference.blocks import Blocking
from bfpemu.reference.dot import accumulated
from bfpemu.reference.group import Row
from bfpemu.reference.output import encoded
from bfpemu.reference.source import read_source
from bfpemu.testing import strategies, units
from bfpemu.units import unit as unit_named
from bfpemu.units import units as unit_names

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


class BlockDot(Dot):
    """One header's `dot` of a unit whose results are a block (spec 6.8)."""

    @property
    def output(self) -> Preset:
        assert isinstance(self.unit.output, Preset)
        return self.unit.output

    @property
    def adapter(self) -> str:
        shifts = ["as, " if self.a.sub_block_size else "", "bs, " if self.b.sub_block_size else ""]
        row = "const uint32_t *{0}c, const uint32_t *{0}s, const uint32_t *{0}e"
        codes = "code, shifts, " if self.output.format.sub_block_size else "code, "
        return (
            f"int {self.name}_d({row.format('a')}, {row.format('b')}, int32_t k, int32_t n, uint32_t *code, "
            f"uint32_t *shifts, uint32_t *elements, uint32_t *flags)\n"
            f"{{ (void)as, (void)bs, (void)shifts;\n"
            f"  return {self.name}_dot(ac, {shifts[0]}ae, bc, {shifts[1]}be, k, n, {codes}elements, flags); }}\n"
        )

    def block(
        self, library: ctypes.CDLL, a: Sequence[Sequence[int]], rows: Sequence[Sequence[Sequence[int]]]
    ) -> tuple[str | None, int, list[int], list[int], list[int]]:
        """Return the codes of the block of one `a` and some rows `b`, and the flags of each."""
        spec, n = self.output.format, len(rows)
        b = [[code for row in rows for code in row[part]] for part in range(3)]
        count = spec.elements_per_block or n
        code, shifts, elements = ctypes.c_uint32(), words(32, [9] * spec.shifts_per_block), words(32, [9] * count)
        flags, given = words(32, [99] * n), [words(32, part) for part in (*a, *b)]
        function = getattr(library, f"{self.name}_d")
        status = STATUS[function(*given, len(a[2]), n, ctypes.byref(code), shifts, elements, flags)]
        return status, code.value, list(shifts)[: spec.shifts_per_block], list(elements), list(flags)

    def results(
        self, library: ctypes.CDLL, a: Sequence[Sequence[int]], rows: Sequence[Sequence[Sequence[int]]]
    ) -> dict[str, Any]:
        """Return the results as a tensor of one axis, as a golden case has them (spec 8.10)."""
        size = self.output.format.elements_per_block or max(len(rows), 1)
        found: dict[str, Any] = {"exponent_codes": [], "shift_codes": [], "element_codes": [], "flags": []}
        for first in range(0, len(rows), size):
            own = rows[first : first + size]
            error, code, shifts, elements, flags = self.block(library, a, own)
            if error:
                return {"error": error}
            assert not any(elements[len(own) :])
            for key, codes in zip(found, ([code], shifts, elements[: len(own)], flags), strict=True):
                found[key] += codes
        return found


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_golden_dot_products(tmp_path: Path) -> None:
    models: dict[tuple[str, str, str], Dot] = {}
    files = documents("dot")
    for file in files:
        unit = unit_from_dict(file["unit"])
        formats = {name: BFPSpec(**fields) for name, fields in file["formats"].items()}
        for case in file["cases"]:
            key = dot_key(file, case)
            if key not in models:
                kind = BlockDot if isinstance(unit.output, Preset) else Dot
                models[key] = kind(len(models), unit, formats[key[1]], formats[key[2]])
    library = library_of(list(models.values()), tmp_path)
    wrong, compared, blocks = [], 0, 0
    for file in files:
        for case in file["cases"]:
            model, a = models[dot_key(file, case)], operand_codes(case["a"])
            if isinstance(model, BlockDot):
                rows = [operand_codes(row) for row in case["b"]]
                flags = {} if "error" in case else {"flags": case["flags"]}
                is_right = model.results(library, a, rows) == expected_codes(case) | flags
                blocks += 1
            else:
                is_right = model.answer(library, a, operand_codes(case["b"])) == (
                    0, int(case["output"], 16), case["flags"],
                )  # fmt: skip
            compared += 1
            if not is_right:
                wrong.append((model.unit.name, case["name"]))
    assert wrong == []
    assert compared - blocks > 5000
    assert blocks > 100


def dot_key(file: dict[str, Any], case: dict[str, Any]) -> tuple[str, str, str]:
    """Return unit and formats of a case; without a row b, the format of a stands for both."""
    first = case["a"]["format"]
    b = case["b"] if isinstance(case["b"], dict) else case["b"][0] if case["b"] else {"format": first}
    return file["unit"]["name"], first, b["format"]


# --- drawn formats, conversions and units, against the reference ----------------------------

DRAWN = 30
"""Formats that are compiled together here; the same functions were run over thousands."""


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Return as many examples of a strategy, the same ones in every run."""
    found: list[Any] = []

    @seed(13)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


@st.composite
def blocks_to_encode(draw: st.DrawFn) -> tuple[Preset, str, list[Any]]:
    preset, dtype = draw(strategies.presets()), draw(strategies.dtypes())
    spec, blocks = preset.format, []
    for _ in range(6):
        count = draw(st.integers(1, spec.elements_per_block or 20) | st.just(spec.elements_per_block or 20))
        exponent = draw(st.integers(spec.smallest_exponent - 1, spec.largest_exponent + 1))
        randoms = draw(st.lists(st.integers(0, (1 << 32) - 1), min_size=count, max_size=count))
        blocks.append((draw(strategies.words(dtype, count)), exponent, randoms))
    return preset, dtype, blocks


def reference_codes(preset: Preset, dtype: str, block: Any) -> tuple[str | None, int, list[int], list[int]]:
    patterns, exponent, randoms = block
    is_given = preset.conversion.exponent_rule is ExponentRule.GIVEN
    is_random = preset.conversion.rounding is Rounding.STOCHASTIC
    values = [read_source(pattern, dtype, preset.conversion) for pattern in patterns]
    try:
        codes = encode_block(
            values, preset, exponent=exponent if is_given else None, random_words=randoms if is_random else None
        )
    except BfpError as error:
        return error.code, 0, [], []
    return None, codes.exponent_code, list(codes.shift_codes), list(codes.element_codes)


def test_drawn_conversions_are_those_of_the_reference(tmp_path: Path) -> None:
    examples = drawn(blocks_to_encode(), DRAWN)
    codecs = [Codec(number, preset, sorted({dtype, *FLOATS})) for number, (preset, dtype, _) in enumerate(examples)]
    library = library_of(codecs, tmp_path)
    wrong = []
    for codec, (preset, dtype, blocks) in zip(codecs, examples, strict=True):
        for block in blocks:
            error, code, shifts, elements = reference_codes(preset, dtype, block)
            answer = codec.encode(library, block[0], dtype, *block[1:])
            if error is not None:
                wrong += [(preset, dtype, block)] if answer[0] != error else []
                continue
            if answer != (None, code, shifts, elements):
                wrong.append((preset, dtype, block))
            values = decode_block(EncodedBlock(code, tuple(shifts), tuple(elements)), preset.format)
            for target in FLOATS:
                patterns = [round_to_float(value, target) for value in values]
                if codec.decode(library, code, shifts, elements, target) != patterns:
                    wrong.append((preset, target, code, shifts, elements))
    assert wrong == []


@st.composite
def row(draw: st.DrawFn, spec: BFPSpec, length: int) -> list[list[int]]:
    """Draw a row whose exponents are near each other, so that addends interact."""
    blocks = -(-length // (spec.elements_per_block or max(length, 1)))
    centre = draw(st.integers(0, spec.all_ones_code))
    near = st.integers(max(centre - 8, 0), min(centre + 8, spec.all_ones_code))
    largest_shift, largest = (1 << spec.sub_shift_bits) - 1, (1 << spec.mantissa_bits) - 1
    element = st.integers(0, largest) | st.sampled_from([0, 1, largest, 1 << (spec.mantissa_bits - 1)])
    parts = ((near, blocks), (st.integers(0, largest_shift), blocks * spec.shifts_per_block), (element, length))
    return [draw(st.lists(code, min_size=count, max_size=count)) for code, count in parts]


@st.composite
def rows_to_multiply(draw: st.DrawFn) -> tuple[DotProductUnit, BFPSpec, BFPSpec, list[Any]]:
    # Narrow exponents in the middle of what float formats hold: most results are finite.
    middle = {"exponent_bits": 6, "exponent_bias": 30, "fraction_bits": 8}
    a, b = (dataclasses.replace(draw(strategies.specs()), **middle) for _ in range(2))
    lengths = draw(st.lists(st.integers(0, 40), min_size=8, max_size=8))
    pairs = [(draw(row(a, length)), draw(row(b, length))) for length in lengths]
    return draw(units.units()), a, b, pairs


@pytest.mark.slow
def test_drawn_units_are_those_of_the_reference(tmp_path: Path) -> None:
    examples = drawn(rows_to_multiply(), DRAWN)
    models = [
        # No more limbs than the longest row needs, so that one too few shows.
        Dot(number, unit, a, b, max(1, *(len(x[2]) for x, _ in pairs)))
        for number, (unit, a, b, pairs) in enumerate(examples)
    ]
    library = library_of(models, tmp_path)
    wrong = []
    for model, (unit, a, b, pairs) in zip(models, examples, strict=True):
        for x, y in pairs:
            result = dot_blocks(*x, a, *y, b, unit)
            if model.answer(library, x, y) != (0, result.pattern, result.flags):
                wrong.append((unit, a, b, x, y))
    assert wrong == []


@st.composite
def blocks_of_results(draw: st.DrawFn) -> tuple[DotProductUnit, BFPSpec, BFPSpec, list[Any]]:
    """Draw a unit whose results are blocks, and some rows `b` for one `a`, up to a block of them."""
    middle = {"exponent_bits": 6, "exponent_bias": 30, "fraction_bits": 8}
    a, b = (dataclasses.replace(draw(strategies.specs()), **middle) for _ in range(2))
    unit = dataclasses.replace(draw(units.units()), output=draw(units.block_outputs()))
    most = unit.output.format.elements_per_block or 5
    blocks = []
    for length in draw(st.lists(st.integers(0, 24), min_size=6, max_size=6)):
        count = draw(st.integers(1, min(most, 6)))
        blocks.append((draw(row(a, length)), [draw(row(b, length)) for _ in range(count)]))
    return unit, a, b, blocks


def reference_block(
    unit: DotProductUnit, a: BFPSpec, b: BFPSpec, x: list[list[int]], rows: list[list[list[int]]]
) -> tuple[str | None, int, list[int], list[int], list[int]]:
    """Return a block of results by the reference; a block over several axes counts by its elements."""
    preset = unit.output
    assert isinstance(preset, Preset)
    flat = dataclasses.replace(preset.format, block_size=preset.format.elements_per_block)
    unit = dataclasses.replace(unit, output=Preset(flat, preset.conversion))
    sums = [accumulated(Row(*x, a), Row(*y, b), unit) for y in rows]
    try:
        tensor, raised = encoded([found.value for found in sums], (len(rows),), unit)
    except BfpError as error:
        return error.code, 0, [], [], []
    flags = [int(found.flags | flag) for found, flag in zip(sums, raised, strict=True)]
    return None, tensor.exponent_codes[0], tensor.shift_codes, tensor.element_codes, flags


@pytest.mark.slow
def test_drawn_units_with_results_in_blocks_are_those_of_the_reference(tmp_path: Path) -> None:
    examples = drawn(blocks_of_results(), DRAWN)
    models = [
        BlockDot(number, unit, a, b, max(1, *(len(x[2]) for x, _ in blocks)))
        for number, (unit, a, b, blocks) in enumerate(examples)
    ]
    library = library_of(models, tmp_path)
    wrong, compared = [], 0
    for model, (unit, a, b, blocks) in zip(models, examples, strict=True):
        for x, rows in blocks:
            wanted, found = reference_block(unit, a, b, x, rows), model.block(library, x, rows)
            if wanted[0] is None:
                compared += 1
                found = (*found[:3], found[3][: len(rows)], found[4])
            if found[0] != wanted[0] or (wanted[0] is None and found != wanted):
                wrong.append((unit, a, b, x, rows, found, wanted))
    assert wrong == []
    assert compared > 4 * DRAWN


def test_every_preset_and_every_unit_has_golden_vectors_that_its_model_is_compared_with() -> None:
    for operation in ("encode", "decode"):
        assert set(presets()) <= {file["preset"]["format"]["name"] for file in documents(operation)}
    assert set(unit_names()) <= {file["unit"]["name"] for file in documents("dot")}


@pytest.mark.slow
def test_every_unit_takes_every_preset_that_its_groups_fit(tmp_path: Path) -> None:
    text, written, names = "", 0, list(unit_names())
    for number, (name, preset) in enumerate(presets().items()):
        for place, word in enumerate(names):
            try:
                header = c_model(Model(preset, f"m{number}_{place}", ("float32",), unit_named(word), None, 64))
            except SpecError as error:
                assert error.code == "unit", (name, word)
                continue
            written += 1
            if number % len(names) == place:  # one of them is compiled, with each unit in turn
                text += header
    compiled({"all.c": text}, tmp_path)
    assert written > 5 * len(presets())


# --- what is refused, and what text is written ----------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class Later(SourceStep):
    """A description with a field that the C files have never heard of."""

    invented: int = 0


def test_a_field_that_the_c_files_do_not_know_is_refused() -> None:
    preset = Preset(BFPSpec("mine", 8, 16), Conversion(source_chain=(Later(fraction_bits=7),)))
    with pytest.raises(SpecError, match="invented") as caught:
        c_model(Model(preset, "mine"))
    assert caught.value.code == "emit"


def test_a_value_that_the_c_files_do_not_know_is_refused() -> None:
    known = dict(facts.FORMAT_CHOICES, encoding=("unsigned",))
    with pytest.raises(SpecError, match="'twos_complement'") as caught:
        facts.chosen(BFPSpec("mine", 8, 16), known, facts.FORMAT_NUMBERS)
    assert caught.value.code == "emit"


@pytest.mark.parametrize(
    "kind, choices, numbers",
    [
        (BFPSpec, facts.FORMAT_CHOICES, facts.FORMAT_NUMBERS),
        (Conversion, facts.CONVERSION_CHOICES, facts.CONVERSION_NUMBERS),
        (SourceStep, facts.STEP_CHOICES, facts.STEP_NUMBERS),
        (DotProductUnit, unit_facts.UNIT_CHOICES, unit_facts.UNIT_NUMBERS),
        (Accumulator, unit_facts.ACCUMULATOR_CHOICES, unit_facts.ACCUMULATOR_NUMBERS),
        (FloatFormat, unit_facts.FLOAT_CHOICES, unit_facts.FLOAT_NUMBERS),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_every_field_of_the_specification_is_known(
    kind: type, choices: dict[str, Any], numbers: tuple[str, ...]
) -> None:
    assert {field.name for field in dataclasses.fields(kind)} == {*choices, *numbers}


def test_headers_are_c_plus_plus_too_and_may_stand_side_by_side(tmp_path: Path) -> None:
    assert shutil.which("g++"), "g++ must be installed: test benches are compiled as C++"
    text = ""
    # Names that hold the words of the C files themselves must come out right.
    for name, unit in (("BFP_bfp", None), ("bfp_a", "mxdotp"), ("bfp", "t_fdpa_24")):
        model = Model(
            resolve("bfp8"), name, (), unit and unit_named(unit), resolve("8x16") if unit else None, 256, True
        )
        (tmp_path / f"{name}.h").write_text(c_model(model), encoding="utf-8")
        text += dpi_source(model, f"{name}.h")
    (tmp_path / "all.cpp").write_text(text, encoding="utf-8")
    command = ["g++", "-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-c", "-o", "all.o", "all.cpp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_header_has_only_integers_and_only_what_its_format_needs() -> None:
    text = c_model(Model(resolve("bfp8"), "bfp8", ("float32",), unit_named("fp32_sequential")))
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert set(re.findall(r"#include.*", code)) == {"#include <stdint.h>"}
    assert not re.search(r"\b(float|double|malloc|free|__int128)\b", code)
    assert "random" not in code
    assert "shift_codes" not in code
    assert "TIES_AWAY" not in code
    assert not re.search(r"\bbfp_|\bBFP_", code)


def test_a_number_of_elements_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    codec = Codec(0, resolve("bfp8"), ("float32",))
    unit = Dot(1, unit_named("exact"), codec.preset.format, codec.preset.format, max_k=4)
    text = "".join(f'#include "{model.name}.h"\n{model.adapter}' for model in (codec, unit))
    library = compiled({"m0.h": codec.header, "u1.h": unit.header, "all.c": text}, tmp_path)
    assert library.m0_e_float32(None, 0, 0, None, None, None, None) == 1
    assert library.m0_e_float32(None, 33, 0, None, None, None, None) == 1
    assert unit.answer(library, [[127], [], [1] * 5], [[127], [], [1] * 5])[0] == 1
    assert unit.answer(library, [[127], [], [1] * 4], [[127], [], [1] * 4])[0] == 0


# --- DPI-C ----------------------------------------------------------------------------------

BENCH = """
`include "dut_pkg.svh"
module bench;
    import dut_pkg::*;
    bit [127:0] patterns [0:{last}];
    int unsigned code, b_code, flags;
    bit [3:0] shifts;
    bit [19:0] elements;
    bit [39:0] b_elements;
    bit [63:0] values;
    longint unsigned result;
    int status;
    initial begin
        $readmemh("patterns.hex", patterns);
        for (int i = 0; i <= {last}; i++) begin
            status = encode_float32(patterns[i], 4, code, shifts, elements);
            $display("%0d %h %h %h", status, code, shifts, elements);
            decode_float16(code, shifts, elements, values);
            $display("%h", values);
            status = encode_b_float32({{patterns[i], patterns[i]}}, 8, b_code, b_elements);
            $display("%0d %h %h", status, b_code, b_elements);
            status = dot({{code[8:0], code[8:0]}}, {{shifts, shifts}}, {{elements, elements}},
                         b_code[4:0], b_elements, 7, result, flags);
            $display("%0d %h %h", status, result, flags);
        end
        $finish;
    end
endmodule
"""


def fields(count: int, bits: int, numbers: Sequence[int]) -> str:
    """A vector as %h prints it: field i at bit i * bits."""
    return f"{sum(number << (i * bits) for i, number in enumerate(numbers)):0{-(-count * bits // 4)}x}"


def bench_lines(a: Preset, b: Preset, unit: DotProductUnit, patterns: Sequence[int]) -> list[str]:
    """What the bench must print for one block, by the reference."""
    values = [read_source(pattern, "float32", a.conversion) for pattern in patterns]
    x, y = encode_block(values, a), encode_block([*values, *values], b)
    halves = [round_to_float(value, "float16") for value in decode_block(x, a.format)]
    result = dot_blocks(
        [x.exponent_code] * 2, x.shift_codes * 2, (x.element_codes * 2)[:7], a.format,
        [y.exponent_code], (), y.element_codes[:7], b.format, unit,
    )  # fmt: skip
    return [
        f"0 {x.exponent_code:08x} {fields(2, 2, x.shift_codes)} {fields(4, 5, x.element_codes)}",
        fields(4, 16, halves),
        f"0 {y.exponent_code:08x} {fields(8, 5, y.element_codes)}",
        f"0 {result.pattern:016x} {result.flags:08x}",
    ]


def packed(count: int, bits: int, numbers: Sequence[int]) -> Any:
    """A vector as DPI-C hands it over: 32-bit words, field i at bit i * bits."""
    number = sum(code << (i * bits) for i, code in enumerate(numbers))
    return words(32, [number >> (32 * i) & 0xFFFFFFFF for i in range(-(-count * bits // 32))])


def unpacked(vector: Any, count: int, bits: int) -> list[int]:
    number = sum(word << (32 * i) for i, word in enumerate(vector))
    return [number >> (i * bits) & ((1 << bits) - 1) for i in range(count)]


def test_vectors_of_dpi_hold_the_rows_and_the_flags_of_a_block(tmp_path: Path) -> None:
    a, b = BFPSpec("a", 5, 4, 6), BFPSpec("b", 3, 2, 5, sub_block_size=1, sub_shift_bits=1)
    output = Preset(BFPSpec("out", 4, 6, 8, sub_block_size=2, sub_shift_bits=2))
    unit = DotProductUnit(accumulator=Accumulator(kind="float", format="fp16"), output=output)
    model = Model(Preset(a), "dut", ("float32",), unit, Preset(b), 8, True)
    _, _, ports = systemverilog_package(model).partition("_dpi_dot")
    assert re.findall(r"bit \[.* (?:b_\w+|shift_codes|flags)", ports) == [
        "bit [119:0] b_exponent_codes", "bit [47:0] b_shift_codes", "bit [143:0] b_element_codes",
        "bit [5:0] shift_codes", "bit [29:0] flags",
    ]  # fmt: skip
    library = compiled({"dut.h": c_model(model), "all.c": dpi_source(model, "dut.h")}, tmp_path)
    for x, *rows in drawn(st.tuples(row(a, 7), *[row(b, 7)] * 5), 12):
        y = [[code for found in rows for code in found[part]] for part in range(3)]
        code, shifts, elements, flags = ctypes.c_uint32(), words(32, [7]), words(32, [7]), words(32, [7])
        status = library.dut_dpi_dot(
            packed(2, 6, x[0]), packed(8, 5, x[2]),
            packed(24, 5, y[0]), packed(48, 1, y[1]), packed(48, 3, y[2]), 7, 5,
            ctypes.byref(code), shifts, elements, flags,
        )  # fmt: skip
        wanted = reference_block(unit, a, b, x, rows)
        assert (status, code.value) == (0, wanted[1])
        assert unpacked(shifts, 3, 2) == wanted[2]
        assert unpacked(elements, 6, 4) == [*wanted[3], 0]
        assert unpacked(flags, 6, 5) == [*wanted[4], 0]


@pytest.mark.slow
def test_a_bench_of_verilator_imports_the_model(tmp_path: Path) -> None:
    assert shutil.which("verilator"), "verilator must be installed: DPI-C is tried in a simulator, and nowhere else"
    a = Preset(BFPSpec("a", 5, 4, 9, sub_block_size=2, sub_shift_bits=2))
    b = Preset(BFPSpec("b", 5, 8, 5, encoding="sign_magnitude"), Conversion(negative_zero="keep"))
    unit = unit_named("t_fdpa_24")
    model = Model(a, "dut", ("float32", "float16"), unit, b, 8, True)
    blocks = drawn(strategies.float_words("float32", 4), 40)
    texts = {
        "dut.h": c_model(model),
        "dut_dpi.c": dpi_source(model, "dut.h"),
        "dut_pkg.svh": systemverilog_package(model),
        "bench.sv": BENCH.format(last=len(blocks) - 1),
        "patterns.hex": "\n".join(fields(4, 32, block) for block in blocks) + "\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    quick = "OPT_GLOBAL=-O0 OPT_FAST=-O0 OPT_SLOW=-O0"
    build = ["verilator", "--main", "--exe", "--build", "-Wall", "-Wno-UNUSEDSIGNAL", "--top-module", "bench"]
    build += ["-MAKEFLAGS", quick, "bench.sv", "dut_dpi.c"]
    made = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[:4000]
    ran = subprocess.run(["obj_dir/Vbench"], cwd=tmp_path, capture_output=True, text=True, check=True)
    printed = [line for line in ran.stdout.splitlines() if not line.startswith("-")]
    assert printed == [line for block in blocks for line in bench_lines(a, b, unit, block)]
