"""The default backend of this context, as the public page has it; nothing numeric depends on it."""

from __future__ import annotations

from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

from bfpemu.errors import DataError

BACKENDS = ("auto", "numpy", "torch", "jax", "tensorflow")
"""Names that `backend` takes. ``auto`` follows the type of the data."""

_FRAMEWORKS = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "tensorflow": "tensorflow"}
"""Top module of an array's type -> backend."""
_ALIASES = {"tf": "tensorflow"}
_chosen: ContextVar[str] = ContextVar("bfpemu_backend", default="auto")


def backend(name: str = "auto") -> None:
    """Set the default of the `backend` arguments in this context (thread or task).

    No environment variable is read or written, so neither child processes nor other threads see it.

    Raises
    ------
    DataError
        ``backend``, if the name is not one of `BACKENDS`.

    Examples
    --------
    >>> backend("numpy")
    >>> get_backend()
    'numpy'
    >>> backend("auto")
    """
    _chosen.set(checked_backend(name))


def get_backend() -> str:
    """Return the default backend of this context; ``"auto"`` unless `backend` set another."""
    return _chosen.get()


def checked_backend(name: Any) -> str:
    """Return the backend that an argument stands for; None is this context's default.

    Raises
    ------
    DataError
        ``backend``.
    """
    if name is None:
        return get_backend()
    found = _ALIASES.get(name, name) if isinstance(name, str) else name
    if found not in BACKENDS:
        raise DataError("backend", f"backend must be one of {', '.join(BACKENDS)}, got {name!r}")
    return str(found)


def adapter(name: str | None, data: object) -> str | None:
    """Return the module of the framework that data and backend ask for, None for NumPy.

    Raises
    ------
    DataError
        ``backend``, if the name is unknown or the framework is not installed.
    """
    chosen = checked_backend(name)
    if chosen == "auto":
        chosen = _FRAMEWORKS.get(type(data).__module__.partition(".")[0], "numpy")
    if chosen == "numpy":
        return None
    if find_spec(chosen) is None:
        raise DataError("backend", f"backend {chosen!r} must be installed, and is not; pip install 'bfpemu[{chosen}]'")
    return f"bfpemu.{chosen}"


def require_numpy(name: str | None, data: object) -> None:
    """Refuse to compute for a backend that this version does not have, in place of a silent fallback.

    Raises
    ------
    DataError
        ``backend``.
    """
    chosen = checked_backend(name)
    if chosen == "auto":
        chosen = _FRAMEWORKS.get(type(data).__module__.partition(".")[0], "numpy")
    if chosen != "numpy":
        raise DataError(
            "backend", f"codes are made of NumPy arrays only, got backend {chosen!r}; pass numpy.asarray(data)"
        )
