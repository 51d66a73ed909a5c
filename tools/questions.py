"""Whether a circuit without registers is ever true: ABC is asked, by one process for many short questions."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.rtl.simulators import tool
from tools.aiger import write
from tools.graph import Graph

_MOST_CONFLICTS = 20_000
"""Of the solver, for one question: some seconds."""
_END = "that is all"


@dataclass
class Questions:
    """Answers about literals of a graph, which are kept."""

    process: subprocess.Popen[str]
    path: Path
    """The file that questions are written to."""
    known: dict[int, bool | None] = field(default_factory=dict)
    """Literal -> whether it can be true; None where ABC gave up."""

    def can_be_true(self, graph: Graph, end: int) -> bool | None:
        """Whether a literal of the graph can be true; None where that is not found out in time."""
        if end <= 1:
            return end == 1
        if end not in self.known:
            _, circuit = graph.circuit_of(end)
            self.path.write_bytes(write(circuit))
            said = self._say(f"read_aiger {self.path}", "strash", f"dsat -C {_MOST_CONFLICTS}")
            self.known[end] = False if "UNSATISFIABLE" in said else True if "SATISFIABLE" in said else None
        return self.known[end]

    def _say(self, *commands: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n".join([*commands, f"echo {_END}", ""]))
        self.process.stdin.flush()
        said: list[str] = []
        # Where ABC repeats its commands, their line is another one.
        while not said or said[-1].strip() != _END:
            line = self.process.stdout.readline()
            if not line:
                break
            said.append(line)
        return "".join(said)


@contextmanager
def questions(path: Path, known: Mapping[int, bool | None]) -> Iterator[Questions]:
    """Start ABC for the time of some questions, of which some answers are known."""
    process = subprocess.Popen(
        [tool("yosys-abc")],
        cwd=path.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Questions(process, path, dict(known))
    finally:
        process.kill()
        process.communicate()


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
