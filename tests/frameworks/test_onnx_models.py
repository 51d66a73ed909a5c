"""Graphs of ONNX that somebody else wrote: placeholders in them, and models of PyTorch (spec 16.4 to 16.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from bfpemu import BFPTensor
from bfpemu.catalog import resolve
from bfpemu.cli import main
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec
from bfpemu.onnx import placeholder, tensor_model, with_functions
from bfpemu.storage import write
from bfpemu.torch import BFPEmbedding, BFPLinear, QATConfig, export_onnx, quantize_
from tests.frameworks.contract import AnyArray, assert_same_bits, expected, whole_numbers
from tests.frameworks.onnx_session import run

pytestmark = pytest.mark.slow


def model_of(*nodes: Any, **weights: AnyArray) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, 1, ["N", 64]) for name in ("x", "y")]
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(list(nodes), "mine", ends[:1], ends[1:], initializers)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.bfpemu", 1)]
    return helper.make_model(graph, opset_imports=opsets)


def test_placeholders_become_codes_and_functions() -> None:
    same_name = resolve(BFPSpec("bfp8", 5, 16))
    matrix, inputs = whole_numbers((64, 64), 1) // 10, whole_numbers((3, 64), 2) // 5
    model = model_of(
        placeholder("x", "x1", resolve("bfp8"), (None, 64)),
        placeholder("x1", "x2", same_name, (None, 64)),
        placeholder("x2", "x3", resolve("bfp8"), (None, 64)),
        placeholder("w", "w1", resolve("bfp4"), (64, 64), 0),
        placeholder("w", "w2", resolve("bfp4"), (64, 64), 0),
        helper.make_node("MatMul", ["x3", "w1"], ["product"]),
        helper.make_node("MatMul", ["product", "w2"], ["y"]),
        w=matrix,
    )
    given = model.SerializeToString()
    found = with_functions(model)
    assert model.SerializeToString() == given
    assert len(found.functions) == 2
    assert [each.name for each in found.graph.initializer] == ["w.elements", "w.scales"]
    numbers = expected(matrix, "bfp4", 0)
    wanted = expected(expected(inputs, "bfp8"), same_name) @ numbers @ numbers
    assert_same_bits(run(found, inputs), wanted)
    kept = with_functions(model, packs_weights=False)
    assert [each.name for each in kept.graph.initializer] == ["w"]
    assert_same_bits(run(kept, inputs), wanted)


def test_a_graph_says_what_its_numbers_mean() -> None:
    tensor = BFPTensor(np.ones((2, 64), np.float32), "bfp8", axis=0)
    (node, *_) = tensor_model({"w": tensor}).graph.node
    about = {each.key: each.value for each in node.metadata_props}
    assert about["bfpemu.axis"] == "0"
    assert '"mantissa_bits": 8' in about["bfpemu.format"]


def test_a_file_of_codes_becomes_a_model(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((4, 70)).astype(np.float32)
    tensors = {"a": BFPTensor(values, "bfp8"), "b/c": BFPTensor(values, "bfp4", axis=0)}
    write(tmp_path / "w.bfp", tensors, meta={"author": "me"})
    assert main(["convert", str(tmp_path / "w.bfp"), str(tmp_path / "w.onnx")]) == 0
    model = onnx.load(tmp_path / "w.onnx")
    assert [(each.key, each.value) for each in model.metadata_props] == [("author", "me")]
    for number, tensor in enumerate(tensors.values()):
        assert_same_bits(run(model, output=number), tensor.dequantize())


def test_names_that_meet_are_refused() -> None:
    tensor = BFPTensor(np.ones(64, np.float32), "bfp8")
    with pytest.raises(BfpError, match=r"'w\.scales' twice") as refused:
        tensor_model({"w": tensor, "w.scales": tensor})
    assert refused.value.code == "onnx"


def test_a_quantiser_in_a_branch_is_refused() -> None:
    inner = helper.make_graph(
        [placeholder("x", "z", resolve("bfp8"), (None, 64))], "then", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    with pytest.raises(BfpError, match="branch") as refused:
        with_functions(model_of(branch, c=np.array(True)))
    assert refused.value.code == "onnx"


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the exporter's own use of torch
def test_a_model_of_pytorch_has_the_bits_of_its_layers(tmp_path: Path) -> None:
    config = QATConfig(weight_format="bfp4", act_format="bfp6")

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = BFPEmbedding.from_float(torch.nn.Embedding(20, 36), config)
            self.conv = torch.nn.Conv1d(4, 6, 3, padding=1, groups=2)
            self.head = torch.nn.Linear(54, 7)

        def forward(self, words: Any) -> Any:
            images = torch.nn.functional.relu(self.conv(self.table(words).unflatten(1, (4, 9))))
            return self.head(images.flatten(1))

    model = Model().eval()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.from_numpy(whole_numbers(tuple(parameter.shape), number)))
    quantize_(model, config)
    batch = torch.export.Dim("batch", min=2)
    words = torch.arange(5) * 3
    path = tmp_path / "model.onnx"
    exported = export_onnx(model, (words,), path, dynamic_shapes=({0: batch},))
    kinds = [node.op_type for node in exported.graph.node]
    assert kinds.count("DequantizeLinear") == 3
    assert sum(kind.startswith("quantize_bfp6") for kind in kinds) == 2
    for count in (2, 5):
        found = run(onnx.load(path), words[:count].numpy())
        assert_same_bits(found, model(words[:count]).detach().numpy())


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("options", [{"accumulator": "fp32_sequential"}, {"rounding": "stochastic"}], ids=str)
def test_a_model_that_onnx_does_not_have_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(BfpError) as refused:
        export_onnx(BFPLinear(64, 8, config=QATConfig(**options)).eval(), (torch.ones(3, 64),))
    assert refused.value.code == "onnx"
