"""What a device may have done with right words, or with its stimulus, other than computing them (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from bfpemu.formats import BFPSpec, Encoding
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, Bytes, Fields, WordLayout

FLAGS = ("invalid", "overflow", "underflow", "inexact", "saturated")
"""The bits of the field `flags`, the lowest first (spec 6.10)."""

Turned = tuple[str, Bytes]
"""What is different, and the words that come of it."""


def transforms(problem: Problem, right: Bytes, got: Bytes) -> Iterator[Turned]:
    """Yield what right words become in other orders, codes and flags."""
    items, given = problem.expected.unpack(right), problem.expected.unpack(got)
    yield from _orders(problem, right, items)
    yield from _codes(problem, items)
    yield from _substitutes(problem, items, given)
    yield from _flags(problem, items)
    yield from _flags_of_nan(problem, items, given)


def _orders(problem: Problem, right: Bytes, items: Fields) -> Iterator[Turned]:
    layout = problem.expected
    main = layout.fields[0]
    if main.count > 1:
        for text, lanes in _lane_orders(items[main.name]):
            yield text, layout.pack({**items, main.name: lanes})
    if main.width % 8 == 0 and main.width > 8:
        turned = _bytes_reversed(items[main.name], main.width)
        yield "bytes of every item reversed", layout.pack({**items, main.name: turned})
    if "shifts" in items:
        for text, codes in _other_shifts(problem.target.format, items["shifts"]):
            yield f"{text} in the expected words", layout.pack({**items, "shifts": codes})
    if layout.bits % 8 == 0:
        yield "bytes of the word reversed", right[:, ::-1]
    if len(layout.fields) > 1:
        fields = [(field.name, field.width, field.count) for field in reversed(layout.fields)]
        yield "fields of the word in the opposite order", WordLayout.of(fields).pack(items)


def _lane_orders(lanes: AnyArray) -> Iterator[tuple[str, AnyArray]]:
    """Yield items in other orders of their lanes."""
    yield "lanes reversed", lanes[:, ::-1]
    if lanes.shape[1] % 2 == 0 and lanes.shape[1] > 2:
        pairs = lanes.reshape(len(lanes), -1, 2)
        yield "neighbouring lanes swapped", pairs[:, :, ::-1].reshape(lanes.shape)
        yield "halves of the lanes swapped", np.roll(lanes, lanes.shape[1] // 2, axis=1)
    for step in (1, -1):
        if lanes.shape[1] > 2:
            yield f"lanes moved by {step}", np.roll(lanes, step, axis=1)


def _other_shifts(spec: BFPSpec, codes: AnyArray) -> Iterator[tuple[str, AnyArray]]:
    """Yield shift codes with their bits inverted, or of other sub-blocks of their blocks."""
    yield "shift codes inverted", codes ^ np.uint64((1 << spec.sub_shift_bits) - 1)
    blocks = codes.reshape(len(codes), -1, spec.shifts_per_block)
    if blocks.shape[2] > 1:
        for text, other in (
            ("shift codes of the next sub-block", np.roll(blocks, -1, axis=2)),
            ("shift codes of the sub-block before", np.roll(blocks, 1, axis=2)),
            ("shift codes of the first sub-block alone", np.repeat(blocks[..., :1], blocks.shape[2], axis=2)),
        ):
            yield text, other.reshape(codes.shape)
        yield "shift codes in the opposite order", blocks[..., ::-1].reshape(codes.shape)


def _bytes_reversed(items: AnyArray, width: int) -> AnyArray:
    found = np.ascontiguousarray(items.astype("<u8")).view(np.uint8).reshape(*items.shape, 8)[..., : width // 8]
    out = np.zeros((*items.shape, 8), np.uint8)
    out[..., : width // 8] = found[..., ::-1]
    return out.view("<u8")[..., 0].astype(np.uint64)


# ----------------------------------------------------------------------------------------- codes


def _codes(problem: Problem, items: Fields) -> Iterator[Turned]:
    """Yield elements in other codes of the same significands, or numbers with the other sign."""
    layout, main = problem.expected, problem.expected.fields[0]
    if main.name != "elements":
        sign = np.uint64(1 << (main.width - 1))
        yield f"the sign of every {main.name} inverted", layout.pack({**items, main.name: items[main.name] ^ sign})
        kind = problem.kind if main.name == "y" else problem.output
        for text, patterns in _exponent_fields(kind.exponent_bits, kind.fraction_bits, items[main.name]):
            yield text, layout.pack({**items, main.name: patterns})
        return
    if problem.target.format.has_sign:
        for text, codes in _recoded(problem.target.format, items[main.name]):
            yield f"elements in {text}", layout.pack({**items, main.name: codes})
        negated = _negated(problem.target.format, items[main.name])
        yield "every element negated", layout.pack({**items, main.name: negated})


def _exponent_fields(bits: int, point: int, patterns: AnyArray) -> Iterator[tuple[str, AnyArray]]:
    """Yield floats whose exponent field is one too low or too high, and wraps."""
    mask, ones = np.uint64(((1 << bits) - 1) << point), np.uint64((1 << bits) - 1)
    field = patterns >> np.uint64(point) & ones
    is_zero = patterns & np.uint64((1 << (bits + point)) - 1) == 0
    for which, chosen in (
        ("normal numbers", (field != 0) & (field != ones)),
        ("numbers other than 0", ~is_zero & (field != ones)),
        ("results other than 0", ~is_zero),
        ("results", np.ones_like(is_zero)),
    ):
        for text, step in (("low", ones), ("high", np.uint64(1))):
            moved = patterns & ~mask | (field + step & ones) << np.uint64(point)
            yield f"the exponent field of {which} is 1 too {text}", np.where(chosen, moved, patterns)


def _recoded(spec: BFPSpec, codes: AnyArray) -> Iterator[tuple[str, AnyArray]]:
    """Yield signed element codes in other encodings."""
    sign, ones = np.uint64(1 << (spec.mantissa_bits - 1)), np.uint64((1 << spec.mantissa_bits) - 1)
    magnitude = (
        np.uint64(0) - codes & ones if spec.encoding is Encoding.TWOS_COMPLEMENT else codes & (sign - np.uint64(1))
    )
    negative = codes & sign != 0
    complement = np.where(negative, np.uint64(0) - magnitude & ones, codes)
    if spec.encoding is Encoding.TWOS_COMPLEMENT:
        yield "sign and magnitude", np.where(negative, sign | magnitude & (sign - np.uint64(1)), codes)
    else:
        yield "two's complement", complement
    yield "ones' complement", np.where(negative, ones ^ magnitude & ones, codes)
    yield "offset binary", complement ^ sign


def _negated(spec: BFPSpec, codes: AnyArray) -> AnyArray:
    sign, ones = np.uint64(1 << (spec.mantissa_bits - 1)), np.uint64((1 << spec.mantissa_bits) - 1)
    found: AnyArray = np.uint64(0) - codes & ones if spec.encoding is Encoding.TWOS_COMPLEMENT else codes ^ sign
    return found


def _substitutes(problem: Problem, items: Fields, given: Fields) -> Iterator[Turned]:
    """Yield words in which one special item is always given as the device gives it where it first differs."""
    for field in problem.expected.fields:
        for name, code in _specials(problem, field.name, field.width).items():
            here = items[field.name] == np.uint64(code)
            others = given[field.name][here & (given[field.name] != items[field.name])]
            if not others.size:
                continue
            other, digits = others.flat[0], -(-field.width // 4)
            text = f"{name} given as {int(other):0{digits}x} instead of {code:0{digits}x}"
            yield text, problem.expected.pack({**items, field.name: np.where(here, other, items[field.name])})


def _specials(problem: Problem, field: str, width: int) -> dict[str, int]:
    """Return special items of a field by their names."""
    sign = 1 << (width - 1)
    if field == "exponents":
        spec = problem.target.format
        return {"the smallest exponent code": 0, "the exponent code of all ones": spec.all_ones_code}
    if field == "elements":
        return {"element 0": 0, "the element of the sign bit alone": sign} if problem.target.format.has_sign else {}
    if field not in ("y", "result"):
        return {}
    kind = problem.kind if field == "y" else problem.output
    infinity = ((1 << kind.exponent_bits) - 1) << kind.fraction_bits
    found = {"zero": 0, "-0": sign, "infinity": infinity, "-infinity": sign | infinity}
    return found | {"NaN": infinity | 1 << (kind.fraction_bits - 1)}


# ----------------------------------------------------------------------------------------- flags


def _flags(problem: Problem, items: Fields) -> Iterator[Turned]:
    """Yield words with a flag that is never or always set, and with flags in other places."""
    if "flags" not in items:
        return
    flags, pack = items["flags"], problem.expected.pack
    for bit, name in enumerate(FLAGS):
        one = np.uint64(1 << bit)
        yield f"flag {name} never set", pack({**items, "flags": flags & ~one})
        yield f"flag {name} always set", pack({**items, "flags": flags | one})
    bits = [flags >> np.uint64(bit) & np.uint64(1) for bit in range(len(FLAGS))]
    for a, b in combinations(range(len(FLAGS)), 2):
        moved = flags ^ (bits[a] ^ bits[b]) * np.uint64(1 << a | 1 << b)
        yield f"flags {FLAGS[a]} and {FLAGS[b]} swapped", pack({**items, "flags": moved})
    turned = np.bitwise_or.reduce([bit << np.uint64(4 - place) for place, bit in enumerate(bits)])
    yield "flags in the opposite order", pack({**items, "flags": turned})


def _flags_of_nan(problem: Problem, items: Fields, given: Fields) -> Iterator[Turned]:
    """Yield words in which the flags of a NaN, which nothing else follows, are those that the device gives."""
    if "flags" not in items or "result" not in items:
        return
    kind = problem.output
    infinity, sign = ((1 << kind.exponent_bits) - 1) << kind.fraction_bits, 1 << (problem.expected.fields[0].width - 1)
    is_nan = items["result"] & np.uint64(sign - 1) > np.uint64(infinity)
    if (is_nan & (given["flags"] != items["flags"])).any():
        flags = np.where(is_nan, given["flags"], items["flags"])
        yield "a NaN result has other flags", problem.expected.pack({**items, "flags": flags})


# -------------------------------------------------------------------------------------- stimulus


def other_stimuli(problem: Problem, stimulus: Stimulus) -> Iterator[tuple[str, Stimulus]]:
    """Yield what is different, and the stimulus that a device then reads."""
    presets = {"elements": problem.format, "a_elements": problem.format, "b_elements": problem.b}
    for field in problem.stimulus.fields:
        items = stimulus[field.name]
        if field.name == "x":
            yield "bytes of every x reversed on their way in", {**stimulus, "x": _bytes_reversed(items, field.width)}
            yield "NaN without the quiet bit read as infinities", {**stimulus, "x": _infinities(problem, items)}
        if field.name.endswith("shifts"):
            preset = problem.b if field.name == "b_shifts" else problem.format
            assert preset is not None
            for text, codes in _other_shifts(preset.format, items):
                yield f"{text} in the stimulus {field.name}", {**stimulus, field.name: codes}
        if field.name.endswith("exponents") and field.count > 1:
            first = np.repeat(items[:, :1], field.count, axis=1)
            yield f"every block has the first of the {field.name}", {**stimulus, field.name: first}
        preset = presets.get(field.name)
        if field.count > 1 and (preset is not None or field.name == "x"):
            for text, lanes in _lane_orders(items):
                yield f"{text} in the stimulus {field.name}", {**stimulus, field.name: lanes}
        if preset is not None and preset.format.has_sign:
            for text, codes in _read_as(preset.format, items):
                yield f"{field.name} read as {text}", {**stimulus, field.name: codes}
    if problem.unit == "add":
        assert problem.b is not None
        for side, preset in (("a", problem.format), ("b", problem.b)):
            negated = _negated(preset.format, stimulus[f"{side}_elements"])
            yield f"{side} subtracted instead of added", {**stimulus, f"{side}_elements": negated}
    if problem.b is not None and problem.b != problem.format and problem.a_flat.format == problem.b_flat.format:
        yield "operands swapped", _swapped(stimulus)


def _infinities(problem: Problem, x: AnyArray) -> AnyArray:
    """Return patterns with an infinity in place of each NaN whose highest bit of the fraction is 0."""
    fraction = np.uint64((1 << problem.kind.fraction_bits) - 1)
    ones = np.uint64(((1 << problem.kind.exponent_bits) - 1) << problem.kind.fraction_bits)
    is_quiet = x & np.uint64(1 << (problem.kind.fraction_bits - 1)) != 0
    found: AnyArray = np.where((x & ones == ones) & ~is_quiet, x & ~fraction, x)
    return found


def _swapped(stimulus: Stimulus) -> Stimulus:
    names = {"a_": "b_", "b_": "a_"}
    return {names.get(name[:2], name[:2]) + name[2:]: items for name, items in stimulus.items()}


def _read_as(spec: BFPSpec, codes: AnyArray) -> Iterator[tuple[str, AnyArray]]:
    """Yield codes of the format for what other encodings read in the same bits."""
    sign, ones = np.uint64(1 << (spec.mantissa_bits - 1)), np.uint64((1 << spec.mantissa_bits) - 1)
    low, negative = codes & (sign - np.uint64(1)), codes & sign != 0
    if spec.encoding is Encoding.TWOS_COMPLEMENT:
        yield "sign and magnitude", np.where(negative, np.uint64(0) - low & ones, codes)
        yield "ones' complement", np.where(negative, codes + np.uint64(1) & ones, codes)
        yield "offset binary", codes ^ sign
    else:
        least = low == 0  # has no place in sign and magnitude
        yield "two's complement", np.where(negative & ~least, sign | sign - low, codes)
