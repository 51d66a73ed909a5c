"""Dot products of operands in other formats, and in groups smaller than blocks (spec 6.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bfpemu.formats import BFPSpec
from golden.dot import Block, Dot, DotFile, option_unit, row


def operand_files() -> Iterator[DotFile]:
    """Yield files with operands of other formats, and groups smaller than blocks (spec 6.3)."""
    fp32 = {"kind": "float", "format": "fp32"}
    settings: list[tuple[str, dict[str, Any]]] = [
        ("operands_exact", {}),
        ("operands_fp32", fp32),
        ("operands_aligned_keep", {"kind": "aligned", "bits": 40, "fraction_bits": 24}),
    ]
    for name, accumulator in settings:
        yield option_unit(name, accumulator), list(_format_cases())
    unit = option_unit("group_size_2", fp32, group_size=2)
    yield unit, [*_group_cases()]
    unit = option_unit("group_size_1", {"kind": "float", "format": "fp16"}, group_size=1)
    yield unit, [*_group_cases()]


def _format_cases() -> Iterator[Dot]:
    """Yield pairs of formats whose blocks, signs, widths, levels and codes differ."""
    m8, m4 = BFPSpec("m8_b4", 8, 4), BFPSpec("m4_b6", 4, 6, 5)
    sign = BFPSpec("sign_magnitude", 8, 4, encoding="sign_magnitude", fraction_bits=6, exponent_reserved="none")
    unsigned = BFPSpec("unsigned", 5, 8, has_sign=False)
    zeros = BFPSpec("reserved_zero", 8, 4, exponent_reserved="zero")
    whole = BFPSpec("one_block", 12, None, 6, fraction_bits=0)
    levels = BFPSpec("two_levels", 6, 4, sub_block_size=2, sub_shift_bits=2)
    pairs = BFPSpec("pairs", 8, 8, encoding="sign_magnitude", sub_block_size=2, sub_shift_bits=1, fraction_bits=6)
    eights = row(m8, Block(1, [127, -128, 5, 3]), Block(-2, [1, -1, 64, -77]), Block(3, [9, -8, 7, -6]))
    fours = row(m4, Block(2, [7, -8, 1, -1, 3, -3]), Block(-3, [5, -5, 6, 2, -7, 4]))
    signs = row(sign, Block(0, ["-0", -127, 127, "-0"]), Block(128, [1, -1, 0, 3]), Block(-127, [99, 3, -3, 1]))
    ones = row(unsigned, Block(0, [31, 30, 1, 0, 17, 3, 9, 31]), Block(4, [1, 2, 3, 31]))
    nulls = row(zeros, Block(1, [3, 5, 7, 9]), Block(None, [1, 2, 3, 4]), Block(-1, [4, -3, 2, -1]))
    one = row(whole, Block(0, [2047, -2048, 0, 1, -1, 99, 1000, -1000, 5, 7, 11, 13]))
    two = row(
        levels,
        Block(1, [31, -32, 1, -1], [0, 3]),
        Block(0, [5, 7, -31, 30], [2, 1]),
        Block(5, [1, 1, 1, 1], [3, 3]),
    )
    micro = row(
        pairs, Block(0, [127, -1, 64, "-0", 3, -127, 9, 1], [0, 1, 1, 0]), Block(-6, [5, -5, 6, -6], [1, 0, 0, 0])
    )
    rows = {
        "m8": eights, "m4_in_blocks_of_6": fours, "sign_magnitude": signs, "unsigned": ones,
        "reserved_zero": nulls, "one_block": one, "two_levels": two, "pairs": micro,
    }  # fmt: skip
    names = list(rows)
    for first, name in enumerate(names):
        for other in names[first:]:
            yield Dot(f"{name}_by_{other}", rows[name], rows[other])
    yield Dot("two_levels_by_m8_short", row(levels, Block(0, [31, 1, -7], [1, 0])), row(m8, Block(0, [3, 5, 127])))
    yield Dot("nan_block_by_two_levels", row(m8, Block(None, [0] * 4)), row(levels, Block(0, [1] * 4, [0, 0])))


def _group_cases() -> Iterator[Dot]:
    """Yield groups that are parts of a block."""
    spec, short = BFPSpec("m8_b8", 8, 8), BFPSpec("m8_b4", 8, 4)
    eight, seven = [127, 126, -128, -125, 1, -1, 64, 3], [127, 126, 127, 127, -127, 3, 99]
    yield Dot("four_parts_of_a_block", row(spec, Block(3, eight)), row(spec, Block(-3, eight)))
    yield Dot("last_part_is_short", row(spec, Block(3, seven)), row(spec, Block(-3, seven)))
    blocks = row(short, Block(0, eight[:4]), Block(9, eight[4:]), Block(-9, [5]))
    yield Dot("blocks_of_two_sizes", row(spec, Block(0, eight), Block(0, [3])), blocks)
    yield Dot("nan_block_in_one_part", row(spec, Block(0, eight)), row(short, Block(0, [1] * 4), Block(None, [0] * 4)))
    order = [64, 64, 1, 1, 0, 1, -64, -64]
    yield Dot("parts_round_one_by_one", row(spec, Block(7, order)), row(spec, Block(7, [64, 64, 1, 0, 1, 1, 64, 64])))
