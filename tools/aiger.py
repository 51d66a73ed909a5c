"""Circuits as and-inverter graphs in the binary AIGER format: inputs are given values, and fall out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Circuit:
    """A circuit: variable 0 is false, then come inputs, registers and gates.

    A literal is twice a variable, plus one for its inverse.
    """

    inputs: list[str]
    after: list[int]
    """What each register holds after a cycle, as a literal."""
    outputs: dict[str, int]
    gates: list[tuple[int, int]]


def read(circuit: bytes) -> Circuit:
    r"""Return the circuit of a binary AIGER file with symbols of its inputs and outputs.

    Examples
    --------
    >>> read(b"aig 3 2 0 1 1\n6\n" + bytes([2, 2]) + b"i0 x\ni1 y\no0 z\n")
    Circuit(inputs=['x', 'y'], after=[], outputs={'z': 6}, gates=[(4, 2)])
    """
    header, _, rest = circuit.partition(b"\n")
    inputs, latches, outputs, gates = map(int, header.split()[2:6])
    lines = rest.split(b"\n", latches + outputs)
    differences, symbols = gates_of(lines[-1], gates)
    names = {}
    for line in symbols.split(b"\nc\n")[0].decode().splitlines():
        key, _, name = line.partition(" ")
        names[key] = name
    ends = [int(line.split()[0]) for line in lines[:-1]]
    firsts = range(2 * (inputs + latches + 1), 2 * (inputs + latches + gates + 1), 2)
    return Circuit(
        [names[f"i{at}"] for at in range(inputs)],
        ends[:latches],
        {names[f"o{at}"]: ends[latches + at] for at in range(outputs)},
        [(at - less, at - less - more) for at, (less, more) in zip(firsts, differences, strict=True)],
    )


def write(inputs: int, gates: Sequence[tuple[int, int]], output: int) -> bytes:
    """Return the binary AIGER file of a circuit without registers, whose gates have operands with lower numbers."""
    head = b"aig %d %d 0 1 %d\n%d\n" % (inputs + len(gates), inputs, len(gates), output)
    written = bytearray()
    for at, (x, y) in enumerate(gates, inputs + 1):
        written += number_of(2 * at - max(x, y)) + number_of(abs(x - y))
    return head + bytes(written)


def with_inputs_fixed(circuit: bytes, values: Mapping[str, int]) -> bytes:
    r"""Return a circuit in which inputs have constant values; gates of constants are left out.

    Parameters
    ----------
    circuit : bytes
        A binary AIGER file with a symbol for each of these inputs.
    values : mapping of str to int
        Name of an input -> 0 or 1.

    Examples
    --------
    >>> both = b"aig 3 2 0 1 1\n6\n" + bytes([2, 2]) + b"i0 x\ni1 y\n"
    >>> with_inputs_fixed(both, {"x": 1})
    b'aig 1 1 0 1 0\n2\ni0 y\n'
    >>> with_inputs_fixed(both, {"y": 0})
    b'aig 1 1 0 1 0\n0\ni0 x\n'
    """
    header, _, rest = circuit.partition(b"\n")
    inputs, latches, outputs, gates = map(int, header.split()[2:6])
    lines = rest.split(b"\n", latches + outputs)
    ends, (gate_bytes, symbols) = lines[:-1], gates_of(lines[-1], gates)
    names = [line.split(b" ", 1) for line in symbols.split(b"\nc\n")[0].splitlines()]
    fixed = {int(key[1:]): values[name.decode()] for key, name in names if key[:1] == b"i" and name.decode() in values}
    assert len(fixed) == len(values)
    # Old variable -> new literal; variable 0 is the constant 0.
    literals = [0]
    kept = [number for number in range(inputs) if number not in fixed]
    place = {number: 2 * (at + 1) for at, number in enumerate(kept)}
    literals += [fixed[number] if number in fixed else place[number] for number in range(inputs)]
    literals += [2 * (len(kept) + 1 + at) for at in range(latches)]
    known: dict[tuple[int, int], int] = {}
    written = bytearray()
    first = len(kept) + latches + 1
    for at, (less, more) in enumerate(gate_bytes):
        left = 2 * (inputs + latches + 1 + at) - less
        x, y = (literals[one >> 1] ^ (one & 1) for one in (left, left - more))
        x, y = max(x, y), min(x, y)
        if y == 0 or x == y ^ 1:
            literals.append(0)
        elif y == 1 or x == y:
            literals.append(x)
        elif (x, y) in known:
            literals.append(known[x, y])
        else:
            known[x, y] = 2 * (first + len(known))
            written += number_of(known[x, y] - x) + number_of(x - y)
            literals.append(known[x, y])

    def moved(end: bytes) -> bytes:
        literal, *reset = end.split()
        return b" ".join([str(literals[int(literal) >> 1] ^ (int(literal) & 1)).encode(), *reset])

    renamed = [
        key if key[:1] != b"i" else b"i%d" % (place[int(key[1:])] // 2 - 1)
        for key, _ in names
        if key[:1] != b"i" or int(key[1:]) in place
    ]
    titles = [name for key, name in names if key[:1] != b"i" or int(key[1:]) in place]
    head = b"aig %d %d %d %d %d" % (first - 1 + len(known), len(kept), latches, outputs, len(known))
    text = b"\n".join([head, *map(moved, ends), b""])
    return text + bytes(written) + b"".join(b"%s %s\n" % pair for pair in zip(renamed, titles, strict=True))


def inputs_named(circuit: bytes, start: str) -> list[int]:
    r"""Return the numbers of the inputs whose names start so.

    Examples
    --------
    >>> inputs_named(b"aig 2 2 0 1 0\n2\ni0 x\ni1 yes\n", "y")
    [1]
    """
    header, _, rest = circuit.partition(b"\n")
    latches, outputs, gates = map(int, header.split()[3:6])
    _, symbols = gates_of(rest.split(b"\n", latches + outputs)[-1], gates)
    names = [line.split(b" ", 1) for line in symbols.split(b"\nc\n")[0].splitlines()]
    return [int(key[1:]) for key, name in names if key[:1] == b"i" and name.decode().startswith(start)]


def with_constraints_as_outputs(circuit: bytes) -> bytes:
    r"""Return a circuit in which what is assumed follows its outputs, so that it can be proven.

    Examples
    --------
    >>> with_constraints_as_outputs(b"aig 2 2 0 1 0 0 1\n2\n4\n")
    b'aig 2 2 0 2 0\n2\n4\n'
    """
    header, _, rest = circuit.partition(b"\n")
    _, most, inputs, latches, outputs, gates, *others = header.split()
    bad, constraints, *_ = [*map(int, others), 0, 0]
    assert bad == 0
    return b"aig %b %b %b %d %b\n" % (most, inputs, latches, int(outputs) + constraints, gates) + rest


def with_first_output(circuit: bytes) -> bytes:
    r"""Return a circuit without its outputs after the first.

    Examples
    --------
    >>> with_first_output(b"aig 2 2 0 2 0\n2\n4\ni0 x\ni1 y\no1 z\n")
    b'aig 2 2 0 1 0\n2\ni0 x\ni1 y\n'
    """
    header, _, rest = circuit.partition(b"\n")
    most, inputs, latches, outputs, gates = map(int, header.split()[1:6])
    lines = rest.split(b"\n", latches + outputs)
    _, symbols = gates_of(lines[-1], gates)
    data = lines[-1][: len(lines[-1]) - len(symbols)]
    named = b"".join(
        line + b"\n" for line in symbols.split(b"\nc\n")[0].splitlines() if line[:1] != b"o" or line[:3] == b"o0 "
    )
    head = b"aig %d %d %d 1 %d\n" % (most, inputs, latches, gates)
    return head + b"\n".join([*lines[: latches + 1], b""]) + data + named


def gates_of(data: bytes, count: int) -> tuple[list[tuple[int, int]], bytes]:
    """Return the differences of so many gates, and what follows them."""
    numbers, at = [], 0
    for _ in range(2 * count):
        value, shift = 0, 0
        while data[at] & 0x80:
            value |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
        numbers.append(value | data[at] << shift)
        at += 1
    return list(zip(numbers[::2], numbers[1::2], strict=True)), data[at:]


def number_of(value: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first."""
    return bytes(_groups(value))


def _groups(value: int) -> Iterator[int]:
    while value >= 0x80:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
