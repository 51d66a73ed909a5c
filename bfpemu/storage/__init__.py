"""Files: the `.bfp` container (spec 7), and the arrays that go in and come out.

Nothing is imported before it is used, so that `import bfpemu.storage` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bfpemu.storage.header import Entry
    from bfpemu.storage.inputs import ArrayFile, open_arrays
    from bfpemu.storage.outputs import write_arrays
    from bfpemu.storage.reader import Reader, read
    from bfpemu.storage.view import TensorView
    from bfpemu.storage.writer import Declaration, Writer, pack, write

__all__ = [
    "ArrayFile",
    "Declaration",
    "Entry",
    "Reader",
    "TensorView",
    "Writer",
    "open_arrays",
    "pack",
    "read",
    "write",
    "write_arrays",
]

_HOMES = {
    "ArrayFile": "inputs",
    "Declaration": "writer",
    "Entry": "header",
    "Reader": "reader",
    "TensorView": "view",
    "Writer": "writer",
    "open_arrays": "inputs",
    "pack": "writer",
    "read": "reader",
    "write": "writer",
    "write_arrays": "outputs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
