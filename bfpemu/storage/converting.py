"""Tensors from a file of any kind to a file of any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bfpemu.blocking import blocking
from bfpemu.errors import BfpFormatError
from bfpemu.formats import Preset
from bfpemu.sources import source_kind
from bfpemu.storage.files import open_input
from bfpemu.storage.inputs import ArrayFile, open_arrays
from bfpemu.storage.kinds import TensorFacts, TensorFile, TensorSource, endings, function, kind_of
from bfpemu.storage.models import is_words, numbers_of
from bfpemu.storage.outputs import write_arrays
from bfpemu.tensor import BFPTensor


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a tensor before it is encoded."""

    shape: tuple[int, ...]
    axis: int | None
    dtype: str
    preset: Preset

    def known_preset(self) -> Preset:
        """Return `preset`."""
        return self.preset


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some tensors of a file."""

    source: TensorFile
    names: tuple[str, ...]

    @property
    def meta(self) -> Mapping[str, str]:
        """What the file says, of words of a model for one."""
        return self.source.meta

    def entry(self, name: str) -> TensorFacts:
        """Return what the source says."""
        return self.source.entry(name)

    def __getitem__(self, name: str) -> BFPTensor:
        return self.source[name]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Arrays, each encoded when it is asked for."""

    arrays: ArrayFile
    names: tuple[str, ...]
    preset: Preset
    axis: int | None

    def entry(self, name: str) -> Facts:
        """Return what the tensor will be; errors as those of `BFPTensor`."""
        blocked = blocking(self.preset.format, self.arrays.shape(name), self.axis)
        return Facts(blocked.shape, blocked.axis, source_kind(self.arrays.dtype(name)).result.name, self.preset)

    def __getitem__(self, name: str) -> BFPTensor:
        return BFPTensor(self.arrays[name], self.preset, axis=self.axis)


@dataclass(frozen=True, slots=True)
class Reencoded:
    """Tensors whose numbers, in their own dtype, are encoded in another format along the same axis.

    What a model's file keeps word for word is no number, and stays.
    """

    source: TensorFile
    names: tuple[str, ...]
    preset: Preset

    @property
    def meta(self) -> Mapping[str, str]:
        """What the file says, of words of a model for one."""
        return self.source.meta

    def entry(self, name: str) -> TensorFacts:
        """Return what the tensor will be; errors as those of `BFPTensor`."""
        found = self.source.entry(name)
        if is_words(self.source, name):
            return found
        blocked = blocking(self.preset.format, found.shape, found.axis)
        return Facts(blocked.shape, blocked.axis, found.dtype, self.preset)

    def __getitem__(self, name: str) -> BFPTensor:
        found = self.source[name]
        return found if is_words(self.source, name) else BFPTensor(found.dequantize(), self.preset, axis=found.axis)


def open_any(path: str | Path) -> AbstractContextManager[TensorFile | ArrayFile]:
    """Open a file of codes, or of arrays where it holds no codes.

    Raises
    ------
    BfpFileError
        ``input-missing``.
    BfpFormatError
        ``input-kind`` for an ending that no kind has, and the codes of the file's own kind.
    """
    found = _codes(path)
    return nullcontext(open_arrays(path)) if found is None else found


def open_codes(path: str | Path) -> TensorFile:
    """Open a file of codes; errors as `open_any`, and ``input-kind`` for a file of arrays."""
    found = _codes(path)
    if found is not None:
        return found
    open_input(path)[0].close()  # a file that is not there has no kind
    raise BfpFormatError("input-kind", f"{str(path)!r} must be a file of codes, {endings('opens_tensors')}")


def _codes(path: str | Path) -> TensorFile | None:
    """Open a file of codes; None if it is of another kind, or holds arrays only."""
    kind = kind_of(path)
    found: TensorFile | None = function(kind.opens_tensors)(path) if kind and kind.opens_tensors else None
    return found


def check_kind(path: Path, *, codes: bool) -> bool:
    """Return whether codes are written to `path` as codes: if it holds nothing else, or they are asked for.

    Raises
    ------
    BfpFormatError
        ``output-kind``.
    """
    kind = kind_of(path)
    if kind is None:
        known = endings("writes_arrays", "writes_tensors")
        raise BfpFormatError("output-kind", f"{str(path)!r} must end in {known}, got {path.suffix!r}")
    if codes and not kind.writes_tensors:
        known = endings("writes_tensors")
        raise BfpFormatError("output-kind", f"{str(path)!r} must be a file of codes, {known}, got {path.suffix!r}")
    return bool(kind.writes_tensors) and (codes or not kind.writes_arrays)


def write_codes(path: Path, source: TensorSource, meta: Mapping[str, str]) -> None:
    """Write tensors to a kind of file that holds codes; errors as that kind's own."""
    kind = kind_of(path)
    assert kind is not None
    function(kind.writes_tensors)(path, source, meta)


def write_numbers(path: Path, source: TensorSource | ArrayFile, names: Iterable[str]) -> None:
    """Write numbers to a kind of file that holds arrays; errors as `write_arrays`."""
    if isinstance(source, ArrayFile):
        write_arrays(path, {name: source[name] for name in names})
    else:
        write_arrays(path, {name: numbers_of(source, name) for name in names})
