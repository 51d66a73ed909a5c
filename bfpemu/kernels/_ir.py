"""What all vector code needs of LLVM's language: arrays of compiled code, lanes, calls, addresses."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]

INT8, INT16, INT32, INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def array(context: Any, builder: Any, signature: Any, arguments: Any, place: int) -> Any:
    """Return one argument of an intrinsic, an array, with its fields."""
    return context.make_array(signature.args[place])(context, builder, arguments[place])


def address(builder: Any, data: Any, place: Any, kind: Any) -> Any:
    """Return where a value of the type `kind` starts, `place` elements behind `data`."""
    return builder.bitcast(builder.gep(data, [place]), kind.as_pointer())


def splat(builder: Any, scalar: Any, lanes: int) -> Any:
    """Return a vector with `scalar` in every lane."""
    empty = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(empty, scalar, INT32(0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(INT32, lanes), [0] * lanes))


def shuffled(builder: Any, one: Any, two: Any, places: list[int]) -> Any:
    """Return the lanes of two vectors that `places` names, those of the second behind those of the first."""
    return builder.shuffle_vector(one, two, ir.Constant(ir.VectorType(INT32, len(places)), places))


def call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call a function by its name, an intrinsic of LLVM for one."""
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = ir.Function(builder.module, kind, name)
    return builder.call(function, arguments)


def prefetch(builder: Any, data: Any, place: Any) -> None:
    """Ask for a line of the cache, to be read and kept in all caches; it may lie past the end."""
    place = address(builder, data, place, INT8)
    call(builder, "llvm.prefetch.p0", ir.VoidType(), place, INT32(0), INT32(3), INT32(1))


def around_caches(builder: Any, store: Any) -> None:
    """Let a store go to memory around the caches."""
    store.set_metadata("nontemporal", builder.module.add_metadata([INT32(1)]))
