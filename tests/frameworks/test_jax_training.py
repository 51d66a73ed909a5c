"""Training in a format makes good what cutting to it afterwards costs (the digits of scikit-learn, in Flax)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_training_in_bfp4_makes_good_at_least_half_of_what_cutting_to_it_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "tools"), *sys.path])
    from training_jax import run

    found = run("bfp4", epochs=40, further=20, seed=0)
    assert found.float32 - found.after_training > 0.01
    assert found.recovered >= 0.5
