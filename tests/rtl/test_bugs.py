"""Every bug of the catalogue is noticed by the vectors of its unit, in Icarus Verilog."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.rtl.answers import write_set
from tests.rtl.catalogue import Bug, bugs, noticing_vectors
from tests.rtl.devices import MODULES
from tests.rtl.sets import VectorSet
from tests.rtl.stimuli import stimuli

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

BUGS = bugs()
_SETS: dict[tuple[str, str], VectorSet] = {}


@pytest.fixture
def vectors(bug: Bug, tmp_path_factory: pytest.TempPathFactory) -> VectorSet:
    key = (bug.unit, bug.choice)
    if key not in _SETS:
        given = stimuli(bug.unit, bug.built_for, random_count=60)
        _SETS[key] = write_set(tmp_path_factory.mktemp("set"), bug.unit, bug.built_for, given)
    return _SETS[key]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.unit}-{bug.name}")
def test_the_vectors_notice_a_bug(bug: Bug, vectors: VectorSet, tmp_path: Path) -> None:
    assert noticing_vectors(bug, vectors, tmp_path) != []


def test_the_catalogue_has_fifteen_bugs_of_every_unit() -> None:
    count = Counter(bug.unit for bug in BUGS)
    assert all(count[unit] >= 15 for unit in MODULES)
    assert len({(bug.unit, bug.name) for bug in BUGS}) == len(BUGS)
