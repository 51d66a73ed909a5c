"""Kinds of files by the ending of their names: the one list that reading, writing and converting go by.

A kind names its functions as ``"module:function"``, so that listing kinds imports nothing and an
optional package is asked for when a file of its kind is. What the functions take and give:

* `opens_arrays`: ``(path) -> ArrayFile``;
* `writes_arrays`: ``(file, arrays) -> None``, into a file that `bfpemu.atomic.replacing` opened;
* `opens_tensors`: ``(path) -> TensorFile``, or None for a file of this kind that holds arrays only;
* `writes_tensors`: ``(path, source, meta) -> None``, with a `TensorSource`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from bfpemu.formats import Preset
    from bfpemu.packing import Planes
    from bfpemu.tensor import BFPTensor


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be done with the files of one kind; an empty text is what cannot."""

    endings: tuple[str, ...]
    opens_arrays: str = ""
    writes_arrays: str = ""
    opens_tensors: str = ""
    writes_tensors: str = ""
    holds_one: bool = False
    """Whether a file holds exactly one array, and not its name."""


KINDS: tuple[Kind, ...] = (
    Kind((".npy",), "bfpemu.storage.inputs:open_npy", "bfpemu.storage.outputs:write_npy", holds_one=True),
    Kind((".npz",), "bfpemu.storage.inputs:open_npz", "bfpemu.storage.outputs:write_npz"),
    Kind(
        (".safetensors",),
        "bfpemu.storage.inputs:open_safetensors",
        "bfpemu.storage.outputs:write_safetensors",
        "bfpemu.storage.safetensors_codes:open_tensors",
        "bfpemu.storage.safetensors_codes:write_tensors",
    ),
    Kind(
        (".h5", ".hdf5"),
        "bfpemu.storage.hdf5.files:open_arrays",
        "bfpemu.storage.hdf5.files:write_arrays",
        "bfpemu.storage.hdf5.files:open_tensors",
        "bfpemu.storage.hdf5.files:write",
    ),
    Kind((".pt", ".pth"), "bfpemu.storage.state_dicts:open_arrays", "bfpemu.storage.state_dicts:write_arrays"),
    Kind((".onnx",), writes_tensors="bfpemu.storage.onnx_model:write_tensors"),
    Kind(
        (".bfp",),
        opens_tensors="bfpemu.storage.reader:Reader",
        writes_tensors="bfpemu.storage.writer:write_from",
    ),
)


class TensorFacts(Protocol):
    """What a file says of a tensor before its codes are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its numbers."""

    @property
    def axis(self) -> int | None:
        """The axis along which it is blocked (spec 4)."""

    @property
    def dtype(self) -> str:
        """What it decodes to (spec 2.10)."""

    def known_preset(self) -> Preset:
        """Return format, conversion and memory layout, or raise BfpFormatError ``bfp-version``."""


class TensorSource(Protocol):
    """Named tensors of codes, each made or read when it is asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tensors."""

    def entry(self, name: str) -> TensorFacts:
        """Return what is known of a tensor before its codes are."""

    def __getitem__(self, name: str) -> BFPTensor:
        """Return one tensor."""


class TensorFile(TensorSource, Protocol):
    """An open file of codes."""

    @property
    def meta(self) -> Mapping[str, str]:
        """The free texts of the file."""

    def planes(self, name: str) -> Planes:
        """Return the packed planes of one tensor."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def kind_of(path: str | Path) -> Kind | None:
    """Return the kind that the ending of a name stands for, in any case; None for another ending.

    Examples
    --------
    >>> kind_of("weights.NPZ").endings
    ('.npz',)
    """
    ending = Path(path).suffix.lower()
    return next((kind for kind in KINDS if ending in kind.endings), None)


def function(reference: str) -> Callable[..., Any]:
    """Return the function that a field of `Kind` names."""
    module, _, name = reference.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def endings(*fields: str) -> str:
    """Return the endings of all kinds that have one of the fields, as a message lists them.

    Examples
    --------
    >>> endings("opens_tensors")
    '.safetensors, .h5, .hdf5, .bfp'
    """
    return ", ".join(
        ending for kind in KINDS if any(getattr(kind, field) for field in fields) for ending in kind.endings
    )
