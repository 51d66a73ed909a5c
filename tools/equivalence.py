"""Whether a device with a fault is the device itself: Yosys joins both to one circuit, ABC decides.

The two get the same inputs and start alike, all registers 0 and one cycle of reset; later resets and idle data are left
aside, of which vectors say nothing. That nothing tells them apart is proven by the correspondence of their signals, by
induction with lemmas (tools/induction.py), which are the assertions in the device, and by property directed
reachability; or ABC gives inputs that do. One circuit holds all faults, each an input's value away.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.rtl.simulators import ToolError, run, tool
from tools.aiger import Circuit, read, write
from tools.graph import with_inputs_fixed
from tools.induction import Solver, has_lemmas, is_never_one

_MOST_CLOCKS = 64
"""For which inputs are looked for: as many as the slowest device takes for a block, and some."""
_WATCH = """module watch_{kind}(input clk, in_valid, out_ready, input [{stimulus}:0] in_data, input [15:0] mutant,
  output in_ready, out_valid, output [{expected}:0] data);
  reg first = 1'b1;
  always @(posedge clk) first <= 1'b0;
  wire ready, valid;
  wire [{expected}:0] out_data;
  {kind} device (.clk(clk), .rst(first), .in_valid(in_valid), .in_ready(ready), .in_data(in_data),
    .out_valid(valid), .out_ready(out_ready), .out_data(out_data){chosen});
  assign in_ready = ready && !first;
  assign out_valid = valid && !first;
  assign data = out_valid ? out_data : 0;
endmodule
"""


@dataclass(frozen=True)
class Decision:
    """What is known of a survivor."""

    verdict: str
    """equivalent, alive or undecided."""
    stimulus: int | None = None
    """A stimulus word that tells both apart, where one is known."""


def yosys(script: Sequence[str], folder: Path, name: str, cwd: Path) -> str:
    """Run a Yosys script, which is kept, and return its log."""
    path = folder / f"{name}.ys"
    path.write_text("\n".join(script), encoding="ascii")
    return run([tool("yosys"), path], cwd=cwd)


def join(
    device: str, design: Path, mutants: Path, *, stimulus_bits: int, expected_bits: int, timeout: int = 60
) -> Path:
    """Return the circuit that tells whether a device and one of its mutants differ.

    Parameters
    ----------
    device : str
        Name of the module.
    design, mutants : path
        Its netlist, and that with all mutants and the input that chooses, as RTLIL; files are written beside them.
    stimulus_bits, expected_bits : int
        Widths of `in_data` and `out_data`.
    timeout : int
        Seconds of processor time for a question about the lemmas, the assertions in the module.
    """
    folder = design.parent
    wrapper, circuit = folder / "watch.v", folder / "joined.aig"
    ends = {"stimulus": stimulus_bits - 1, "expected": expected_bits - 1}
    kinds = {"gold": "", "gate": ", .mutant(mutant)"}
    watches = [_WATCH.format(kind=kind, chosen=chosen, **ends) for kind, chosen in kinds.items()]
    wrapper.write_text("".join(watches), encoding="ascii")
    script = [
        *(f"read_rtlil {design}", f"rename {device} gold", "chformal -assert2assume", "design -stash g"),
        *(f"read_rtlil {mutants}", f"rename {device} gate", "design -stash h"),
        *("design -copy-from g -as gold gold", "design -copy-from h -as gate gate", f"read_verilog {wrapper}"),
        *("proc", "flatten watch_gold watch_gate", "async2sync", "dffunmap"),
        *("miter -equiv -flatten watch_gold watch_gate miter", "hierarchy -top miter", "opt_merge -share_all"),
        *("opt_clean", "techmap", "opt_expr", "opt_merge", "dfflegalize -cell $_DFF_P_ 01", "setundef -init -zero"),
        *("aigmap", "opt_clean", f"write_aiger -symbols {circuit}"),
    ]
    yosys(script, folder, "join", folder)
    joined = read(circuit.read_bytes())
    circuit.write_bytes(write(joined))
    changed = [name for name in joined.inputs if name.startswith("in_mutant[")]
    if not has_lemmas(joined, changed, _solver(folder / "lemmas.aig", timeout)):
        raise ToolError(f"the assertions of {device} must hold and be inductive; they are not proven")
    return circuit


@dataclass(frozen=True)
class Fault:
    """The circuit of `join` with one fault."""

    circuit: Circuit
    path: Path
    """The file of its first output, which has no lemmas; others are written beside it."""


def with_fault(joined: Path, mutant: int) -> Fault:
    """Return the circuit of `join` with the fault of this number, and write its file."""
    chosen = {f"in_mutant[{bit}]": mutant >> bit & 1 for bit in range(16)}
    circuit, path = with_inputs_fixed(read(joined.read_bytes()), chosen), joined.with_name(f"prove{mutant}.aig")
    path.write_bytes(write(replace(circuit, outputs=circuit.outputs[:1], output_names=circuit.output_names[:1])))
    return Fault(circuit, path)


def decide(joined: Path, mutant: int, *, timeout: int) -> Decision:
    """Decide about one fault.

    Parameters
    ----------
    joined : path
        The circuit of `join`; files are written beside it.
    mutant : int
        The number of the fault.
    timeout : int
        Seconds of processor time for each step of the proof.
    """
    fault = with_fault(joined, mutant)
    if is_proven(fault, timeout=timeout):
        return Decision("equivalent")
    found = search(fault, timeout=timeout)
    if found is not None:
        return found
    if "UNSATISFIABLE" in run_abc(fault.path, "scorr; sat", timeout):
        return Decision("equivalent")
    if "Networks are equivalent" in run_abc(fault.path, "dprove -bjp -V 1", timeout):
        return Decision("equivalent")
    last = run_abc(fault.path, f"pdr -T {timeout}", timeout)
    return Decision("equivalent" if "Property proved" in last else "undecided")


def is_proven(fault: Fault, *, timeout: int) -> bool:
    """Whether a fault is proven to change nothing in the ways that take seconds."""
    # Where all pairs of signals that correspond are found, nothing is left of the circuit, and that is seen at once;
    # of registers alone they are found in a fraction of the time.
    for correspondence in ("&get -n; &lcorr; &put", "&get -n; &scorr; &put"):
        if "UNSATISFIABLE" in run_abc(fault.path, f"{correspondence}; sat", timeout):
            return True
    return is_never_one(fault.circuit, _solver(fault.path.with_stem(f"step_{fault.path.stem}"), timeout))


def search(fault: Fault, *, timeout: int) -> Decision | None:
    """Look for inputs that tell a fault."""
    example = fault.path.with_suffix(".cex")
    found = run_abc(fault.path, f"bmc3 -F {_MOST_CLOCKS} -T {timeout}; write_cex -n {example}", timeout)
    if "was asserted in frame" in found:
        return Decision("alive", _stimulus(example.read_text(encoding="ascii")))
    return None


def run_abc(circuit: Path, commands: str, timeout: int) -> str:
    """Run ABC on a circuit and return its log; after twice so many seconds it is ended."""
    # Seconds of processor time, so that verdicts do not depend on what else the machine does.
    limited = ["sh", "-c", f'ulimit -t {2 * timeout}; exec "$@"', "sh", tool("yosys-abc")]
    done = subprocess.run(
        [*limited, "-q", f"read_aiger {circuit}; strash; {commands}"],
        cwd=circuit.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def _solver(question: Path, timeout: int) -> Solver:
    """Return how ABC answers questions about combinational circuits, which are written to a file."""
    answer = question.with_suffix(".cex")

    def solve(circuit: Circuit) -> list[int] | None:
        question.write_bytes(write(circuit))
        said = run_abc(question, f"dsat; write_cex {answer}", timeout)
        if "UNSATISFIABLE" in said:
            return []
        return [*map(int, answer.read_text(encoding="ascii").split("#")[0])] if "SATISFIABLE" in said else None

    return solve


def _stimulus(example: str) -> int | None:
    """Return the first word that a device takes after the reset of a counterexample."""
    frames: dict[int, dict[str, int]] = {}
    for signal, frame, value in re.findall(r"^in_(\S+)@(\d+)=([01])$", example, re.MULTILINE):
        frames.setdefault(int(frame), {})[signal] = int(value)
    for frame, signals in sorted(frames.items()):
        if frame > 0 and signals["in_valid"]:
            bits = {name: bit for name, bit in signals.items() if name.startswith("in_data[")}
            return sum(bit << int(name[8:-1]) for name, bit in bits.items())
    return None
