"""A framework's model as a `.bfp` file: quantised arrays as codes, all others word for word (spec 7.17)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import ml_dtypes  # noqa: F401 - NumPy knows its dtypes by name then
import numpy as np
import numpy.typing as npt

from bfpemu.errors import BfpFormatError, DataError, DataTypeError
from bfpemu.formats import BFPSpec, ReservedExponent
from bfpemu.formats.preset import Preset
from bfpemu.storage.kinds import TensorFile, TensorSource
from bfpemu.storage.reader import Reader
from bfpemu.storage.writer import write
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]

_META = "bfpemu.model"
_INTEGERS = {
    bits: Preset(
        BFPSpec(
            f"words{bits}",
            bits,
            None,
            1,
            has_sign=False,
            fraction_bits=0,
            exponent_bias=0,
            exponent_reserved=ReservedExponent.NONE,
        )
    )
    for bits in (8, 16, 32)
}
"""Formats whose elements are integers: bit patterns of what is not quantised."""


@dataclass(frozen=True, slots=True)
class Words:
    """An array of any dtype as its bytes."""

    dtype: str
    """As its framework calls it."""
    shape: tuple[int, ...]
    data: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, array: AnyArray) -> Words:
        """Return the words of an array of NumPy or ml_dtypes, in this machine's order of bytes."""
        native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return cls(array.dtype.name, array.shape, native.reshape(-1).view(np.uint8))

    def array(self) -> AnyArray:
        """Return the array of NumPy or ml_dtypes.

        Raises
        ------
        DataTypeError
            ``data-type``, for a dtype that only its framework has.
        """
        try:
            return self.data.view(np.dtype(self.dtype)).reshape(self.shape)
        except (TypeError, ValueError):
            raise DataTypeError(
                "data-type", f"words must have a dtype of NumPy or ml_dtypes, got {self.dtype} of {self.shape}"
            ) from None


Kept: TypeAlias = BFPTensor | Words
"""What a file keeps of an array."""


def packed(array: AnyArray, preset: Preset, axis: int) -> BFPTensor | None:
    """Return an array as codes, or None if quantising the numbers that they stand for would change those again.

    A layer quantises its weights at every use, so a model gives the same bits with those numbers in their place.
    """
    tensor = BFPTensor(array, preset, axis=axis)
    once = tensor.dequantize()
    return tensor if BFPTensor(once, preset, axis=axis).dequantize().tobytes() == once.tobytes() else None


def write_model(
    path: str | Path, arrays: Iterable[tuple[tuple[str, ...], Kept]], texts: Mapping[str, str] | None = None
) -> None:
    """Write the arrays of a model, each with all its names, and texts about it.

    Raises
    ------
    BfpFormatError, BfpFileError
        As `bfpemu.storage.write`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bias = Words.of(np.array([1, 2], np.int64))
    ...     write_model(Path(folder, "m.bfp"), [(("a/bias", "b/bias"), bias)])
    ...     found, _ = read_model(Path(folder, "m.bfp"))
    >>> found["b/bias"].array()
    array([1, 2])
    """
    tensors: dict[str, BFPTensor] = {}
    words: dict[str, tuple[str, list[int]]] = {}
    ties: dict[str, str] = {}
    for (first, *others), kept in arrays:
        ties |= dict.fromkeys(others, first)
        if isinstance(kept, Words):
            words[first] = (kept.dtype, list(kept.shape))
            kept = _integers(kept)
        tensors[first] = kept
    description = json.dumps({"words": words, "ties": ties}, sort_keys=True)
    write(path, tensors, meta={**(texts or {}), _META: description})


def read_model(path: str | Path) -> tuple[dict[str, Kept], dict[str, str]]:
    """Return the arrays of a file of `write_model`, by each of their names, and the texts.

    Raises
    ------
    BfpFormatError, BfpFileError
        As `bfpemu.storage.read`; ``bfp-header`` for a file that `write_model` did not write.
    """
    with Reader(path) as reader:
        found = {name: words_of(reader, name) or reader[name] for name in reader.names}
        ties = ties_of(reader.meta)
        texts = {key: text for key, text in reader.meta.items() if key != _META}
        if ties is None or not ties.keys().isdisjoint(found) or not found.keys() >= set(ties.values()):
            raise _refused(path)
    return found | {name: found[first] for name, first in ties.items()}, texts


def words_of(source: TensorSource, name: str) -> Words | None:
    """Return a tensor of a model's file that is no number but words; None for any other.

    Raises
    ------
    BfpFormatError
        ``bfp-header``, if the file's text about its words is not as `write_model` writes it.
    """
    words = _words_in(source)
    if name not in words:
        return None
    data = np.array(source[name].element_codes).reshape(-1).view(np.uint8)
    try:
        dtype, shape = words[name]
        if data.size % max(math.prod(shape), 1) or bool(data.size) != bool(math.prod(shape)):
            raise ValueError(f"{data.size} bytes for {shape}")
        return Words(str(dtype), tuple(shape), data)
    except (TypeError, ValueError):
        raise _refused(name) from None


def is_words(source: TensorSource, name: str) -> bool:
    """Return whether a tensor of a file is no number but words; errors as those of `words_of`."""
    return name in _words_in(source)


def _words_in(source: TensorSource) -> dict[str, Any]:
    description = _described(getattr(source, "meta", {}).get(_META))
    return {} if description is None else dict(description["words"])


def numbers_of(source: TensorSource, name: str, dtype: npt.DTypeLike | None = None) -> AnyArray:
    """Return the numbers of a tensor of any file of codes, by any of its names.

    Words are in their own dtype, whatever `dtype` is.

    Raises
    ------
    BfpFormatError
        As `words_of`.
    DataTypeError
        ``data-type``.
    """
    first = (ties_of(getattr(source, "meta", {})) or {}).get(name, name)
    words = words_of(source, first)
    return source[first].dequantize(dtype) if words is None else words.array()


def ties_of(meta: Mapping[str, str]) -> dict[str, str] | None:
    """Return the other names of tensors and the names they are written under; None for a file of no model."""
    description = _described(meta.get(_META))
    return None if description is None else description["ties"]


def all_names(file: TensorFile) -> dict[str, str]:
    """Return the names of a file's tensors, each with the one that it is written under; those of ties come last.

    Of a model, a file may hold some tensors only; the ties of others are left out.
    """
    found = {name: name for name in file.names}
    ties = ties_of(file.meta) or {}
    return found | {name: first for name, first in ties.items() if first in found and name not in found}


@lru_cache(maxsize=4)
def _described(text: str | None) -> dict[str, Any] | None:
    """Return what a file says about a model's arrays; None if it holds no model."""
    if text is None:
        return None
    try:
        description = json.loads(text)
        found = {key: dict(description[key]) for key in ("words", "ties")}
        if not all(isinstance(first, str) for first in found["ties"].values()):
            raise ValueError("ties must be names")
    except (KeyError, TypeError, ValueError):
        raise _refused("meta") from None
    return found


def _refused(where: object) -> BfpFormatError:
    return BfpFormatError("bfp-header", f"{str(where)!r}: meta must describe a model under {_META!r} (spec 7.17)")


def check_arrays(
    path: str | Path, found: Mapping[str, Kept], wanted: Mapping[str, tuple[int, ...]], owner: str = "model"
) -> None:
    """Refuse a file whose arrays have not exactly the names and shapes of a model's.

    Raises
    ------
    DataError
        ``tensor-name``.
    """
    for name in sorted(wanted.keys() ^ found.keys()):
        raise DataError(
            "tensor-name", f"{str(path)!r} must have the names of the {owner}, got {name!r} in only one of the two"
        )
    for name, shape in wanted.items():
        if shape != found[name].shape:
            raise DataError(
                "tensor-name",
                f"{str(path)!r} must have the shapes of the {owner}, got {name!r} of "
                f"{found[name].shape} in place of {shape}",
            )


def array_of(kept: Kept) -> AnyArray:
    """Return what a file keeps as an array of NumPy or ml_dtypes."""
    return kept.array() if isinstance(kept, Words) else kept.dequantize()


def _integers(words: Words) -> BFPTensor:
    """Return bytes as a tensor whose codes they are."""
    count = int(np.prod(words.shape))
    size = min(len(words.data) // count, 4) if count else 1
    codes = words.data.view(f"u{size}")
    return BFPTensor.from_codes(np.zeros(min(codes.size, 1), np.uint8), codes, _INTEGERS[8 * size], None)
