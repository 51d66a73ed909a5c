"""Netlists and circuits by Yosys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.rtl.simulators import run, tool


def yosys(script: Sequence[str], folder: Path, name: str, cwd: Path) -> str:
    """Run a Yosys script, which is kept, and return its log."""
    path = folder / f"{name}.ys"
    path.write_text("\n".join(script), encoding="ascii")
    return run([tool("yosys"), path], cwd=cwd)


def circuit_of(device: str, netlist: Path) -> Path:
    """Return the AIGER file of a device from its netlist, as RTLIL; it is written beside it."""
    folder = netlist.parent
    circuit = folder / f"{device}.aig"
    script = [
        *(f"read_rtlil {netlist}", f"hierarchy -top {device}", "async2sync", "dffunmap", "opt_clean"),
        *("techmap", "opt_expr", "opt_merge", "dfflegalize -cell $_DFF_P_ 01", "setundef -init -zero"),
        *("setundef -zero", "aigmap", "opt_clean", f"write_aiger -symbols {circuit}"),
    ]
    yosys(script, folder, "circuit", folder)
    return circuit
