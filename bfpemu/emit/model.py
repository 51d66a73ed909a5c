"""One C99 header with the model of a format, a conversion and perhaps a unit (spec 13)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bfpemu.emit import constants, dtypes, facts
from bfpemu.emit.template import fragment, replaced
from bfpemu.emit.unit import Datapath
from bfpemu.errors import SpecError
from bfpemu.formats import Preset
from bfpemu.formats.unit import DotProductUnit

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Model:
    """What a header is written for, checked.

    Raises
    ------
    SpecError
        ``emit``.
    DataTypeError
        ``data-type``.
    """

    preset: Preset
    name: str
    """The prefix of every identifier, a C identifier itself."""
    dtypes: Sequence[str] = ()
    """What `encode` takes, and what `decode` gives, of the floats among them; all floats unless given."""
    unit: DotProductUnit | None = None
    """What multiplies rows; None leaves dot products out."""
    b_preset: Preset | None = None
    """The second operand's; that of the first unless given."""
    max_k: int = 1 << 16
    """Elements of a row at most."""
    has_dpi: bool = False
    """Whether the header has the functions that SystemVerilog imports."""
    max_n: int = 1 << 10
    """Results of a block at most, where one block of a unit's output is all results."""

    def __post_init__(self) -> None:
        """Check the name and the dtypes, and that the unit fits the formats."""
        if not _NAME.fullmatch(self.name):
            raise SpecError("emit", f"name must be a C identifier of up to 63 letters (spec 13.3), got {self.name!r}")
        object.__setattr__(self, "dtypes", dtypes.checked(self.dtypes or tuple(dtypes.FLOATS)))
        if self.unit is None and self.b_preset is not None:
            raise SpecError("emit", "a second format must come with a unit (spec 13.4), got no unit")
        _ = self.datapath

    @property
    def datapath(self) -> Datapath | None:
        """The unit between its operands."""
        if self.unit is None:
            return None
        return Datapath(self.unit, self.preset.format, (self.b_preset or self.preset).format, self.max_k, self.max_n)

    @property
    def result_name(self) -> str:
        """The prefix of what belongs to a unit's output in blocks."""
        return f"{self.name}_result"

    @property
    def b_name(self) -> str:
        """The prefix of what belongs to the second operand's format."""
        return self.name if self.b_preset is None else f"{self.name}_b"


def identifier(label: str) -> str:
    """Return a label as the C identifier that is nearest.

    Examples
    --------
    >>> identifier("tt bfp8-b"), identifier("8x32")
    ('tt_bfp8_b', 'f8x32')
    """
    text = re.sub(r"\W+", "_", label, flags=re.ASCII).strip("_").lower()[:60]
    return text if text[:1].isalpha() else f"f{text}"


def c_model(model: Model) -> str:
    """Return the header's text (spec 13).

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> text = c_model(Model(resolve("bfp8"), "bfp8", ("float32",)))
    >>> "static inline int bfp8_encode_float32(" in text
    True
    """
    parts = [*_parts(model)]
    body = "\n".join(part.strip("\n") + "\n" for part in parts)
    guard = f"{model.name}_H".upper()
    return f"{_banner(model)}#ifndef {guard}\n#define {guard}\n\n{_OPEN}{body}{_CLOSE}\n#endif\n"


_OPEN = """#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

"""
_CLOSE = """
#ifdef __cplusplus
}
#endif
"""


def _banner(model: Model) -> str:
    """Return the comment that a header starts with."""
    preset = model.preset
    label = preset.name.encode("ascii", "backslashreplace").decode().replace("*/", "* /").replace("??", "? ?")
    return f"""/* {model.name}.h: a bit-accurate model of the block floating-point format {label}.

   Written by `bfpemu emit c`; do not edit. SPDX-License-Identifier: Apache-2.0
   C99, integers only; no library. Clauses in parentheses are those of the bfpemu specification.

   value of an element = significand * 2^(exponent code - {preset.format.exponent_bias} - shift code - \
{preset.format.fraction_bits})
*/
"""


def _parts(model: Model) -> Iterator[str]:
    datapath = model.datapath
    modes = facts.modes_of(model.preset) | (datapath.modes() if datapath else set())
    yield from _format_parts(model.preset, model.name, modes, model)
    if model.b_preset is not None:
        yield from _format_parts(model.b_preset, model.b_name, facts.modes_of(model.b_preset), model)
    if datapath is not None:
        yield from _datapath_parts(datapath, modes, model)


def _datapath_parts(datapath: Datapath, modes: set[str], model: Model) -> Iterator[str]:
    """Yield the parts of a header that multiply and add."""
    for prefix, preset in {model.name: model.preset, model.b_name: model.b_preset or model.preset}.items():
        yield fragment("operand", facts.format_facts(preset.format), prefixed(prefix))
    rows = _row_blocks(model) if model.has_dpi else []
    yield constants.defines([*datapath.constants(), *rows], model.name)
    if datapath.block_output is not None:
        yield from _result_parts(datapath.block_output, model.result_name)
    known = datapath.facts() | {f"ROUNDS_{mode}".upper(): mode in modes for mode in facts.MODES}
    words = prefixed(model.name)
    words |= {name: replaced(text, words) for name, text in datapath.words().items()}
    words["BFP_ADD_RUN"] = f"{model.name}_add_run" if known["HAS_LANES"] else f"{model.name}_add_lane"
    for letter, prefix in (("a", model.name), ("b", model.b_name)):
        words |= {f"bfp_{letter}_": f"{prefix}_", f"BFP_{letter}_".upper(): f"{prefix}_".upper()}
    last = "dot_float" if datapath.block_output is None else "dot_block"
    dpi = "dpi_dot" if datapath.block_output is None else "dpi_dot_block"
    for name in ("number", "real", "group", "accumulate", "dot", last, *((dpi,) if model.has_dpi else ())):
        yield fragment(name, known, words)


def _row_blocks(model: Model) -> list[constants.Constant]:
    """Return how many blocks the longest row of each operand has."""
    operands = [("", model.preset)] + ([("B_", model.b_preset)] if model.b_preset is not None else [])
    blocks = [
        (f"{letter}ROW_BLOCKS", -(-model.max_k // (preset.format.elements_per_block or model.max_k)))
        for letter, preset in operands
    ]
    return [constants.Constant(name, str(count), "blocks of a row at most") for name, count in blocks]


def _result_parts(preset: Preset, prefix: str) -> Iterator[str]:
    """Yield the parts of a header that encode what accumulators hold, and decode it again."""
    modes = facts.modes_of(preset)
    known = _codec_facts(preset, modes) | {"READS_FLOAT": True, "READS_INTEGER": False, "READS_SUMS": True}
    yield constants.defines([*constants.of_format(preset.format), *constants.of_conversion(preset)], prefix)
    words = _codec_words(prefix, modes) | {"BFP_CHAIN_STEPS": constants.chain_steps(preset, prefix)}
    for name in ("value", "source", "element", "exponent", "encode", "decode"):
        yield fragment(name, known, words)


def _codec_facts(preset: Preset, modes: set[str]) -> dict[str, bool]:
    known = facts.format_facts(preset.format) | facts.conversion_facts(preset)
    return known | {f"ROUNDS_{mode}".upper(): mode in modes for mode in facts.MODES}


def _codec_words(prefix: str, modes: set[str]) -> dict[str, str]:
    return prefixed(prefix) | {
        "BFP_ROUNDING_MODES": ", ".join(f"{prefix}_{mode}".upper() for mode in facts.MODES if mode in modes)
    }


def _format_parts(preset: Preset, prefix: str, modes: set[str], model: Model) -> Iterator[str]:
    """Yield the parts of a header that encode and decode one format."""
    taken = model.dtypes
    known = _codec_facts(preset, modes) | {
        "READS_FLOAT": any(dtype in dtypes.FLOATS for dtype in taken),
        "READS_INTEGER": any(dtype in dtypes.INTEGERS for dtype in taken),
        "READS_SUMS": False,
    }
    yield constants.defines([*constants.of_format(preset.format), *constants.of_conversion(preset)], prefix)
    words = _codec_words(prefix, modes)
    for name in ("value", "source", "element", "exponent", "encode"):
        yield fragment(name, known, words | _source_words(preset, prefix, taken))
    yield from (fragment("encode_entry", known, words | _entry_words(prefix, dtype)) for dtype in taken)
    floats = [dtype for dtype in taken if dtype in dtypes.FLOATS]
    yield fragment("decode", known, words)
    yield from (fragment("decode_entry", known, words | _entry_words(prefix, dtype)) for dtype in floats)
    if model.has_dpi:
        words["BFP_DPI"] = f"{model.name}_DPI".upper()
        yield fragment("dpi", known, words)
        yield from (fragment("dpi_encode", known, words | _entry_words(prefix, dtype)) for dtype in taken)
        yield from (fragment("dpi_decode", known, words | _entry_words(prefix, dtype)) for dtype in floats)


def prefixed(prefix: str) -> dict[str, str]:
    """Return the words that put a prefix before every identifier."""
    return {"bfp_": f"{prefix}_", "BFP_": f"{prefix}_".upper()}


def _source_words(preset: Preset, prefix: str, taken: Sequence[str]) -> dict[str, str]:
    """Return what the dtypes and the source chain put into ``source.h``."""
    cases = replaced(dtypes.read_cases(taken), prefixed(prefix))
    return {
        "BFP_DTYPES": ", ".join(f"{prefix}_{dtype}".upper() for dtype in taken),
        "BFP_READ_CASES": cases,
        "BFP_CHAIN_STEPS": constants.chain_steps(preset, prefix),
    }


def _entry_words(prefix: str, dtype: str) -> dict[str, str]:
    """Return what stands for a dtype in the functions that are its own."""
    return {
        "bfp_dpi_encode_dtype": f"{prefix}_dpi_encode_{dtype}",
        "bfp_dpi_decode_dtype": f"{prefix}_dpi_decode_{dtype}",
        "BFP_PATTERN_BITS": str(dtypes.pattern_bits(dtype)),
        "bfp_encode_dtype": f"{prefix}_encode_{dtype}",
        "bfp_decode_dtype": f"{prefix}_decode_{dtype}",
        "bfp_pattern": f"uint{dtypes.pattern_bits(dtype)}_t",
        "bfp_dtype": dtype,
        "BFP_DTYPE_WIDTHS": ", ".join(map(str, dtypes.FLOATS.get(dtype, ()))),
        "BFP_DTYPE": f"{prefix}_{dtype}".upper(),
    }
