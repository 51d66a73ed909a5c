"""The one door to numba, and the one set of its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, njit, types
from numba.extending import intrinsic

from bfpemu.kernels import _ir
from bfpemu.kernels._cache import KernelCache, kernel_digest

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
"""`fastmath` stays off: bits would depend on the compiler. `nogil` lets Python threads share
the work; numba's own thread pool would not survive a fork. No one calls kernels from C, and a
wrapper for that would add a tenth to the time of compiling."""


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile `function` on its first call, unless a process did before, with the same type for mypy."""
    if not config.DISABLE_JIT and function.__closure__:  # type: ignore[attr-defined]
        # numba tells functions of one name apart by a number of this process, which code from the disk may have too.
        function.__qualname__ += f".{kernel_digest(function)}"
    compiled: Any = njit(**OPTIONS)(function)
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]
        compiled._cache = KernelCache(function)
    return compiled  # type: ignore[no-any-return]


def _prefetch_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = _ir.array(context, builder, signature, arguments, 0)
    _ir.prefetch(builder, array.data, arguments[1])
    return context.get_dummy_value()


def _leading_zeros_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Emit ``llvm.ctlz``, which is 64 for 0."""
    return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))


def _bitcast_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


if config.DISABLE_JIT:  # type: ignore[attr-defined]

    def prefetch(array: Any, index: Any) -> None:
        """Do nothing: without the JIT there is no cache line to ask for."""

    def leading_zeros(value: Any) -> Any:
        """Return the zero bits above the leading one of a uint64; 64 for 0."""
        return np.uint64(64 - int(value).bit_length())

    def float_bits(value: Any) -> Any:
        """Return the pattern of a float64 as an int64, or of a float32 as an int32."""
        return np.float32(value).view(np.int32) if isinstance(value, np.float32) else np.float64(value).view(np.int64)

    def bits_float(value: Any) -> Any:
        """Return the float64 that an int64 is the pattern of, or the float32 of an int32."""
        return np.int32(value).view(np.float32) if isinstance(value, np.int32) else np.int64(value).view(np.float64)

else:

    @intrinsic
    def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
        """Ask for the cache line of ``array[index]``, which may lie past the end; no bit depends on it."""
        return types.void(array, index), _prefetch_code

    @intrinsic
    def leading_zeros(typing_context: Any, value: Any) -> Any:
        """Return the zero bits above the leading one of a uint64; 64 for 0."""
        return types.uint64(types.uint64), _leading_zeros_code

    @intrinsic
    def float_bits(typing_context: Any, value: Any) -> Any:
        """Return the pattern of a float64 as an int64, or of a float32 as an int32."""
        return (types.int32(value) if value == types.float32 else types.int64(types.float64)), _bitcast_code

    @intrinsic
    def bits_float(typing_context: Any, value: Any) -> Any:
        """Return the float64 that an int64 is the pattern of, or the float32 of an int32."""
        return (types.float32(value) if value == types.int32 else types.float64(types.int64)), _bitcast_code


def is_compiled() -> bool:
    """Return whether kernels are machine code: not with ``NUMBA_DISABLE_JIT=1``."""
    return not config.DISABLE_JIT  # type: ignore[attr-defined]
