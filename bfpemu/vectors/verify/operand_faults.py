"""Operands that a device reads or multiplies otherwise (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from bfpemu.formats import Conversion, Encoding, Preset
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.problem import Problem

_MOST_LANES = 64
_MOST_EXPONENT_BITS = 10


def operand_faults(problem: Problem, stimulus: Stimulus) -> Iterator[tuple[str, Problem, Stimulus]]:
    """Yield what is different, and a unit and a stimulus with which a right device would do the same.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.units import unit
    >>> problem = Problem("dot", resolve("4x2"), dot_unit=unit("fp32_sequential"), elements=2)
    >>> codes = {"elements": np.array([[8, 7]], np.uint64), "exponents": np.array([[127]], np.uint64)}
    >>> stimulus = {f"{side}_{name}": items for side in "ab" for name, items in codes.items()}
    >>> [text for text, _, _ in operand_faults(problem, stimulus)]  # doctest: +NORMALIZE_WHITESPACE
    ['element 0 of every block is not added', 'element 1 of every block is not added', 'a_elements read as unsigned',
     'the product of the two most negative elements wraps', 'b_elements read as unsigned']
    """
    if problem.unit == "requantize" and problem.a_flat.format.sub_block_size is None:
        yield from _source_blocks(problem, stimulus)
    if problem.unit != "dot" or problem.dot_unit is None or problem.b is None:
        return
    a = stimulus["a_elements"]
    size = problem.a_flat.format.elements_per_block or 1
    for lane in range(min(size, _MOST_LANES)) if size > 1 else ():
        left = np.where(np.arange(a.shape[1]) % size == lane, np.uint64(0), a)
        yield f"element {lane} of every block is not added", problem, {**stimulus, "a_elements": left}
    takes_any_format = problem.dot_unit.a_format is None and problem.dot_unit.b_format is None
    for side, name in (("a", "format"), ("b", "b")):
        preset = getattr(problem, name)
        spec = preset.format
        if not takes_any_format or spec.encoding is not Encoding.TWOS_COMPLEMENT or spec.mantissa_bits > 16:
            continue
        wide = dataclasses.replace(spec, mantissa_bits=spec.mantissa_bits + 1, fraction_bits=spec.fraction_bits)
        other = dataclasses.replace(
            problem, **{name: dataclasses.replace(preset, format=wide, conversion=Conversion())}
        )
        codes, sign = stimulus[f"{side}_elements"], np.uint64(1 << (spec.mantissa_bits - 1))
        yield f"{side}_elements read as unsigned", other, stimulus
        b_spec = problem.b.format
        if side == "a" and b_spec.encoding is Encoding.TWOS_COMPLEMENT and not problem.results:
            both = (codes == sign) & (stimulus["b_elements"] == np.uint64(1 << (b_spec.mantissa_bits - 1)))
            extended = np.where((codes & sign != 0) & ~both, codes | sign << np.uint64(1), codes)
            text = "the product of the two most negative elements wraps"
            yield text, other, {**stimulus, "a_elements": extended}


def _source_blocks(problem: Problem, stimulus: Stimulus) -> Iterator[tuple[str, Problem, Stimulus]]:
    """Yield source blocks of a conversion whose exponents go to other lanes, or whose NaN is not seen."""
    preset, codes = problem.a_flat, stimulus["a_exponents"]
    spec, blocks = preset.format, codes.shape[1]
    if blocks == 1:
        return
    single = dataclasses.replace(spec, block_size=1, fraction_bits=spec.fraction_bits)
    other = dataclasses.replace(problem, format=Preset(single))
    turns = codes[:, np.arange(problem.elements) % blocks]
    yield "lanes take the exponents of the source blocks in turn", other, {**stimulus, "a_exponents": turns}
    if spec.nan_code is None or spec.exponent_bits > _MOST_EXPONENT_BITS:
        return
    bits = spec.exponent_bits + 1
    wide = dataclasses.replace(
        spec, exponent_bits=bits, exponent_bias=spec.exponent_bias, fraction_bits=spec.fraction_bits
    )
    other = dataclasses.replace(problem, format=dataclasses.replace(preset, format=wide, conversion=Conversion()))
    is_nan = codes == np.uint64(spec.nan_code)
    for block in range(min(blocks, _MOST_LANES)):
        seen = is_nan & (np.arange(blocks) == block)
        text = f"NaN is seen in source block {block} alone, and others count as"
        as_numbers = np.where(seen, np.uint64(wide.all_ones_code), codes)
        yield f"{text} numbers", other, {**stimulus, "a_exponents": as_numbers}
        zeros = np.repeat(is_nan & ~seen, spec.elements_per_block or 1, axis=1)[:, : problem.elements]
        elements = np.where(zeros, np.uint64(0), stimulus["a_elements"])
        yield f"{text} zeros", other, {**stimulus, "a_exponents": as_numbers, "a_elements": elements}
