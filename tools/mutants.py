"""How good the vectors are: the share of faulty devices that they notice.

Yosys puts small faults (`mutate`: an inverted, stuck or swapped bit) into the netlist of a device of tests/rtl, all of
them into one netlist with an input that chooses. Verilator runs every mutant against the vectors of the device's unit
and stops at the first result that differs. A survivor that is proven to be the device counts no more: it gives the same
results for all sequences of words, in whatever time (tools/transactions.py). The score is killed / (mutants -
equivalent), from all undecided ones alive to none. One that is alive is printed with a stimulus that would notice it
and the bins of that stimulus that fewest vectors hit: what they have not lacks a bin. The status is 1 when a mutant is
alive or undecided, or a score with all undecided ones alive is below `--least`.

    python tools/mutants.py                       every device, 100 mutants each: a quarter of an hour on 2 cores
    python tools/mutants.py --short               two devices, few mutants: a minute
    python tools/mutants.py --device dot_tree --count 100 --seed 31

Needs verilator and yosys.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bfpemu.vectors.answers import expected  # noqa: E402
from bfpemu.vectors.blocks.families import bins_of  # noqa: E402
from bfpemu.vectors.sets.plan import plan_of  # noqa: E402
from bfpemu.vectors.sets.stored import open_set  # noqa: E402
from tests.rtl.choices import CHOICES  # noqa: E402
from tests.rtl.devices import MODULES, Choice, parameters  # noqa: E402
from tests.rtl.sets import VectorSet, level_one  # noqa: E402
from tests.rtl.simulators import DESIGNS, ONES, RANDOM, ZEROS, Bench, ToolError, build_verilator, simulate  # noqa: E402
from tools.comparison import Decision  # noqa: E402
from tools.netlists import circuit_of, yosys  # noqa: E402
from tools.transactions import Reference, decide_by_words  # noqa: E402

SHORT = {"encoder_tree": 40, "decoder_parallel": 15}
"""Device -> mutants of the short form."""
VERDICTS = ("killed", "equivalent", "undecided", "alive")
_RARE_BINS = 4
_TOLD = 20
"""Of so many simulated mutants one is told of."""
_AT_ONCE = 5
"""Seconds of processor time for the first proof of a survivor, which many need no more than."""
REGISTERS = (ONES, ZEROS, RANDOM)
"""What registers hold before the first reset: the first of these, and for what stays undecided the others."""
UNIT_OF = {module: unit for unit, modules in MODULES.items() for module in modules}


@dataclass
class Mutant:
    """One fault."""

    number: int
    command: str
    """The `mutate` command that makes it."""
    verdict: str = ""
    """killed, equivalent, alive or undecided."""
    vector: int | None = None
    """The first vector that notices it."""
    stimulus: int | None = None
    """Of a survivor: a stimulus word that would notice it, when one is known ..."""
    bins: list[str] = field(default_factory=list)
    """... and the rarest bins that it hits."""

    @property
    def where(self) -> str:
        """The lines of the source that it is in, and what it does."""
        words = self.command.split()
        sources = sorted({words[i + 1].split("/")[-1] for i, word in enumerate(words) if word == "-src"})
        at = {name: words[words.index(name) + 1] for name in ("-mode", "-port", "-portbit", "-wire") if name in words}
        return f"{' '.join(sources)}: {' '.join(f'{name[1:]} {value}' for name, value in at.items())}"


@dataclass
class Score:
    """What came of the mutants of one device."""

    device: str
    choice: str
    vectors: int
    seed: int
    seconds: float = 0.0
    mutants: list[Mutant] = field(default_factory=list)

    def of(self, verdict: str) -> list[Mutant]:
        """Return the mutants with a verdict."""
        return [mutant for mutant in self.mutants if mutant.verdict == verdict]

    @property
    def percent(self) -> float:
        """Killed of those that are not proven equivalent: undecided ones count as alive."""
        relevant = len(self.mutants) - len(self.of("equivalent"))
        return 100 * len(self.of("killed")) / relevant if relevant else 100.0

    @property
    def percent_at_most(self) -> float:
        """The score if every undecided mutant were equivalent."""
        relevant = len(self.of("killed")) + len(self.of("alive"))
        return 100 * len(self.of("killed")) / relevant if relevant else 100.0


def make_mutants(device: str, choice: Choice, count: int, seed: int, folder: Path) -> list[Mutant]:
    """Write the netlist with all mutants, `<device>.sv`, and return them; number 0 is the device itself."""
    sources = " ".join(path.name for path in sorted(DESIGNS.glob("*.sv")))
    values = " ".join(f"-set {name} {value}" for name, value in parameters(UNIT_OF[device], choice).items())
    build = [f"chparam {values} {device}", f"prep -flatten -top {device}"]
    prepare = [
        *(f"read_verilog -sv {sources}", *build, f"write_rtlil {folder / 'design.il'}"),
        f"mutate -list {count} -seed {seed} -none -o {folder / 'list.txt'}",
    ]
    yosys(prepare, folder, "prepare", DESIGNS)
    commands = (folder / "list.txt").read_text(encoding="ascii").splitlines()
    assert commands[0] == "mutate -mode none"
    mutants = [Mutant(number, command) for number, command in enumerate(commands)]
    chosen = [m.command.replace("mutate ", f"mutate -ctrl mutant 16 {m.number} ", 1) for m in mutants[1:]]
    # A fault may choose two inputs of a `$pmux` at once, which Yosys's Verilog and its gates answer otherwise.
    netlists = [f"write_rtlil {folder / 'mutants.il'}", f"write_verilog -noattr -norename {folder / device}.sv"]
    yosys([f"read_rtlil {folder / 'design.il'}", *chosen, "pmuxtree", *netlists], folder, "all", folder)
    return mutants


def simulate_mutants(mutants: list[Mutant], device: str, vectors: VectorSet, folder: Path, jobs: int) -> list[str]:
    """Run every mutant until the vectors notice it; those that they do not notice stay without a verdict.

    Returns the command that runs the bench.
    """
    bench = Bench(
        device, vectors.stimulus_bits, vectors.expected_bits, vectors.count, has_mutants=True, folders=(folder,)
    )
    # In one place for all devices: half of the time goes into Verilator's own library.
    program = build_verilator(bench, folder.parent / "verilator", optimise=len(mutants) > 100)
    for registers in REGISTERS:
        attempt(mutants[0], program, vectors, registers)
    if mutants[0].verdict:
        raise ToolError(f"{device} without a fault must give every expected word; vector {mutants[0].vector} differs")
    with ThreadPoolExecutor(jobs) as pool:
        for mutant in pool.map(lambda mutant: attempt(mutant, program, vectors, REGISTERS[0]), mutants[1:]):
            if mutant.number % _TOLD == 0 or mutant is mutants[-1]:
                progress(f"{device}: {mutant.number} of {len(mutants) - 1} mutants simulated")
    return program


def attempt(mutant: Mutant, program: list[str], vectors: VectorSet, registers: int) -> Mutant:
    """Run a mutant whose registers hold something before its first reset; it is killed where the vectors notice it."""
    files = {"stimulus": vectors.stimulus, "expected": vectors.expected}
    verdict, vector = simulate(program, registers, mutant=mutant.number, patience=2000, **files)
    if verdict != "DONE":
        mutant.verdict, mutant.vector = "killed", vector
    return mutant


def prove(
    score: Score, reference: Reference, vectors: VectorSet, program: list[str], *, jobs: int, timeout: int
) -> None:
    """Give the survivors their verdicts: whether each is, as a stream, the device itself."""
    exponents = compared_exponents(vectors)

    def settle(mutant: Mutant, found: Decision) -> None:
        mutant.verdict, mutant.stimulus = found.verdict, found.stimulus
        progress(f"{score.device}: mutant {mutant.number} is {mutant.verdict}  {mutant.where}")
        if found.stimulus is not None and (vectors.folder / "coverage.json").exists():
            mutant.bins = rare_bins(found.stimulus, vectors)

    def decide(mutant: Mutant, seconds: int, cases: tuple[range, range] | None) -> None:
        found = decide_by_words(reference, mutant.number, exponents=cases, timeout=seconds)
        if found.verdict != "undecided":
            settle(mutant, found)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda mutant: decide(mutant, _AT_ONCE, None), score.of("")))
        # What older registers hold may show in the first words alone.
        for registers in REGISTERS[1:]:
            list(pool.map(attempt, score.of(""), repeat(program), repeat(vectors), repeat(registers)))
        list(pool.map(lambda mutant: decide(mutant, timeout, exponents), score.of("")))
    for mutant in score.of(""):
        settle(mutant, Decision("undecided"))


def doubt(score: Score, reference: Reference) -> list[Mutant]:
    """Return the killed mutants that are proven equivalent all the same, of which there must be none."""
    killed = score.of("killed")
    found = [decide_by_words(reference, mutant.number, exponents=None, timeout=_AT_ONCE).verdict for mutant in killed]
    wrong = [mutant for mutant, verdict in zip(killed, found, strict=True) if verdict == "equivalent"]
    progress(f"{score.device}: of {len(killed)} killed ones {len(wrong)} are proven equivalent")
    return wrong


def compared_exponents(vectors: VectorSet) -> tuple[range, range] | None:
    """Return the bits of a stimulus word that hold two exponent codes which a device compares, those of an adder."""
    fields = [field for field in vectors.opened.problem.stimulus.fields if field.name.endswith("_exponents")]
    if len(fields) != 2 or fields[0].count != 1:
        return None
    first, second = (range(field.lsb, field.lsb + field.width) for field in fields)
    return first, second


def rare_bins(stimulus: int, vectors: VectorSet) -> list[str]:
    """Return the bins that a stimulus word hits and fewest vectors of a set do, the rarest first."""
    known = open_set(vectors.folder)
    plan, layout = plan_of(known.problem, known.manifest["level"], known.manifest["seed"]), known.problem.stimulus
    items = {name: np.array([values], np.uint64) for name, values in layout.split(stimulus).items()}
    hits = {name: entry.get("hits", 0) for name, entry in known.coverage().items()}
    (bins,) = bins_of(plan.families, plan.facts(items, expected(known.problem, items)), 1)
    return sorted(bins, key=lambda name: (hits.get(name, 0), name))[:_RARE_BINS]


def measure(
    device: str,
    vectors: VectorSet,
    count: int,
    seed: int,
    folder: Path,
    *,
    jobs: int,
    timeout: int,
    doubts: bool = False,
) -> Score:
    """Return the score of a set on one device, as its unit's first choice builds it; with doubts, test the proofs."""
    start = time.monotonic()
    choice = CHOICES[UNIT_OF[device]][0]
    mutants = make_mutants(device, choice, count, seed, folder)
    progress(f"{device}: {len(mutants) - 1} mutants against {vectors.count} vectors")
    program = simulate_mutants(mutants, device, vectors, folder, jobs)
    score = Score(device, choice.name, vectors.count, seed, mutants=mutants[1:])
    progress(f"{device}: {len(score.of('killed'))} killed; {len(score.of(''))} to be proven equivalent or alive")
    reference = Reference.of(circuit_of(device, folder / "mutants.il"))
    prove(score, reference, vectors, program, jobs=jobs, timeout=timeout)
    wrong = doubt(score, reference) if doubts else []
    if wrong:
        raise ToolError(f"a killed mutant must not be proven equivalent: {[mutant.number for mutant in wrong]}")
    score.seconds = time.monotonic() - start
    return score


def progress(line: str) -> None:
    """Say on standard error what goes on, which takes minutes."""
    print(line, file=sys.stderr, flush=True)


def total(scores: list[Score]) -> str:
    """Return the line about all devices."""
    mutants = [mutant for score in scores for mutant in score.mutants]
    every = Score("all devices", f"{len(scores)} of them", 0, 0, mutants=mutants)
    counts = ", ".join(f"{len(every.of(verdict))} {verdict}" for verdict in VERDICTS)
    return f"all devices: {len(mutants)} mutants, {counts}: {every.percent:.2f} to {every.percent_at_most:.2f} %"


def report(score: Score) -> Iterator[str]:
    """Yield the lines about one device."""
    counts = "  ".join(f"{len(score.of(verdict)):4} {verdict}" for verdict in VERDICTS)
    yield (
        f"{score.device:17} {score.choice:18} seed {score.seed:<5} {score.vectors:5} vectors  "
        f"{len(score.mutants):4} mutants  {counts}  "
        f"{score.percent:6.2f} to {score.percent_at_most:6.2f} %  {score.seconds:6.1f} s"
    )
    for mutant in [*score.of("alive"), *score.of("undecided")]:
        yield f"    {mutant.verdict:9} {mutant.number:4}  {mutant.where}"
        if mutant.stimulus is not None:
            yield f"        noticed by {mutant.stimulus:#x}, in {', '.join(mutant.bins)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two devices, few mutants")
    parser.add_argument("--device", action="append", choices=sorted(UNIT_OF), help="only these devices")
    parser.add_argument(
        "--count", type=int, default=100, help="mutants of each device, the one without a fault among them (100)"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the choice of mutants")
    parser.add_argument("--least", type=float, default=0.0, help="end with 1 when a score is below this percentage")
    parser.add_argument("--timeout", type=int, default=30, help="seconds of processor time for a step of a proof")
    parser.add_argument("--doubt", action="store_true", help="also try to prove killed mutants equivalent, in vain")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutants", help="where everything is kept")
    given = parser.parse_args()
    counts = SHORT if given.short else dict.fromkeys(given.device or UNIT_OF, given.count)
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    scores: list[Score] = []
    sets: dict[str, VectorSet] = {}
    try:
        for device, count in counts.items():
            unit = UNIT_OF[device]
            if unit not in sets:
                progress(f"{unit} {CHOICES[unit][0].name}: making the set of level 1")
                sets[unit] = level_one(unit, CHOICES[unit][0], given.folder.resolve() / unit)
            folder = (given.folder / f"{device}.{given.seed}").resolve()
            folder.mkdir()
            options = {"jobs": given.jobs, "timeout": given.timeout, "doubts": given.doubt}
            scores.append(measure(device, sets[unit], count, given.seed, folder, **options))
            print("\n".join(report(scores[-1])), flush=True)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    print(total(scores))
    (given.folder / "scores.json").write_text(json.dumps([asdict(s) for s in scores], indent=1), encoding="ascii")
    low = [score.device for score in scores if score.percent < given.least]
    if low:
        print(f"below {given.least} %: {', '.join(low)}", file=sys.stderr)
    open_ones = [score.device for score in scores if score.of("alive") or score.of("undecided")]
    if open_ones:
        print(f"neither killed nor proven equivalent: mutants of {', '.join(open_ones)}", file=sys.stderr)
    return int(bool(low or open_ones))


if __name__ == "__main__":
    sys.exit(main())
