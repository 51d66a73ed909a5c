"""The DPI-C imports of a unit with results in blocks, in Verilator, over a set of level 1 (spec 13.7, 12.3)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bfpemu.emit import Model, c_model, dpi_source, systemverilog_package
from bfpemu.vectors.sets.stored import VectorSet, open_set
from bfpemu.vectors.verify.compare import compare

SET = Path(__file__).parents[1] / "golden_vectors" / "sets" / "dot_into_blocks"
MAX_K = 11
"""More than the elements of a row of the set, so that a row of the imports is not filled."""

BENCH = """
`include "dut_pkg.svh"
module bench;
    import dut_pkg::*;
    bit [{stimulus_bits}-1:0] stimulus [0:{last}];
    bit [{expected_bits}-1:0] word;
    int unsigned code;
    {outputs}
    int status, file;
    initial begin
        $readmemh("stimulus.hex", stimulus);
        file = $fopen("results.hex", "w");
        for (int i = 0; i <= {last}; i++) begin
            status = dot({inputs}, {k}, {n}, code, {given}, flags);
            if (status != 0) $fatal(1, "status %0d of vector %0d", status, i);
            word = {{{word}}};
            $fdisplay(file, "%h", word);
        end
        $finish;
    end
endmodule
"""


def bench_of(found: VectorSet, model: Model) -> str:
    """Return a bench that hands the fields of stimulus words to the import, and writes its answers as words."""
    problem = found.problem
    fields = {field.name: field for field in problem.stimulus.fields}
    _, _, ports = systemverilog_package(model).partition("_dpi_dot")
    widths = {
        line.split()[-1].rstrip(","): int(line.split("[")[1].split(":")[0]) + 1
        for line in ports.splitlines()
        if "bit [" in line
    }
    inputs = [
        f"{widths[port]}'(stimulus[i][{fields[name].lsb} +: {fields[name].bits}])"
        for side in "ab"
        for name, port in (
            (f"{side}_exponents", f"{side}_exponent_codes"),
            (f"{side}_shifts", f"{side}_shift_codes"),
            (f"{side}_elements", f"{side}_element_codes"),
        )
        if name in fields
    ]
    results = [name for name in ("shift_codes", "element_codes") if name in widths]
    taken = {"elements": "element_codes", "shifts": "shift_codes", "exponents": "code", "flags": "flags"}
    return BENCH.format(
        stimulus_bits=problem.stimulus.bits,
        expected_bits=problem.expected.bits,
        last=found.total - 1,
        outputs="\n    ".join(f"bit [{widths[name] - 1}:0] {name};" for name in [*results, "flags"]),
        inputs=", ".join(inputs),
        given=", ".join(results),
        k=problem.elements,
        n=problem.results,
        word=", ".join(f"{taken[field.name]}[{field.bits - 1}:0]" for field in reversed(problem.expected.fields)),
    )


@pytest.mark.slow
def test_the_import_gives_the_expected_words_of_a_set_whose_rows_are_shorter(tmp_path: Path) -> None:
    assert shutil.which("verilator"), "verilator must be installed: DPI-C is tried in a simulator, and nowhere else"
    found = open_set(SET)
    problem = found.problem
    assert problem.results > 1
    assert problem.elements < MAX_K
    model = Model(problem.format, "dut", ("float32",), problem.dot_unit, problem.b, MAX_K, True)
    texts = {
        "dut.h": c_model(model),
        "dut_dpi.c": dpi_source(model, "dut.h"),
        "dut_pkg.svh": systemverilog_package(model),
        "bench.sv": bench_of(found, model),
        "stimulus.hex": (SET / "stimulus.hex").read_text(encoding="ascii"),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    build = ["verilator", "--main", "--exe", "--build", "-Wall", "-Wno-UNUSEDSIGNAL", "--top-module", "bench"]
    build += ["-MAKEFLAGS", "OPT_GLOBAL=-O0 OPT_FAST=-O0 OPT_SLOW=-O0", "bench.sv", "dut_dpi.c"]
    made = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[:4000]
    subprocess.run(["obj_dir/Vbench"], cwd=tmp_path, capture_output=True, text=True, check=True)
    result = compare(found, [str(tmp_path / "results.hex")])
    assert (result.compared, result.differing, result.is_complete) == (found.total, 0, True)
