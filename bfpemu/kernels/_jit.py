"""The one door to numba, and the one set of its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, njit, types
from numba.extending import intrinsic

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
"""`fastmath` stays off: bits would depend on the compiler. `nogil` lets Python threads share
the work; numba's own thread pool would not survive a fork. No one calls kernels from C, and a
wrapper for that would add a tenth to the time of compiling."""


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile `function` on its first call, with the same type for mypy."""
    compiled: Callable[Parameters, Result] = njit(**OPTIONS)(function)
    return compiled


def _prefetch_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Emit ``llvm.prefetch`` (read, keep in all caches, data) for ``array[index]``."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    byte_pointer, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    address = builder.bitcast(builder.gep(array.data, [arguments[1]]), byte_pointer)
    declared = ir.FunctionType(ir.VoidType(), [byte_pointer, int32, int32, int32])
    function = builder.module.globals.get("llvm.prefetch.p0") or ir.Function(
        builder.module, declared, "llvm.prefetch.p0"
    )
    builder.call(function, [address, int32(0), int32(3), int32(1)])
    return context.get_dummy_value()


if config.DISABLE_JIT:  # type: ignore[attr-defined]

    def prefetch(array: Any, index: Any) -> None:
        """Do nothing: without the JIT there is no cache line to ask for."""

else:

    @intrinsic
    def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
        """Ask for the cache line of ``array[index]``, which may lie past the end; no bit depends on it."""
        return types.void(array, index), _prefetch_code
