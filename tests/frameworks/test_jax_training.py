"""Training in a format makes good what cutting to it afterwards costs (the digits of scikit-learn, in Flax)."""

from __future__ import annotations

import pytest

from tools.training_jax import run

pytestmark = pytest.mark.slow


def test_training_in_bfp4_makes_good_at_least_half_of_what_cutting_to_it_costs() -> None:
    found = run("bfp4", epochs=40, further=20, seed=0)
    assert found.float32 - found.after_training > 0.01
    assert found.recovered >= 0.5
