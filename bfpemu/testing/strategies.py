"""Hypothesis strategies for formats, conversions, layouts and adversarial bit patterns.

Uniform random numbers hardly ever reach a tie, a carry or a boundary of the exponent; these
strategies are built around them. Each docstring says which hole it closes.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from bfpemu.formats import (
    BFPSpec,
    BitOrder,
    Conversion,
    DecodeUnderflow,
    Encoding,
    ExponentOverflow,
    ExponentPosition,
    ExponentRule,
    InfinityPolicy,
    Layout,
    MatrixAxis,
    NanPolicy,
    NegativeZero,
    NegativeZeroCode,
    RecordGroup,
    ReservedExponent,
    Rounding,
    SignificandRange,
    SourceStep,
    SourceSubnormals,
    StepCarry,
    StepOverflow,
    StepUnderflow,
)
from bfpemu.formats.preset import Preset

FLOAT_WIDTHS = {"float64": (11, 52), "float32": (8, 23), "float16": (5, 10), "bfloat16": (8, 7)}
"""dtype -> exponent and fraction bits."""
INTEGER_WIDTHS = {f"{sign}int{bits}": bits for sign in ("", "u") for bits in (8, 16, 32, 64)}
"""dtype -> bits."""

_NEGATIVE_ZEROS = {
    Encoding.TWOS_COMPLEMENT: [NegativeZero.DROP, NegativeZero.SIGN_FILL],
    Encoding.SIGN_MAGNITUDE: [NegativeZero.DROP, NegativeZero.KEEP],
    Encoding.UNSIGNED: [NegativeZero.DROP],
}
_TWO_LEVEL_RULES = [ExponentRule.RCEIL, ExponentRule.FLOOR, ExponentRule.CEIL]


def _deterministic_roundings() -> st.SearchStrategy[Rounding]:
    return st.sampled_from([mode for mode in Rounding if mode is not Rounding.STOCHASTIC])


@st.composite
def specs(draw: st.DrawFn) -> BFPSpec:
    """Draw a format with any widths; narrow exponents and biases far from the middle reach every clamp."""
    has_sign = draw(st.booleans() | st.just(value=True))
    mantissa_bits = draw(st.integers(2 if has_sign else 1, 32) | st.integers(2, 9))
    exponent_bits = draw(st.integers(1, 16) | st.sampled_from([5, 8]))
    two_levels = draw(st.integers(0, 3)) == 0
    sub_block_size = draw(st.integers(1, 4)) if two_levels else None
    block_size = draw(st.integers(1, 4)) * sub_block_size if sub_block_size else draw(st.integers(1, 40) | st.none())
    encoding = draw(st.sampled_from([Encoding.TWOS_COMPLEMENT, Encoding.SIGN_MAGNITUDE])) if has_sign else None
    middle = (1 << (exponent_bits - 1)) - 1
    options: dict[str, Any] = {
        "encoding": encoding,
        "fraction_bits": draw(st.none() | st.integers(-4, 40)),
        "exponent_bias": draw(st.none() | st.integers(middle - 140, middle + 140)),
        "exponent_reserved": draw(st.sampled_from(ReservedExponent)),
        "negative_zero_code": draw(st.sampled_from(NegativeZeroCode)),
        "decode_underflow": draw(st.sampled_from(DecodeUnderflow) | st.just(DecodeUnderflow.EXACT)),
        "sub_block_size": sub_block_size,
        "sub_shift_bits": draw(st.integers(1, 8)) if sub_block_size else 0,
    }
    return BFPSpec("drawn", mantissa_bits, block_size, exponent_bits, has_sign, draw(st.booleans()), **options)


@st.composite
def source_steps(draw: st.DrawFn) -> SourceStep:
    """Draw a narrower float, often one whose range the data leaves."""
    low = draw(st.integers(-200, 10) | st.just(-126))
    return SourceStep(
        fraction_bits=draw(st.integers(0, 30)),
        minimum_exponent=low,
        maximum_exponent=draw(st.integers(low, low + 300) | st.just(max(low, 127))),
        rounding=draw(_deterministic_roundings()),
        carry=draw(st.sampled_from(StepCarry)),
        underflow=draw(st.sampled_from(StepUnderflow)),
        overflow=draw(st.sampled_from(StepOverflow)),
    )


@st.composite
def conversions(draw: st.DrawFn, spec: BFPSpec) -> Conversion:
    """Draw a conversion that fits `spec`, every policy included."""
    twos_complement = spec.encoding is Encoding.TWOS_COMPLEMENT
    rules = _TWO_LEVEL_RULES if spec.sub_block_size else list(ExponentRule)
    rule = draw(st.sampled_from(rules))
    post = draw(st.integers(0, min(6, 32 - spec.mantissa_bits)))
    fewest = spec.magnitude_bits + post
    alignment = draw(st.none() | st.integers(fewest, 62))
    offset = draw(st.just(0) | st.integers(-8, 4) | st.integers(-64, 64))
    if rule is ExponentRule.LOWER_ERROR and (spec.mantissa_bits > 16 or spec.block_size is None or offset < -8):
        rule = ExponentRule.FLOOR
    overflows = list(ExponentOverflow)
    if spec.exponent_reserved is not ReservedExponent.NAN:
        overflows.remove(ExponentOverflow.NAN)
    return Conversion(
        exponent_rule=rule,
        zero_exponent=draw(st.none() | st.integers(spec.smallest_exponent, spec.largest_exponent)),
        exponent_offset=offset,
        rounding=draw(st.sampled_from(Rounding)),
        random_bits=draw(st.integers(1, 32)),
        significand_range=draw(st.sampled_from(SignificandRange)) if twos_complement else SignificandRange.FULL,
        alignment_bits=alignment,
        alignment_rounding=draw(_deterministic_roundings()),
        ignored_bit=draw(st.none() | st.integers(1, 32)),
        post_truncate_bits=post,
        exponent_overflow=draw(st.sampled_from(overflows)),
        nan=draw(st.sampled_from(NanPolicy)),
        infinity=draw(st.sampled_from(InfinityPolicy)),
        negative_zero=draw(st.sampled_from(_NEGATIVE_ZEROS[spec.encoding])),
        source_subnormals=draw(st.sampled_from(SourceSubnormals)),
        source_chain=draw(st.just(()) | st.lists(source_steps(), max_size=2).map(tuple)),
    )


@st.composite
def presets(draw: st.DrawFn) -> Preset:
    """Draw a format with a conversion that fits it, or with the default conversion."""
    spec = draw(specs())
    return Preset(spec, draw(conversions(spec) | st.just(Conversion())))


@st.composite
def layouts(draw: st.DrawFn, spec: BFPSpec) -> Layout:
    """Draw a layout that fits `spec`; alignments that are no multiple of a byte are drawn often."""
    alignment = st.sampled_from([1, 1, 3, 8, 16, 24, 64])
    group = draw(st.sampled_from([RecordGroup.BLOCK, RecordGroup.TENSOR]))
    extents = (1, spec.block_size) if isinstance(spec.block_size, int) else spec.block_size
    arranged: dict[str, Any] = {}
    if extents is not None and len(extents) == 2 and math.prod(extents) <= 8 and draw(st.booleans()):
        group = draw(st.sampled_from(RecordGroup))
        arranged = draw(_tiles(extents) if draw(st.booleans()) else _block_orders(extents, group))
        arranged["padding_exponent_code"] = draw(st.just(0) | st.integers(0, (1 << spec.exponent_bits) - 1))
    plain_rows = group is RecordGroup.TENSOR and not arranged
    return Layout(
        group=group,
        exponent_position=draw(st.sampled_from(ExponentPosition)),
        bit_order=draw(st.sampled_from(BitOrder)),
        word_bytes=draw(st.sampled_from([1, 2, 4, 8])),
        reverse_word_bytes=draw(st.booleans()),
        exponent_storage_bits=draw(st.none() | st.integers(spec.exponent_bits, 32)),
        section_alignment_bits=draw(alignment),
        exponent_alignment_bits=draw(alignment),
        record_alignment_bits=draw(alignment),
        row_alignment_bits=draw(alignment) if plain_rows else 1,
        **arranged,
    )


@st.composite
def _tiles(draw: st.DrawFn, block: tuple[int, ...]) -> dict[str, Any]:
    """Draw tiles, with faces or without, of few blocks: most shapes need padding."""
    face = (block[0] * draw(st.integers(1, 3)), block[1] * draw(st.integers(1, 2)))
    tile = (face[0] * draw(st.integers(1, 2)), face[1] * draw(st.integers(1, 2)))
    return {"tile_shape": tile, "face_shape": draw(st.sampled_from([face, None]))}


@st.composite
def _block_orders(draw: st.DrawFn, block: tuple[int, ...], group: RecordGroup) -> dict[str, Any]:
    """Draw a nest of loops; those of one axis are in any order, unless tiles must stay together."""
    loops: list[tuple[MatrixAxis, int]] = []
    tile = []
    for axis, size in zip(MatrixAxis, block, strict=True):
        steps = [size]
        for factor in draw(st.lists(st.integers(2, 3), max_size=2)):
            steps.append(steps[-1] * factor)
        loops += [(axis, step) for step in steps]
        tile.append(draw(st.sampled_from(steps)))
    shuffled = draw(st.permutations(loops))
    if group is not RecordGroup.TILE:
        return {"block_order": tuple(shuffled)}
    of_tiles = [loop for loop in shuffled if loop[1] >= tile[loop[0] is MatrixAxis.COLUMNS]]
    inner = [loop for loop in shuffled if loop not in of_tiles]
    return {"block_order": (*of_tiles, *inner), "tile_shape": tuple(tile)}


@st.composite
def float_words(draw: st.DrawFn, dtype: str, count: int) -> list[int]:
    """Draw bit patterns that lie near each other, on and beside ties, with the odd special.

    Exponents come from a narrow window, so that elements share bits with the block's maximum;
    fractions are sums of a few powers of two and their neighbours, so that ties, carries and
    sticky bits are common; zeros, subnormals, infinities and NaN appear now and then.
    """
    exponent_bits, fraction_bits = FLOAT_WIDTHS[dtype]
    top = (1 << exponent_bits) - 1
    centre = draw(st.integers(0, top) | st.sampled_from([0, 1, top // 2, top - 1]))
    fraction = st.integers(0, (1 << fraction_bits) - 1)
    few_bits = st.lists(st.integers(0, fraction_bits - 1), max_size=3).map(lambda bits: sum({1 << bit for bit in bits}))
    near = st.tuples(few_bits, st.integers(-1, 1)).map(lambda pair: max(0, min(sum(pair), (1 << fraction_bits) - 1)))
    ones = st.integers(0, fraction_bits).map(lambda low: (1 << fraction_bits) - (1 << low))
    field = st.integers(max(centre - 6, 0), min(centre + 2, top - 1)) | st.just(min(centre, top - 1)) | st.just(0)
    special = st.tuples(st.just(top), st.sampled_from([0, 1, 1 << (fraction_bits - 1)]))
    ordinary = st.tuples(field, fraction | near | ones)
    pair = ordinary | ordinary | ordinary | st.just((0, 0)) | special if draw(st.booleans()) else ordinary
    words = draw(st.lists(st.tuples(st.booleans(), pair), min_size=count, max_size=count))
    width = exponent_bits + fraction_bits
    return [(sign << width) | (exponent << fraction_bits) | part for sign, (exponent, part) in words]


@st.composite
def integer_words(draw: st.DrawFn, dtype: str, count: int) -> list[int]:
    """Draw integers as unsigned patterns: extremes, powers of two, their neighbours and small numbers."""
    bits = INTEGER_WIDTHS[dtype]
    full = (1 << bits) - 1
    near = st.tuples(st.integers(0, bits - 1), st.integers(-1, 1)).map(lambda pair: ((1 << pair[0]) + pair[1]) & full)
    return draw(st.lists(st.integers(0, full) | near | st.just(1 << (bits - 1)), min_size=count, max_size=count))


def words(dtype: str, count: int) -> st.SearchStrategy[list[int]]:
    """Draw `count` patterns of any dtype of spec 3.1."""
    return float_words(dtype, count) if dtype in FLOAT_WIDTHS else integer_words(dtype, count)


def dtypes() -> st.SearchStrategy[str]:
    """Draw the name of a dtype of spec 3.1; floats more often, float32 most."""
    return st.sampled_from([*FLOAT_WIDTHS, "float32", "float32", *FLOAT_WIDTHS, *INTEGER_WIDTHS])


@st.composite
def shapes(draw: st.DrawFn, largest: int = 60) -> tuple[int, ...]:
    """Draw a shape of 0 to 3 axes and at most `largest` elements, empty ones included."""
    shape: list[int] = []
    for _ in range(draw(st.integers(0, 3))):
        shape.append(draw(st.integers(0, max(largest // max(math.prod(shape), 1), 1))))
    return tuple(shape)
