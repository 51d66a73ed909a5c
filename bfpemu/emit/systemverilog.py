"""The DPI-C imports of a C model as a SystemVerilog package, and the C file that defines them (spec 13.7)."""

from __future__ import annotations

from collections.abc import Iterator

from bfpemu.emit import dtypes
from bfpemu.emit.model import Model
from bfpemu.errors import SpecError
from bfpemu.formats import BFPSpec, ExponentRule, Preset, Rounding

_WIDEST = 1 << 16
"""Bits of a vector that every simulator must take (IEEE 1800-2017, 6.9.1)."""
_FLAG_BITS = 5
"""Flags of a result (spec 6.10)."""


def systemverilog_package(model: Model) -> str:
    """Return the text of ``NAME_pkg.svh``.

    Raises
    ------
    SpecError
        ``emit``, if a block is a whole tensor, or a vector would be wider than 65,536 bits.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> print(systemverilog_package(Model(resolve("bfp8"), "bfp8", ("float32",), has_dpi=True)))
    // The DPI-C imports of bfp8.h, written by `bfpemu emit c`. Field i starts at bit i * width.
    package bfp8_pkg;
        import "DPI-C" bfp8_dpi_encode_float32 = function int encode_float32(
            input bit [1023:0] patterns,
            input int n,
            output int unsigned exponent_code,
            output bit [255:0] element_codes
        );
        import "DPI-C" bfp8_dpi_decode_float32 = function void decode_float32(
            input int unsigned exponent_code,
            input bit [255:0] element_codes,
            output bit [1023:0] patterns
        );
    endpackage
    <BLANKLINE>
    """
    lines = [
        f"// The DPI-C imports of {model.name}.h, written by `bfpemu emit c`. Field i starts at bit i * width.",
        f"package {model.name}_pkg;",
    ]
    for prefix, preset, infix in _operands(model):
        for dtype in model.dtypes:
            lines += _import(prefix, f"encode_{infix}{dtype}", "int", _encode(preset, dtype), f"encode_{dtype}")
            if dtype in dtypes.FLOATS:
                lines += _import(prefix, f"decode_{infix}{dtype}", "void", _decode(preset, dtype), f"decode_{dtype}")
    if model.datapath is not None:
        lines += _import(model.name, "dot", "int", _dot(model), "dot")
    return "\n".join([*lines, "endpackage", ""])


def dpi_source(model: Model, header: str) -> str:
    """Return the text of ``NAME_dpi.c``, the one C file that has the functions of the package.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> print(dpi_source(Model(resolve("bfp8"), "bfp8"), "bfp8.h"))
    /* The functions that bfp8_pkg.svh imports. */
    #define BFP8_DPI
    #include "bfp8.h"
    <BLANKLINE>
    """
    return (
        f"/* The functions that {model.name}_pkg.svh imports. */\n"
        f'#define {model.name.upper()}_DPI\n#include "{header}"\n'
    )


def _operands(model: Model) -> Iterator[tuple[str, Preset, str]]:
    yield model.name, model.preset, ""
    if model.b_preset is not None:
        yield model.b_name, model.b_preset, "b_"


def _import(prefix: str, name: str, result: str, ports: list[str], function: str) -> list[str]:
    head = f'    import "DPI-C" {prefix}_dpi_{function} = function {result} {name}('
    return [head, *(f"        {port}," for port in ports[:-1]), f"        {ports[-1]}", "    );"]


def _vector(direction: str, count: int, bits: int, name: str) -> str:
    """Return a port that holds `count` fields; one bit alone would not be a vector."""
    width = max(count * bits, 2)
    if width > _WIDEST:
        raise SpecError(
            "emit",
            f"a DPI-C vector must have at most {_WIDEST} bits (spec 13.7), got {width} for {name}; a smaller block "
            "or --max-k is needed",
        )
    return f"{direction} bit [{width - 1}:0] {name}"


def _block(spec: BFPSpec) -> int:
    if spec.elements_per_block is None:
        raise SpecError("emit", "a DPI-C model must have a block of known size (spec 13.7), got one for a whole tensor")
    return spec.elements_per_block


def _encode(preset: Preset, dtype: str) -> list[str]:
    spec, block = preset.format, _block(preset.format)
    ports = [_vector("input", block, dtypes.pattern_bits(dtype), "patterns"), "input int n"]
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        ports.append("input int exponent")
    if preset.conversion.rounding is Rounding.STOCHASTIC:
        ports.append(_vector("input", block, 32, "random_words"))
    ports.append("output int unsigned exponent_code")
    if spec.sub_block_size is not None:
        ports.append(_vector("output", spec.shifts_per_block, spec.sub_shift_bits, "shift_codes"))
    return [*ports, _vector("output", block, spec.mantissa_bits, "element_codes")]


def _decode(preset: Preset, dtype: str) -> list[str]:
    spec, block = preset.format, _block(preset.format)
    ports = ["input int unsigned exponent_code"]
    if spec.sub_block_size is not None:
        ports.append(_vector("input", spec.shifts_per_block, spec.sub_shift_bits, "shift_codes"))
    ports.append(_vector("input", block, spec.mantissa_bits, "element_codes"))
    return [*ports, _vector("output", block, dtypes.pattern_bits(dtype), "patterns")]


def _dot(model: Model) -> list[str]:
    datapath = model.datapath
    assert datapath is not None
    output = datapath.block_output
    rows = 1 if output is None else _block(output.format)
    ports = []
    for letter, preset, count in (("a", model.preset, 1), ("b", model.b_preset or model.preset, rows)):
        spec = preset.format
        blocks = count * -(-model.max_k // _block(spec))
        ports.append(_vector("input", blocks, spec.exponent_bits, f"{letter}_exponent_codes"))
        if spec.sub_block_size is not None:
            shifts = blocks * spec.shifts_per_block
            ports.append(_vector("input", shifts, spec.sub_shift_bits, f"{letter}_shift_codes"))
        ports.append(_vector("input", count * model.max_k, spec.mantissa_bits, f"{letter}_element_codes"))
    if output is None:
        return [*ports, "input int k", "output longint unsigned result", "output int unsigned flags"]
    ports += ["input int k", "input int n", "output int unsigned exponent_code"]
    if output.format.sub_block_size is not None:
        ports.append(_vector("output", output.format.shifts_per_block, output.format.sub_shift_bits, "shift_codes"))
    ports.append(_vector("output", rows, output.format.mantissa_bits, "element_codes"))
    return [*ports, _vector("output", rows, _FLAG_BITS, "flags")]
