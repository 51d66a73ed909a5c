"""Whether a device with a fault is the device itself: Yosys joins both to one circuit, ABC decides.

The two get the same inputs and start alike, all registers 0 and one cycle of reset; idle data is left aside. ABC proves
by the correspondence of their signals, by induction and by property directed reachability that nothing tells them
apart, or gives inputs that do.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rtl.simulators import run, tool

_MOST_CLOCKS = 64
"""For which inputs are looked for: as many as the slowest device takes for a block, and some."""
_WATCH = """module watch_{kind}(input clk, rst, in_valid, out_ready, input [{stimulus}:0] in_data,
  output in_ready, out_valid, output [{expected}:0] data);
  reg first = 1'b1;
  always @(posedge clk) first <= 1'b0;
  wire ready, valid;
  wire [{expected}:0] out_data;
  {kind} device (.clk(clk), .rst(rst || first), .in_valid(in_valid), .in_ready(ready), .in_data(in_data),
    .out_valid(valid), .out_ready(out_ready), .out_data(out_data));
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


def decide(
    command: str, design: Path, *, name: str, device: str, stimulus_bits: int, expected_bits: int, timeout: int
) -> Decision:
    """Decide about one fault.

    Parameters
    ----------
    command : str
        The `mutate` command that makes it.
    design : path
        The netlist of the device, as RTLIL; files are written beside it.
    name : str
        Of these files.
    device : str
        Name of the module.
    stimulus_bits, expected_bits : int
        Widths of `in_data` and `out_data`.
    timeout : int
        Seconds for each step of the proof.
    """
    folder = design.parent
    wrapper, circuit, example = (folder / f"{name}.{end}" for end in ("v", "aig", "cex"))
    ends = {"stimulus": stimulus_bits - 1, "expected": expected_bits - 1}
    wrapper.write_text("".join(_WATCH.format(kind=kind, **ends) for kind in ("gold", "gate")), encoding="ascii")
    script = [
        *(f"read_rtlil {design}", f"rename {device} gold", "design -stash g"),
        *(f"read_rtlil {design}", command, f"rename {device} gate", "design -stash h"),
        *("design -copy-from g -as gold gold", "design -copy-from h -as gate gate", f"read_verilog {wrapper}"),
        *("proc", "flatten watch_gold watch_gate", "async2sync", "dffunmap"),
        *("miter -equiv -flatten watch_gold watch_gate miter", "hierarchy -top miter", "opt_merge -share_all"),
        *("opt_clean", "techmap", "opt_expr", "opt_merge", "dfflegalize -cell $_DFF_P_ 01", "setundef -init -zero"),
        *("aigmap", "opt_clean", f"write_aiger -symbols {circuit}"),
    ]
    yosys(script, folder, name, folder)
    if "Networks are equivalent" in _abc(circuit, "dprove -bjp -V 1", 2 * timeout):
        return Decision("equivalent")
    if "was asserted in frame" in _abc(
        circuit, f"bmc3 -F {_MOST_CLOCKS} -T {timeout}; write_cex -n {example}", 2 * timeout
    ):
        return Decision("alive", _stimulus(example.read_text(encoding="ascii")))
    last = _abc(circuit, f"pdr -T {timeout}", 2 * timeout)
    return Decision("equivalent" if "Property proved" in last else "undecided")


def _abc(circuit: Path, commands: str, timeout: int) -> str:
    """Run ABC on a circuit and return its log, or nothing when it takes too long."""
    try:
        done = subprocess.run(
            [tool("yosys-abc"), "-q", f"read_aiger {circuit}; strash; {commands}"],
            cwd=circuit.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def _stimulus(example: str) -> int | None:
    """Return the first word that a device takes after the last reset of a counterexample."""
    frames: dict[int, dict[str, int]] = {}
    for signal, frame, value in re.findall(r"^in_(\S+)@(\d+)=([01])$", example, re.MULTILINE):
        frames.setdefault(int(frame), {})[signal] = int(value)
    in_reset = [frame for frame, signals in frames.items() if frame == 0 or signals["rst"]]
    for _, signals in sorted(item for item in frames.items() if item[0] > max(in_reset, default=0)):
        if signals["in_valid"]:
            bits = {name: bit for name, bit in signals.items() if name.startswith("in_data[")}
            return sum(bit << int(name[8:-1]) for name, bit in bits.items())
    return None
