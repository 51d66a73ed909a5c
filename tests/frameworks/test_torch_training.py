"""Training in a format makes good what cutting to it costs: the short form of ``tools/training.py``."""

from __future__ import annotations

import pytest

from tools.training_torch import run

pytestmark = pytest.mark.slow


def test_training_in_bfp3_recovers_at_least_half_of_the_loss():
    found = run("bfp3", epochs=12, further=6)
    assert found.float32 > 0.85
    assert found.after_training < found.float32 - 0.02
    assert found.recovered >= 0.5
