"""Write the sets of vectors for hardware that are kept here, or check with `--check` that they come out the same.

They are small: formats of few bits and lanes, every unit, level 1. Sets of larger formats are made by
`bfpemu vectors generate` and follow from their manifests (spec 12.9).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bfpemu.catalog import resolve  # noqa: E402
from bfpemu.errors import BfpError  # noqa: E402
from bfpemu.formats import BFPSpec, Conversion, Preset  # noqa: E402
from bfpemu.formats.unit import Accumulator, DotProductUnit  # noqa: E402
from bfpemu.vectors.problem import Problem  # noqa: E402
from bfpemu.vectors.sets.generate import Request, generate  # noqa: E402
from bfpemu.vectors.sets.stored import differing_files, open_set  # noqa: E402

SETS = ROOT / "golden_vectors" / "sets"

DATAPATH = Preset(
    BFPSpec("floor_poison", 6, 4, 5),
    Conversion(exponent_rule="floor", nan="block", infinity="block"),
)
"""The floor exponent, ties to even, saturating, NaN or infinity poisons the block."""
TWO_LEVEL = Preset(
    BFPSpec("two_level", 3, 4, 4, encoding="sign_magnitude", sub_block_size=2, sub_shift_bits=1),
    Conversion(exponent_rule="floor", rounding="ties_away"),
)
KEEPING = DotProductUnit(
    accumulator=Accumulator(kind="aligned", bits=12, fraction_bits=8, overflow="saturate"), name="keeps_12_bits"
)
FIXED = DotProductUnit(
    accumulator=Accumulator(kind="fixed", bits=14, lsb_exponent=-9), sum_bits=8, name="fixed_14_bits"
)
INTO_BLOCKS = DotProductUnit(accumulator=Accumulator(kind="float", format="fp16"), output=TWO_LEVEL, name="into_blocks")


def problems() -> dict[str, Problem]:
    """Return what the sets are about, by their names."""
    float32 = DotProductUnit(accumulator=Accumulator(kind="float", format="fp32"), name="fp32_sequential")
    return {
        "encode_4x2x4": Problem("encode", resolve("4x2x4"), dtype="float16"),
        "encode_floor_poison": Problem("encode", DATAPATH, dtype="bfloat16"),
        "encode_two_level": Problem("encode", TWO_LEVEL, dtype="float16"),
        "decode_3x4x3": Problem("decode", resolve("3x4x3"), dtype="float16"),
        "decode_two_level": Problem("decode", TWO_LEVEL, dtype="float16"),
        "add_3x2x4": Problem("add", resolve("3x2x4")),
        "multiply_3x2x4": Problem("multiply", resolve("3x2x4")),
        "requantize_5x4x4_to_3x2x4": Problem("requantize", resolve("5x4x4"), result=resolve("3x2x4")),
        "dot_keeps_12_bits": Problem("dot", resolve("3x2x4"), dot_unit=KEEPING, elements=6, shows_accumulator=True),
        "dot_fixed_14_bits": Problem("dot", resolve("3x2x4"), dot_unit=FIXED, elements=6, shows_accumulator=True),
        "dot_into_blocks": Problem("dot", resolve("3x2x4"), dot_unit=INTO_BLOCKS, elements=6),
        "dot_fp32": Problem("dot", resolve("4x2x4"), dot_unit=float32, elements=4),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and end with 1 when a set differs")
    check = parser.parse_args(arguments).check
    wanted = problems()
    status = 0
    present = {path.name for path in SETS.iterdir() if path.is_dir()} if SETS.is_dir() else set()
    for name, problem in wanted.items():
        if not check:
            SETS.mkdir(parents=True, exist_ok=True)
            generate(Request(problem), SETS / name, force=True)
            continue
        try:
            found = open_set(SETS / name)
            differing = differing_files(found) if found.problem == problem else ["manifest.json"]
        except BfpError as error:
            differing = [str(error)]
        if differing:
            print(f"{name}: {', '.join(differing)}")
            status = 1
    for name in sorted(present - set(wanted)):
        print(f"extra: {name}")
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
