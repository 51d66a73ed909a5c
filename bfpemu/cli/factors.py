"""The two factors of a product, from the tensors of one file, blocked along the axis that is summed (spec 4.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bfpemu.catalog import FormatLike
from bfpemu.cli.options import load_preset, select
from bfpemu.cli.text import shown
from bfpemu.errors import DataError
from bfpemu.storage import Reader, open_arrays
from bfpemu.storage.names import naming
from bfpemu.tensor import BFPTensor

if TYPE_CHECKING:
    from bfpemu.formats import Preset

_DEFAULT_FORMAT = "bfp8"

Found: TypeAlias = BFPTensor | npt.NDArray[Any]
"""A tensor of a .bfp file, or an array."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One operand, and where it is from."""

    name: str
    tensor: BFPTensor
    is_transposed: bool = False
    """Whether it is the transpose of what the file holds."""

    def __str__(self) -> str:
        shape = "x".join(map(str, self.tensor.shape)) or "scalar"
        own = ", transposed" if self.is_transposed else ""
        return f"{shown(self.name)}{own} ({shape}, {shown(self.tensor.format.name)})"


def read_factors(
    source: Path, names: tuple[str | None, str | None], formats: tuple[str | None, str | None]
) -> tuple[Factor, Factor]:
    """Return the factors of ``a @ b``.

    A name that is None is the first tensor for `a`, and the second for `b`; `b` is the transpose of `a`
    when only `a` is named, or the file has one tensor. Without a format, tensors of a .bfp file keep
    theirs, and arrays become bfp8.

    Raises
    ------
    BfpError
        The codes of reading and encoding, with the tensor's name where the file has several.
    """
    presets: list[Preset | None] = [None if word is None else load_preset(word) for word in formats]
    if source.suffix.lower() == ".bfp":
        with Reader(source) as reader:
            return _factors(reader, reader.names, source, names, presets)
    arrays = open_arrays(source)
    return _factors(arrays, arrays.names, source, names, presets)


def _factors(
    tensors: Any, known: Sequence[str], source: Path, names: tuple[str | None, str | None], presets: list[Preset | None]
) -> tuple[Factor, Factor]:
    select(known, [name for name in names if name is not None], source)
    if not known:
        raise DataError("tensor-name", f"{str(source)!r} must hold a tensor (spec 4.8), it holds none")
    first, second = names[0] or known[0], names[1]
    is_own = second is None and (names[0] is not None or len(known) == 1)
    found = tensors[first]
    with naming(first, known):
        left = Factor(first, _blocked(found, presets[0], axis=-1))
        if is_own:
            preset = presets[1] or _preset(found)
            return left, Factor(first, BFPTensor(_numbers(found).T, preset, axis=0), is_transposed=True)
    second = second or known[1]
    with naming(second, known):
        return left, Factor(second, _blocked(tensors[second], presets[1], axis=0))


def _blocked(found: Found, preset: Preset | None, *, axis: int) -> BFPTensor:
    """Return a tensor with blocks along `axis`: as it is stored if that is so already, else encoded."""
    if isinstance(found, BFPTensor) and preset is None:
        lengths = max(len(found.shape), 1)
        if found.format.block_size is None or found.axis == axis % lengths:
            return found
    return BFPTensor(_numbers(found), preset or _preset(found), axis=axis)


def _preset(found: Found) -> FormatLike:
    return found.preset if isinstance(found, BFPTensor) else _DEFAULT_FORMAT


def _numbers(found: Found) -> npt.NDArray[Any]:
    return found.dequantize(np.float64) if isinstance(found, BFPTensor) else found
