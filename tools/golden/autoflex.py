"""Autoflex cases: maxima in, exponents out (spec 8.12, 11)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bfpemu.formats.autoflex import AUTOFLEX_CONFIGS, AutoflexConfig
from bfpemu.reference.autoflex import AutoflexTensor
from golden.case import VERSION

Step = tuple[str | int, ...]

_OPTIONS: dict[str, dict[str, Any]] = {
    "exact_floor": {"arithmetic": "exact"},
    "exact_ceil": {"arithmetic": "exact", "rounding": "ceil"},
    "float64_ceil": {"rounding": "ceil"},
    "float64_headroom": {"headroom": 1.3},
    "fractions_of_a_deviation": {"deviations": 0.1, "margin": 0.5},
    "no_margin_and_no_deviations": {"deviations": 0, "margin": 0},
    "exact_without_margin": {"deviations": 0, "margin": 0, "arithmetic": "exact", "rounding": "ceil"},
    "history_of_1": {"history_length": 1},
    "history_of_3": {"history_length": 3},
    "8_bits": {"significand_bits": 8},
    "24_bits": {"significand_bits": 24, "initial_exponent": -20},
    "4_bits": {"significand_bits": 4, "initial_exponent": 0},
    "no_tensor_is_stale": {"stale_shift": None},
    "every_tensor_is_stale": {"stale_shift": 0, "stale_history": 3, "stale_margin": 5},
    "exact_stale": {"stale_shift": 0, "arithmetic": "exact"},
    "narrow_exponents": {"minimum_exponent": -10, "maximum_exponent": -6},
    "overflow_counts_eightfold": {"overflow_bits": 3},
    "gives_up_early": {"initialisation_tries": 2, "jump_bits": 1},
}


def autoflex_texts() -> dict[str, str]:
    """Return the text of every file by its name."""
    configs = AUTOFLEX_CONFIGS | {name: AutoflexConfig(**fields) for name, fields in _OPTIONS.items()}
    return {f"autoflex/{name}.json": _text(name, config) for name, config in configs.items()}


def _text(name: str, config: AutoflexConfig) -> str:
    cases = [json.dumps(_record(case, config, steps)) for case, steps in _cases(config)]
    head = (
        f'"version": {VERSION},\n"operation": "autoflex",\n"name": "{name}",\n"config": {json.dumps(config.to_dict())}'
    )
    return "{\n" + head + ',\n"cases": [\n' + ",\n".join(cases) + "\n]\n}\n"


def _record(name: str, config: AutoflexConfig, steps: Sequence[Step]) -> dict[str, Any]:
    tensor = AutoflexTensor.of(config)
    exponents = []
    for step, *arguments in steps:
        getattr(tensor, str(step))(*arguments)
        exponents.append(tensor.exponent)
    fields = (
        "exponent", "is_initialised", "tries", "history", "is_adjustable", "adjustments", "age", "overflows",
    )  # fmt: skip
    state = {field: getattr(tensor, field) for field in fields}
    return {"name": name, "steps": steps, "exponents": exponents, "state": state}


def _cases(config: AutoflexConfig) -> Iterator[tuple[str, list[Step]]]:
    """Yield sequences that reach every branch, scaled to the elements of the configuration."""
    top = config.largest_maximum
    half, reliable = top // 2, config.reliable_maximum
    assert reliable is not None
    for name, maximum in {
        "zero": 0,
        "one_unit": 1,
        "one_below_reliable": max(reliable - 1 - config.initial_increment, 0),
        "reliable": max(reliable - config.initial_increment, 0),
        "one_below_half": half - 1 - config.initial_increment,
        "half": half - config.initial_increment,
        "largest_that_fits": top - 2 - config.initial_increment,
        "overflow": top - 1,
        "most_negative": top,
    }.items():
        yield f"first_try_{name}", [("initialise", maximum)]
    yield "initialisation_gives_up_on_zeros", [("initialise", 0)] * 13
    yield "initialisation_gives_up_on_overflows", [("initialise", top)] * 13
    yield "initialisation_of_small_numbers_jumps_twice", [("update", 3), ("update", half), ("update", half)]
    ready: list[Step] = [("initialise", half)]
    yield "adjustment_without_observation_changes_nothing", [*ready, ("adjust",), ("adjust",)]
    yield "second_adjustment_changes_nothing", [*ready, ("observe", half), ("adjust",), ("adjust",)]
    yield "two_observations_before_an_adjustment", [*ready, ("observe", half), ("observe", top // 3), ("adjust",)]
    yield "zeros_shrink_the_unit_to_the_end", [*ready, *[("update", 0)] * 24]
    yield "overflows_raise_the_unit_to_the_end", [*ready, *[("update", top - 1)] * 24]
    yield "one_below_overflow", [*ready, ("update", top - 2)]
    yield "overflow_clears_the_history", [*ready, *[("update", half)] * 3, ("update", top), ("update", half)]
    yield "steady", [*ready, *[("update", min(half + 7, top - 2))] * 20]
    yield "powers_of_two", [*ready, *[("update", 1 << (place % half.bit_length())) for place in range(20)]]
    yield "longer_than_the_history", [*ready, *[("update", (k * 7919 + 13) % (top - 1)) for k in range(40)]]
    yield "alternating", [*ready, *[("update", half + (-1) ** k * (half // 2)) for k in range(12)]]
    yield "decay", [*ready, *[("update", max(half >> k, 1)) for k in range(12)]]
    yield "growth", [*ready, *[("update", min(half + k * (half // 11), top)) for k in range(12)]]
    yield "age_runs_ahead", [*ready, *[("update", half, 16 * k) for k in range(1, 9)]]
    yield "age_far_ahead_once", [*ready, ("update", half, 1), ("update", half // 3, 1000), ("update", half // 5, 1001)]
    yield "age_stands_still", [*ready, *[("update", half // (k + 1), 40) for k in range(6)]]
