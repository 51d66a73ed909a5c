"""Whole models in PyTorch: what conversion keeps, what it refuses, and that they train."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from bfpemu.catalog import resolve
from bfpemu.errors import BfpError
from bfpemu.torch import (
    BFPAutoflex,
    BFPConv1d,
    BFPConv2d,
    BFPEmbedding,
    BFPLinear,
    QATConfig,
    bfp_quantize,
    convert_linear_to_bfp,
    load_packed,
    next_step,
    nonfinite_blocks,
    quantize_,
    save_packed,
)

pytestmark = pytest.mark.slow


def small_gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_embd=64, n_head=2, vocab_size=96, n_positions=32, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config).eval()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 36, 3, padding=1), nn.ReLU(), nn.Conv2d(36, 8, 3, groups=2), nn.Flatten(), nn.Linear(8 * 36, 10)
    )


class TestConversion:
    def test_every_projection_of_gpt2_is_converted_and_the_loss_falls(self):
        model = small_gpt2()
        keys, tied = list(model.state_dict()), model.transformer.wte.weight
        optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
        report = quantize_(model, QATConfig(grad_format="bfp8"))
        assert sum(entry.old == "Conv1D" for entry in report.converted) == 8
        assert len(report.converted) == 9
        assert model.lm_head.weight is tied
        assert list(model.state_dict()) == keys
        assert not model.training
        tokens = torch.arange(64).reshape(2, 32) % 7
        losses = []
        for _ in range(20):
            loss = model(input_ids=tokens, labels=tokens).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0] / 2
        alone, batch = model(tokens[:1]).logits, model(tokens).logits[:1]
        assert torch.equal(alone, batch)

    def test_a_layer_keeps_all_but_its_class(self):
        model = network()
        model[4].weight.requires_grad_(requires_grad=False)
        model[2].eval()
        seen = []
        model[0].register_forward_hook(lambda *_: seen.append(1))
        layers, parameters = list(model), list(model.parameters())
        quantize_(model, QATConfig(weight_format="bfp4"))
        assert [type(layer).__name__ for layer in model] == ["BFPConv2d", "ReLU", "BFPConv2d", "Flatten", "BFPLinear"]
        assert all(now is before for now, before in zip(model, layers, strict=True))
        assert all(now is before for now, before in zip(model.parameters(), parameters, strict=True))
        model(torch.randn(2, 3, 8, 8))
        assert seen == [1]
        assert not model[4].weight.requires_grad
        assert not model[2].training

    def test_a_model_that_is_one_layer_is_converted(self):
        layer = nn.Linear(40, 3)
        report = quantize_(layer, QATConfig())
        assert [entry.name for entry in report.converted] == [""]
        assert isinstance(layer, BFPLinear)
        assert isinstance(convert_linear_to_bfp(nn.Linear(4, 4)), BFPLinear)

    def test_rules_choose_formats_by_name_and_the_report_says_so(self):
        model = nn.Sequential(nn.Embedding(10, 40), network())
        rules = [(r"0|1\.0", QATConfig(weight_format="bfp4", quantize_input=False)), (r"1\.2", None)]
        report = quantize_(model, rules)
        assert [(entry.name, entry.new) for entry in report.converted] == [("0", "BFPEmbedding"), ("1.0", "BFPConv2d")]
        assert {entry.name: entry.reason for entry in report.skipped} == {
            "1.2": "its rule says so",
            "1.4": "no rule fits its name",
        }
        assert isinstance(model[0], BFPEmbedding)
        weight = model[0].weight
        assert torch.equal(model[0](torch.tensor([3])), bfp_quantize(weight, "bfp4")[3:4])

    def test_a_second_conversion_changes_the_formats(self):
        model = network()
        quantize_(model, QATConfig(weight_format="bfp4"))
        quantize_(model, QATConfig(weight_format="bfp8"))
        assert model[4].config.weight_format.name == "bfp8"

    def test_a_copy_leaves_the_model_as_it_was(self):
        model = network()
        assert isinstance(convert_linear_to_bfp(model, "bfp6", inplace=False)[4], BFPLinear)
        assert type(model[4]) is nn.Linear

    def test_models_are_copied_and_pickled(self):
        model, x = network(), torch.randn(2, 3, 8, 8)
        quantize_(model, QATConfig(weight_format="bfp4", rounding="stochastic"))
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(other(x), model(x))

    def test_bfloat16_models_and_autocast_work(self):
        x = torch.randn(3, 70)
        layer = BFPLinear(70, 9)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = layer(x)
        # The float32 weight is quantised before the cast, so that nothing rounds twice.
        wanted = (bfp_quantize(x).bfloat16() @ bfp_quantize(layer.weight).bfloat16().t()) + layer.bias.bfloat16()
        assert torch.equal(mixed, wanted)
        mixed.sum().backward()
        assert layer.weight.grad.dtype == torch.float32
        narrow = quantize_(nn.Linear(70, 9, dtype=torch.bfloat16), QATConfig())
        assert narrow.converted

    @pytest.mark.parametrize(
        "convert, code",
        [
            (lambda: quantize_(nn.Sequential(nn.ReLU()), QATConfig()), "nothing-converted"),
            (lambda: quantize_(network(), [("9", QATConfig())]), "layer-rules"),
            (lambda: quantize_(network(), [("4", QATConfig()), (".*", QATConfig())]), "layer-rules"),
            (lambda: quantize_(network(), [("(", QATConfig())]), "layer-rules"),
            (lambda: quantize_(network(), [("4", "bfp8")]), "layer-rules"),
            (lambda: quantize_(network(), 3), "layer-rules"),
            (lambda: quantize_(network(), QATConfig(), weight_format="bfp4"), "layer-rules"),
            (lambda: quantize_(network(), [("4", None)]), "nothing-converted"),
            (lambda: quantize_(network(), [("0", QATConfig()), ("head", QATConfig())]), "layer-rules"),
            (lambda: quantize_(nn.Embedding(4, 8, max_norm=1.0), [("", QATConfig())]), "layer-type"),
            (
                lambda: quantize_(nn.Linear(4, 4, dtype=torch.bfloat16), QATConfig(weight_format="bfp12")),
                "adapter-format",
            ),
            (lambda: convert_linear_to_bfp(network(), "bfp9000"), "unknown-format"),
            (lambda: BFPLinear(4, 4, weight_format="flex16_5"), "exponent-given"),
            (lambda: QATConfig(ste="sometimes"), "field-type"),
            (lambda: QATConfig(seed=-1), "field-type"),
        ],
    )
    def test_what_cannot_be_converted_is_refused_with_a_code(self, convert, code):
        with pytest.raises(BfpError) as refused:
            convert()
        assert refused.value.code == code

    def test_a_refused_model_is_as_it_was(self):
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, dtype=torch.bfloat16))
        with pytest.raises(BfpError):
            quantize_(model, QATConfig(weight_format="bfp12"))
        assert type(model[0]) is nn.Linear


class TestRoundingAndCounting:
    def test_steps_change_the_random_words_and_nothing_else_does(self):
        model, x = network(), torch.randn(2, 3, 8, 8)
        quantize_(model, QATConfig(weight_format="bfp3", rounding="stochastic", seed=5))
        first = model(x)
        assert torch.equal(model(x), first)
        next_step(model)
        assert not torch.equal(model(x), first)

    def test_blocks_that_are_not_finite_are_counted(self):
        layer = BFPConv2d(40, 2, 1, config=QATConfig(counts_nonfinite=True))
        x = torch.zeros(1, 40, 2, 2)
        x[0, 3, 0, 0], x[0, 39, 0, 0], x[0, 38, 1, 1] = torch.nan, torch.inf, -torch.inf
        layer(x)
        assert nonfinite_blocks(layer) == {"": 3}
        groups = BFPConv2d(40, 2, 1, groups=2, counts_nonfinite=True)
        x[0, 25, 0, 0] = torch.nan
        groups(x[:, :, :1, :1])
        assert nonfinite_blocks(groups) == {"": 2}

    @pytest.mark.parametrize(
        "options",
        [
            {"quantize_input": False},
            {"act_format": resolve("bfp8").with_(block_size=None)},
            {"act_format": resolve("bfp8").with_(block_size=(4, 4))},
        ],
        ids=["nothing", "tensors", "tiles"],
    )
    def test_what_has_no_blocks_along_one_axis_is_not_counted(self, options):
        with pytest.raises(BfpError) as refused:
            QATConfig(**options, counts_nonfinite=True)
        assert refused.value.code == "adapter-format"

    def test_steps_are_saved_and_files_of_float_layers_load(self, tmp_path):
        layer, other = (BFPLinear(64, 8, weight_format="bfp3", rounding="stochastic") for _ in range(2))
        next_step(layer)
        save_packed(layer, tmp_path / "layer.bfp")
        load_packed(other, tmp_path / "layer.bfp")
        x = torch.randn(3, 64)
        assert torch.equal(other(x), layer(x))
        assert other.rounding_step.item() == 1
        other.load_state_dict(nn.Linear(64, 8).state_dict())
        assert other.rounding_step.item() == 1

    def test_another_configuration_leaves_layers_their_random_words(self):
        model = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False))
        config = QATConfig(weight_format="bfp4", quantize_input=False, rounding="stochastic")
        quantize_(model, QATConfig(weight_format="bfp8"))
        with torch.no_grad():
            model[1].weight.copy_(model[0].weight)
        for layer in model:
            layer.set_config(config)
        x = torch.eye(64)
        assert not torch.equal(model[0](x), model[1](x))

    def test_autoflex_follows_the_data_and_its_state_is_saved(self):
        quantizer, other = BFPAutoflex(), BFPAutoflex()
        x = torch.tensor([1.0, 5.0], requires_grad=True)
        for _ in range(3):
            quantizer(x)
        other.load_state_dict(quantizer.state_dict())
        assert other.autoflex.state == quantizer.autoflex.state
        quantizer.eval()(x).sum().backward()
        assert x.grad.tolist() == [1, 1]
        assert other.autoflex.state == quantizer.autoflex.state


class TestPackedModels:
    def test_a_packed_model_gives_the_same_bits(self, tmp_path):
        model, other = small_gpt2(), small_gpt2()
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        rules = [(r".*c_(attn|proj|fc)", QATConfig(weight_format="bfp4")), ("lm_head", QATConfig())]
        for either in (model, other):
            quantize_(either, rules)
        save_packed(model, tmp_path / "gpt2.bfp")
        load_packed(other, tmp_path / "gpt2.bfp")
        tokens = torch.arange(20).reshape(1, 20)
        assert torch.equal(model(tokens).logits, other(tokens).logits)
        assert other.lm_head.weight is other.transformer.wte.weight
        floats = sum(parameter.nbytes for parameter in model.transformer.h.parameters())
        assert (tmp_path / "gpt2.bfp").stat().st_size < floats / 2

    def test_a_file_of_another_model_is_refused(self, tmp_path):
        save_packed(BFPLinear(8, 4), tmp_path / "a.bfp")
        for other in (BFPLinear(8, 5), BFPLinear(8, 4, bias=False), nn.Sequential(BFPLinear(8, 4))):
            with pytest.raises(BfpError) as refused:
                load_packed(other, tmp_path / "a.bfp")
            assert refused.value.code == "tensor-name"


def test_a_transformer_layer_calls_its_converted_layers_in_inference_too():
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
    x = torch.randn(2, 5, 32)
    assert quantize_(model, QATConfig(weight_format="bfp4")).converted
    with_gradient = model(x).detach()
    with torch.no_grad():
        # Attention alone has another way in inference; weights that are not quantised are far off.
        assert torch.allclose(model(x), with_gradient, atol=1e-5)


def test_a_report_says_why_linear_layers_stay_and_the_alias_warns_of_them():
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 8, bias=False)),
        nn.MultiheadAttention(8, 2),
        nn.LazyLinear(8),
        nn.Linear(8, 8),
    )
    reasons = {entry.name: entry.reason for entry in quantize_(copy.deepcopy(model)).skipped}
    assert "convert the Linear first" in reasons["0"]
    assert "multiplies by its weight" in reasons["1"]
    assert "multiplies by its weight" in reasons["1.out_proj"]
    assert "first call" in reasons["2"]
    with pytest.warns(UserWarning, match=r"0, 1\.out_proj, 2;"):
        convert_linear_to_bfp(model)


def test_a_model_with_a_layer_that_is_refused_stays_as_it_was():
    model = nn.Sequential(nn.Linear(8, 8), BFPConv1d(8, 8, 1))
    with pytest.raises(BfpError):
        quantize_(model, QATConfig(accumulator="exact"))
    assert type(model[0]) is nn.Linear
