"""Hypothesis profiles; the environment variable BFPEMU_PROFILE names one."""

import os

from hypothesis import HealthCheck, settings

# A kernel compiles at its first call, so no example has a deadline.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nojit", deadline=None, derandomize=True, max_examples=10)
settings.register_profile(
    "nightly", deadline=None, max_examples=20_000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("BFPEMU_PROFILE", "default"))
