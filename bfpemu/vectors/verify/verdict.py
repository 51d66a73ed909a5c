"""What `verify` says: a report as data, as text, and its exit status (spec 12.12)."""

from __future__ import annotations

from typing import Any

from bfpemu.vectors.verify.compare import Comparison
from bfpemu.vectors.verify.diagnose import diagnose
from bfpemu.vectors.verify.explain import explained, failures_by_bin

VERSION = 1
EQUAL, DIFFERENT, INCOMPLETE, UNCOVERED = 0, 1, 3, 4
_MOST_BINS = 20
_WIDTH = 40


def coverage_reached(comparison: Comparison) -> float:
    """Return the percentage of the bins that can occur which the compared vectors hit."""
    bins = comparison.found.coverage()
    possible = [entry for entry in bins.values() if "cannot_occur" not in entry]
    hit = sum("hits" in entry and entry["first"] < comparison.compared for entry in possible)
    return 100 * hit / len(possible) if possible else 100.0


def status_of(comparison: Comparison, min_coverage: float | None = None) -> int:
    """Return the exit status (spec 12.12)."""
    if comparison.differing:
        return DIFFERENT
    if not comparison.is_complete:
        return INCOMPLETE
    if min_coverage is not None and coverage_reached(comparison) < min_coverage:
        return UNCOVERED
    return EQUAL


def report(comparison: Comparison, *, max_errors: int = 20, min_coverage: float | None = None) -> dict[str, Any]:
    """Return everything that there is to say; `max_errors` 0 explains all that were kept."""
    found = comparison.found
    most = min(max_errors or len(comparison.kept), len(comparison.kept))
    return {
        "version": VERSION,
        "status": status_of(comparison, min_coverage),
        "verdict": verdict(comparison, min_coverage),
        "unit": found.problem.unit,
        "format": found.problem.format.name,
        "vectors": found.total,
        "received": comparison.received,
        "compared": comparison.compared,
        "differing": comparison.differing,
        "unknown": comparison.unknown,
        "categories": dict(comparison.categories),
        "fields": dict(comparison.fields),
        "lanes": {str(key): count for key, count in sorted(comparison.lanes.items())},
        "bits": {str(key): count for key, count in sorted(comparison.bits.items())},
        "distances": {str(key): count for key, count in sorted(comparison.distances.items())},
        "bins": [
            {"bin": name, "differing": count, "vectors": hits} for name, count, hits in failures_by_bin(comparison)
        ],
        "guesses": [guess._asdict() | {"explains_all": guess.explains_all} for guess in diagnose(comparison)],
        "mismatches": [explained(comparison, place) for place in range(most)],
        "coverage": {**found.manifest["coverage"], "percent": round(coverage_reached(comparison), 3)},
    }


def verdict(comparison: Comparison, min_coverage: float | None = None) -> str:
    """Return the first line of the report."""
    found = comparison.found
    counts = f"{comparison.compared:,} of {found.total:,} vectors compared"
    if comparison.received > found.total:
        counts += f", {comparison.received - found.total:,} results too many"
    status = status_of(comparison, min_coverage)
    if status == DIFFERENT:
        unknown = f", {comparison.unknown:,} of them with x or z" if comparison.unknown else ""
        one = comparison.differing == 1
        differ = f"{comparison.differing:,} result{'' if one else 's'} differ{'s' if one else ''}"
        return f"MISMATCH: {differ}{unknown}; {counts}"
    if status == INCOMPLETE:
        return f"INCOMPLETE: {'nothing was compared' if not comparison.compared else 'what came is equal'}; {counts}"
    if status == UNCOVERED:
        return f"COVERAGE TOO LOW: {coverage_reached(comparison):.2f} % of the bins, wanted {min_coverage}; {counts}"
    return f"EQUAL: {counts}"


def text(found: dict[str, Any]) -> str:
    """Return a report as text."""
    lines = [found["verdict"]]
    for number, mismatch in enumerate(found["mismatches"]):
        lines += ["", *(mismatch_lines(mismatch) if number == 0 else [_short(mismatch)])]
    tables = (
        ("categories", "category"),
        ("fields", "field"),
        ("lanes", "item"),
        ("bits", "bit"),
        ("distances", "distance"),
    )
    for key, label in tables:
        if found[key]:
            lines += ["", f"differing by {label}", *_bars(found[key], key)]
    if found["bins"]:
        lines += ["", "directed vectors by bin: differing of all, the worst first"]
        lines += [
            f"  {row['differing']:>7,} of {row['vectors']:<7,} {row['bin']}" for row in found["bins"][:_MOST_BINS]
        ]
        more = len(found["bins"]) - _MOST_BINS
        lines += [f"  and {more:,} bins more; --json has all"] if more > 0 else []
    if found["differing"]:
        lines += ["", *_guesses(found["guesses"])]
    coverage = found["coverage"]
    lines.append("")
    lines.append(
        f"bins: {coverage['hit']:,} hit, {coverage['cannot_occur']:,} cannot occur, {coverage['not_reached']:,} not "
        f"reached; the compared vectors hit {coverage['percent']} % of those that can"
    )
    return "\n".join(lines)


def _guesses(guesses: list[dict[str, Any]]) -> list[str]:
    lines = []
    for guess in guesses:
        counts = f"explains {guess['explained']:,} of {guess['looked_at']:,} mismatches"
        against = f"; {guess['contradicted']:,} of {guess['matches']:,} equal vectors speak against it"
        start = "consistent with" if guess["explains_all"] else "perhaps"
        lines.append(f"{start} {guess['text']}: {counts}{against if guess['contradicted'] else ''}")
    return lines or ["no known difference explains half of the mismatches"]


def mismatch_lines(mismatch: dict[str, Any]) -> list[str]:
    """Return the first mismatch as lines: both words, every item that differs, the stimulus, the stages."""
    key = f", key {mismatch['key']!r}" if "key" in mismatch else ""
    lines = [f"first mismatch: vector {mismatch['vector']}{key}{', with x or z' if mismatch['unknown'] else ''}"]
    lines += [f"  expected {mismatch['expected']}", f"  got      {mismatch['got']}"]
    for entry in mismatch["differences"][:16]:
        lines.append(f"  {_difference(entry)}")
    for field in mismatch["stimulus"]:
        exponents = f", exponents {field['exponents']}" if "exponents" in field else ""
        lines.append(f"  stimulus {field['field']}{exponents}")
        changed = {entry["item"] for entry in mismatch["differences"]}
        numbers = list(zip(field["hex"], field["values"], strict=True))
        places = [n for n in range(len(numbers)) if len(numbers) <= 8 or n in changed or numbers[n][1] != "0"]
        lines += [f"    [{n}] {numbers[n][0]} = {numbers[n][1]}" for n in places[:40]]
        lines += [f"    and {len(places) - 40} more"] if len(places) > 40 else []
    lines += [f"  {line}" for line in mismatch["stages"]]
    if mismatch.get("bins"):
        lines.append(f"  bins: {', '.join(mismatch['bins'][:12])}{', ...' if len(mismatch['bins']) > 12 else ''}")
    return lines


def _difference(entry: dict[str, Any]) -> str:
    if "expected_flags" in entry:
        return f"flags: expected {entry['expected_flags']}, got {entry['got_flags']}"
    place = f"{entry['field']}[{entry['item']}]"
    values = f" ({entry['expected_value']} and {entry['got_value']})" if "expected_value" in entry else ""
    distance = f", {entry['distance']:+d} units of the last place" if "distance" in entry else ""
    return f"{place}: expected {entry['expected']}, got {entry['got']}, bits {entry['changed_bits']}{values}{distance}"


def _short(mismatch: dict[str, Any]) -> str:
    if mismatch["unknown"]:
        return f"vector {mismatch['vector']}: x or z in {mismatch['got']}"
    shown = "; ".join(_difference(entry) for entry in mismatch["differences"][:3])
    more = len(mismatch["differences"]) - 3
    return f"vector {mismatch['vector']}: {shown}{f'; and {more} more' if more > 0 else ''}"


def _bars(counts: dict[str, int], key: str) -> list[str]:
    rows = list(counts.items())
    if key == "distances":
        rows = grouped(counts)
    most = max(count for _, count in rows)
    return [f"  {name:>18} {count:>9,} {'#' * max(round(_WIDTH * count / most), 1)}" for name, count in rows]


def grouped(distances: dict[str, int]) -> list[tuple[str, int]]:
    """Return distances in groups of powers of two, from the lowest to the highest.

    Examples
    --------
    >>> grouped({"-3": 1, "-1": 4, "1": 2, "9": 1})
    [('-4 to -3', 1), ('-1', 4), ('1', 2), ('9 to 16', 1)]
    """
    groups: dict[tuple[int, str], int] = {}
    for text_, count in distances.items():
        step = int(text_)
        size = abs(step)
        if size <= 2:
            key = (step, str(step))
        else:
            high = 1 << (size - 1).bit_length()
            low = high // 2 + 1
            key = (step, f"{low} to {high}") if step > 0 else (step, f"{-high} to {-low}")
            key = (low if step > 0 else -high, key[1])
        groups[key] = groups.get(key, 0) + count
    return [(name, count) for (_, name), count in sorted(groups.items())]
