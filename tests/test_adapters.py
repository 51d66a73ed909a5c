"""What the framework adapters share, without any of the frameworks (spec 14)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bfpemu import BFPTensor, DotProductUnit
from bfpemu.adapters.configuration import SLOTS, QATConfig, Slot, layer_config
from bfpemu.adapters.conversion import Report, Selection
from bfpemu.adapters.emulated import Geometry, emulator_of
from bfpemu.adapters.seeds import check_seed
from bfpemu.adapters.shards import check_shard
from bfpemu.adapters.text import format_text, preset_of, resolved_unit, unit_text
from bfpemu.bitwise.random_words import checked_seed
from bfpemu.catalog import presets, resolve
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec
from bfpemu.units import units

BFP8 = BFPSpec("bfp8", 8, 32)


@pytest.mark.parametrize("name", ["bfp8", "mx6", "tt_bfp4_b_hw", "bfp6:stochastic", (5, 64)], ids=str)
def test_a_format_comes_back_from_its_text(name: Any) -> None:
    assert preset_of(format_text(name)) == resolve(name)


def test_a_unit_comes_back_from_its_text_and_equals_what_computes_as_it_does() -> None:
    for name, unit in units().items():
        assert resolved_unit(json.loads(unit_text(unit))) == unit == resolved_unit(name)
    assert resolved_unit(DotProductUnit()) == resolved_unit(DotProductUnit())
    assert type(resolved_unit(DotProductUnit())) is not DotProductUnit


@pytest.mark.parametrize(
    "config",
    [
        QATConfig(),
        QATConfig(weight_format=(5, 16), act_format="bfp8:toward_zero", grad_format="bfp6", ste="clip"),
        QATConfig(accumulator="fp32_sequential", rounding="ties_away", layer_number=3),
        QATConfig(weight_format=None, quantize_output=True, act_format=(6, 8), counts_nonfinite=True, whole_axis=True),
    ],
)
def test_a_configuration_comes_back_from_json(config: QATConfig) -> None:
    again = QATConfig(**json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert hash(again) == hash(config)


def test_a_slot_has_the_format_that_the_arguments_give_it() -> None:
    def names(config: QATConfig) -> list[str | None]:
        found = [config.format_of(slot) for slot in range(SLOTS)]
        return [None if preset is None else preset.name for preset in found]

    assert names(QATConfig()) == ["bfp8", "bfp8", None, "bfp8", None, "bfp8", None]
    of_all = QATConfig(weight_format="bfp4", act_format="bfp6", grad_format="bfp8", quantize_output=True)
    assert names(of_all) == ["bfp6", "bfp4", "bfp8", "bfp4", "bfp8", "bfp6", "bfp6"]
    of_output = QATConfig(quantize_input=False, quantize_output=True, output_format="bfp3")
    assert names(of_output) == [None, "bfp8", None, "bfp8", None, None, "bfp3"]
    assert str(QATConfig(weight_format=None)) == "nothing quantised"


def test_a_layer_takes_what_is_of_the_configuration_and_leaves_the_rest() -> None:
    options = {"grad_format": "bfp6", "config": QATConfig(weight_format="bfp4"), "device": "cpu"}
    config = layer_config(options, weight_format="bfp8", act_format=None)
    assert (str(config), options) == ("weight bfp4, act bfp4, grad bfp6", {"device": "cpu"})


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"weight_format": "bfp9000"}, "unknown-format"),
        ({"act_format": "flex16_5"}, "exponent-given"),
        ({"accumulator": "abacus"}, "unknown-unit"),
        ({"accumulator": 3}, "unit"),
        ({"accumulator": "exact", "quantize_input": False}, "unit"),
        ({"accumulator": "exact", "act_format": "hbfp8"}, "unit"),
        ({"accumulator": DotProductUnit("bfp4", "bfp8")}, "operand-format"),
        ({"ste": "soft"}, "field-type"),
        ({"seed": -1}, "field-type"),
        ({"layer_number": 1 << 32}, "field-type"),
        ({"quantize_output": 1}, "field-type"),
        ({"counts_nonfinite": True, "quantize_input": False}, "adapter-format"),
        ({"counts_nonfinite": True, "act_format": resolve("bfp8").with_(block_size=None)}, "adapter-format"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_a_code(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(BfpError) as refused:
        QATConfig(**fields)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "call, code",
    [
        (lambda: QATConfig().with_(weight="bfp8"), "unknown-key"),
        (lambda: layer_config({"config": "bfp8"}), "field-type"),
        (lambda: checked_seed(-1), "random-words"),
        (lambda: checked_seed(True), "random-words"),
        (lambda: checked_seed("seven"), "random-words"),
        (lambda: check_seed(resolve("bfp8"), 3), "random-words"),
        (lambda: check_seed(resolve("bfp8:stochastic"), None), "random-words"),
    ],
)
def test_arguments_that_cannot_be_are_refused_with_a_code(call: Any, code: str) -> None:
    with pytest.raises(BfpError) as refused:
        call()
    assert refused.value.code == code


# ------------------------------------------------------------------------------------ conversion


LAYERS = {"body.0": "Linear", "body.1": "Norm", "table": "Embedding", "head": "Linear"}


def selected(rules: Any, filter_fn: Any = None, **options: Any) -> Report:
    """Return the report of a model with these layers, in which an embedding is converted by rules alone."""
    selection = Selection(rules, filter_fn, options)
    for name, kind in LAYERS.items():
        new = None if kind == "Norm" else f"BFP{kind}"
        selection.config(name, kind, kind, new, only_by_rule=kind == "Embedding")
    return selection.report("Linear and Embedding")


def test_one_configuration_is_for_every_layer_and_numbers_count_on() -> None:
    report = selected(QATConfig(weight_format="bfp4", layer_number=5))
    assert [(entry.name, entry.config.layer_number) for entry in report.converted] == [("body.0", 5), ("head", 6)]
    assert {entry.name: entry.reason for entry in report.skipped} == {
        "body.1": "its type is not converted",
        "table": "only a rule converts its type",
    }
    assert str(selected(None, weight_format="bfp4")).splitlines()[0] == (
        "converted body.0: Linear -> BFPLinear, weight bfp4, act bfp4"
    )


def test_rules_and_a_filter_choose_layers() -> None:
    rules = [(r"body\..*", QATConfig()), ("table", QATConfig(weight_format="bfp4")), ("head", None)]
    report = selected(rules, lambda layer, name: name != "body.0")
    assert [entry.new for entry in report.converted] == ["BFPEmbedding"]
    assert [entry.reason for entry in report.skipped] == [
        "filter_fn says no",
        "its type is not converted",
        "its rule says so",
    ]


@pytest.mark.parametrize(
    "rules, options, code",
    [
        ([("head", None)], {}, "nothing-converted"),
        ([("head", QATConfig()), ("tail", QATConfig())], {}, "layer-rules"),
        ([("head", QATConfig()), (".*", QATConfig())], {}, "layer-rules"),
        ([("(", QATConfig())], {}, "layer-rules"),
        ([(3, QATConfig())], {}, "layer-rules"),
        ([("head", "bfp8")], {}, "layer-rules"),
        (["head"], {}, "layer-rules"),
        ("head", {}, "layer-rules"),
        (3, {}, "layer-rules"),
        (QATConfig(), {"seed": 3}, "layer-rules"),
        (None, {"weight": "bfp4"}, "unknown-key"),
    ],
)
def test_rules_that_cannot_be_are_refused_with_a_code(rules: Any, options: dict[str, Any], code: str) -> None:
    with pytest.raises(BfpError) as refused:
        selected(rules, **options)
    assert refused.value.code == code


# ---------------------------------------------------------------------------------------- shards


@pytest.mark.parametrize(
    "spec, shape, axis, divided, is_refused",
    [
        (BFP8, (2, 64), -1, {1}, False),
        (BFP8, (2, 48), -1, {1}, True),
        (BFP8, (2, 48), -1, {0}, False),
        (BFP8, (2, 48), None, {0}, False),
        (BFP8, (2, 50), None, {0}, True),
        (BFP8, (2, 64), None, {1}, True),
        (BFPSpec("tensor", 8, None), (2, 64), -1, {0}, True),
        (BFPSpec("tensor", 8, None), (2, 64), -1, set(), False),
        (BFPSpec("tiles", 8, (4, 8)), (6, 16), -1, {1}, False),
        (BFPSpec("tiles", 8, (4, 8)), (6, 16), -1, {0}, True),
    ],
)
def test_a_shard_holds_whole_blocks_or_is_refused(
    spec: BFPSpec, shape: tuple[int, ...], axis: int | None, divided: set[int], is_refused: bool
) -> None:
    try:
        check_shard(spec, shape, axis, divided)
    except BfpError as refused:
        assert (is_refused, refused.code) == (True, "shard")
    else:
        assert not is_refused


# ------------------------------------------------------------------------------ emulated products


def whole_numbers(shape: tuple[int, ...], seed: int) -> Any:
    return np.random.default_rng(seed).integers(-90, 91, shape).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("act", ["bfp8", resolve("bfp8").with_(block_size=None)], ids=["blocks", "tensor"])
def test_around_an_image_codes_are_zero_and_a_group_starts_a_block(act: Any) -> None:
    images, kernels = whole_numbers((2, 40, 4, 3), 1), whole_numbers((6, 20, 2, 2), 2)
    config = QATConfig(act_format=act, weight_format="bfp6", accumulator="exact")
    geometry = Geometry((2, 1), ((1, 0), (0, 2)), groups=2)
    found = emulator_of(config).conv2d(images, kernels, geometry=geometry)
    taken = images.reshape(2, 2, 20, 4, 3)
    taken = np.stack([BFPTensor(taken[:, g], act, axis=1).dequantize() for g in range(2)], 1)
    if act != "bfp8":  # one exponent for all of it
        taken = BFPTensor(images, act, axis=1).dequantize().reshape(taken.shape)
    taps = BFPTensor(kernels, "bfp6", axis=1).dequantize().reshape(2, 3, 20, 2, 2)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(taken, ((0, 0), (0, 0), (0, 0), (1, 0), (0, 2))), (2, 2), axis=(3, 4)
    )[:, :, :, ::2]
    wanted = np.einsum("ngchwij,gocij->ngohw", windows.astype(np.float64), taps.astype(np.float64))
    assert found.tolist() == wanted.reshape(found.shape).tolist()
    assert list(found.shape[2:]) == geometry.places(images.shape[2:], kernels.shape[2:])


def test_every_preset_that_is_no_exception_is_a_format_of_layers() -> None:
    refused = set()
    for name in presets():
        try:
            assert QATConfig(weight_format=name).format_of(Slot.WEIGHT) == resolve(name)
        except BfpError as error:
            refused.add((name, error.code))
    assert refused == {("flex16_5", "exponent-given")}
