"""Circuits as and-inverter graphs, in files of the binary AIGER format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Circuit:
    """A circuit: variable 0 is false, then come inputs, registers and gates.

    A literal is twice a variable, plus one for its inverse.
    """

    inputs: list[str]
    """Names, which may be empty."""
    registers: list[tuple[int, int]]
    """The literal of what each holds after a cycle, and its value at the start."""
    outputs: list[int]
    """Literals."""
    gates: list[tuple[int, int]]
    """The literals of both operands, of variables before."""
    output_names: Sequence[str] = ()
    """Of the first outputs; they may be empty."""


def of(values: Sequence[int], literal: int) -> int:
    """Return the bit, or literal, of a literal from those of all variables."""
    return values[literal >> 1] ^ (literal & 1)


def read(data: bytes) -> Circuit:
    r"""Return the circuit of a file; what it assumes follows its outputs, and registers without a start have 0.

    Examples
    --------
    >>> read(b"aig 3 2 0 1 1\n6\n" + bytes([2, 2]) + b"i0 x\ni1 y\no0 z\n")
    Circuit(inputs=['x', 'y'], registers=[], outputs=[6], gates=[(4, 2)], output_names=['z'])
    >>> read(b"aig 2 2 0 1 0 0 1\n2\n4\n").outputs
    [2, 4]
    """
    header, _, rest = data.partition(b"\n")
    inputs, latches, outputs, gates, *others = map(int, header.split()[2:])
    bad, constraints, *_ = [*others, 0, 0]
    assert bad == 0
    lines = rest.split(b"\n", latches + outputs + constraints)
    registers = [(int(line.split()[0]), int([*line.split(), b"0"][1])) for line in lines[:latches]]
    assert all(start in (0, 1) for _, start in registers)
    differences, symbols = _gates(lines[-1], gates)
    lines_of_names = symbols.split(b"\nc\n")[0].decode().splitlines()
    names = {key: name for key, _, name in (line.partition(" ") for line in lines_of_names)}
    own = range(2 * (inputs + latches + 1), 2 * (inputs + latches + gates + 1), 2)
    return Circuit(
        [names.get(f"i{at}", "") for at in range(inputs)],
        registers,
        [int(line) for line in lines[latches:-1]],
        [(at - less, at - less - more) for at, (less, more) in zip(own, differences, strict=True)],
        [names.get(f"o{at}", "") for at in range(outputs)],
    )


def write(circuit: Circuit) -> bytes:
    r"""Return the file of a circuit.

    Examples
    --------
    >>> write(Circuit(["x", ""], [], [6], [(2, 4)], ["z"]))
    b'aig 3 2 0 1 1\n6\n\x02\x02i0 x\no0 z\n'
    """
    leaves, count = len(circuit.inputs) + len(circuit.registers), len(circuit.gates)
    header = ["aig", leaves + count, len(circuit.inputs), len(circuit.registers), len(circuit.outputs), count]
    starts = [f"{after} {start}" if start else f"{after}" for after, start in circuit.registers]
    lines = [" ".join(map(str, header)), *starts, *map(str, circuit.outputs)]
    gates = bytearray()
    for own, (x, y) in enumerate(circuit.gates, leaves + 1):
        gates += bytes(_groups(2 * own - max(x, y))) + bytes(_groups(abs(x - y)))
    for key, names in (("i", circuit.inputs), ("o", circuit.output_names)):
        gates += "".join(f"{key}{at} {name}\n" for at, name in enumerate(names) if name).encode()
    return "\n".join([*lines, ""]).encode() + bytes(gates)


def _gates(data: bytes, count: int) -> tuple[list[tuple[int, int]], bytes]:
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


def _groups(value: int) -> Iterator[int]:
    """Yield a number in groups of seven bits, the lowest first."""
    while value >= 0x80:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
