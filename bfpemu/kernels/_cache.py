"""Compiled kernels kept on disk, so that only the first process waits for the compiler.

numba's own cache looks at the file of a function alone, and so returns old code when a file that it
imports has changed. Here the directory has the name of a digest over everything that machine code
depends on: all sources of kernels, the versions of Python, numba and LLVM, numba's settings, and the
processor. Within it a file has the name of a digest over one kernel, what it closes over, and the
types of its arguments. A key that is not exact can then only miss, never find the wrong code.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite  # type: ignore[import-untyped]
import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numba
import numpy as np
from numba.core import compiler as untyped_compiler
from numba.core import serialize as untyped_serialize
from numba.core.caching import _Cache
from numba.core.dispatcher import Dispatcher
from numba.core.runtime.nrt import rtsys

compiler: Any = untyped_compiler
serialize: Any = untyped_serialize

SWITCH = "BFPEMU_KERNEL_CACHE"
"""Environment variable: ``off``, or the directory to use. It decides how long a start takes, and no bit."""

_DAYS = 30
"""How long code for other sources or versions stays after its directory changed last."""
_NAME_LENGTH = 24
"""Digits of a digest that name a directory."""


@cache
def cache_directory() -> Path | None:
    """Return the directory for the machine code of these sources on this machine, or None when there is none."""
    setting = os.environ.get(SWITCH) or os.environ.get("XDG_CACHE_HOME")
    if setting == "off":
        return None
    with suppress(OSError, RuntimeError):  # a user may have no home
        parent = (Path(setting) if setting else Path.home() / ".cache") / "bfpemu-kernels"
        directory = parent / _digest(_circumstances())[:_NAME_LENGTH]
        if not directory.is_dir():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_old(parent, directory)
        # Unpickling runs code: what others may write to is not read.
        found = directory.stat()
        is_ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        if is_ours and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return directory
    return None


def _circumstances() -> list[str]:
    """Return everything but the kernel itself that its machine code depends on."""
    folder = resources.files(__package__)
    sources = sorted((file.name, file.read_text()) for file in folder.iterdir() if file.name.endswith(".py"))
    features = sorted(llvm.get_host_cpu_features().items())
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__, np.__version__)
    machine = (llvm.get_process_triple(), llvm.get_host_cpu_name())
    return [repr(part) for part in (sources, features, settings, versions, machine)]


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _remove_old(parent: Path, kept: Path) -> None:
    """Remove what other sources left, by its name, when nothing was put there for a while."""
    for directory in parent.iterdir():
        is_ours = len(directory.name) == _NAME_LENGTH and set(directory.name) <= set("0123456789abcdef")
        with suppress(OSError):  # another process may have removed it
            if is_ours and directory != kept and time.time() - directory.stat().st_mtime > _DAYS * 86400:
                shutil.rmtree(directory, ignore_errors=True)


def identity(value: Any) -> str:
    """Return a text that says what a kernel, or something that it closes over, is.

    Raises
    ------
    TypeError
        If that cannot be said; a kernel must close over functions and plain values only.
    """
    if isinstance(value, Dispatcher):
        return identity(value.py_func)
    if isinstance(value, FunctionType):
        cells = [identity(cell.cell_contents) for cell in value.__closure__ or ()]
        return f"{value.__module__}.{value.__qualname__}:{value.__code__.co_firstlineno}({', '.join(cells)})"
    if isinstance(value, tuple):
        return f"{type(value).__qualname__}({', '.join(map(identity, value))})"
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return f"{type(value).__qualname__}:{value!r}"
    if hasattr(value, "_defn"):  # what @intrinsic makes
        return f"intrinsic {identity(value._defn)}"
    if isinstance(value, type | np.ufunc):
        return f"{getattr(value, '__module__', '')}.{value.__name__}"
    raise TypeError(f"a kernel must close over functions and plain values, got {type(value).__qualname__}")


def kernel_digest(function: Callable[..., Any]) -> str:
    """Return a short text that tells kernels of one name apart by what they close over."""
    return _digest([identity(function)])[:_NAME_LENGTH]


class KernelCache(_Cache):
    """The machine code of one kernel, a file for each signature."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str | None:
        """The directory, as numba asks for it."""
        return None if cache_directory() is None else str(cache_directory())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled kernel for a signature, or None."""
        path = self._path(sig)
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, payload = content[:32], content[32:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        # All that finished code needs of numba. The rest, half a second, waits until something is compiled.
        rtsys.initialize(target_context)
        return compiler.CompileResult._rebuild(target_context, *pickle.loads(payload))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel; where that does not work, the next process compiles it again."""
        path = self._path(sig)
        if path is None or data.library.has_dynamic_globals:
            return
        payload = serialize.dumps(data._reduce())
        with suppress(OSError):
            handle, name = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(payload).digest() + payload)
                Path(name).replace(path)
            except OSError:
                Path(name).unlink()

    def enable(self) -> None:
        """Do nothing: the environment decides."""

    def disable(self) -> None:
        """Do nothing: the environment decides."""

    def flush(self) -> None:
        """Do nothing: other processes may be reading."""

    def _path(self, sig: Any) -> Path | None:
        directory = cache_directory()
        if directory is None:
            return None
        name = self._function.__name__.strip("<>")
        return directory / f"{name}-{_digest([identity(self._function), repr(sig)])[:32]}"
