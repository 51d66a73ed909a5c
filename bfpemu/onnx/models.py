"""Models: of tensors alone, of one quantiser, and those of others with our nodes in them made into operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from bfpemu.catalog import FormatLike
from bfpemu.errors import DataError, SpecError
from bfpemu.formats.preset import Preset
from bfpemu.onnx.functions import DOMAIN, DOMAIN_VERSION, IR_VERSION, OPSET, call, function_name, quantizer_function
from bfpemu.onnx.graph import Length
from bfpemu.onnx.operations import FLOATS
from bfpemu.onnx.text import format_json, format_of_json
from bfpemu.onnx.weights import AnyArray, plain_weight, weight
from bfpemu.tensor import BFPTensor

PLACEHOLDER = "Quantize"
"""The operator of a node that `with_functions` replaces."""


def tensor_model(tensors: Mapping[str, BFPTensor | AnyArray]) -> ModelProto:
    """Return a model without inputs whose outputs are the numbers of tensors, by name (spec 16.2).

    Parameters
    ----------
    tensors : mapping of str to BFPTensor or array
        An array of NumPy or ml_dtypes is written as it is.

    Raises
    ------
    SpecError
        As `weight`.
    DataError
        As `weight`; ``onnx``, for names such as ``"w"`` beside ``"w.scales"``.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> model = tensor_model({"w": BFPTensor(np.array([1.0, 0.3], np.float32), "bfp4")})
    >>> onnxruntime.InferenceSession(model.SerializeToString()).run(["w"], {})[0].tolist()
    [1.0, 0.25]
    """
    nodes: list[NodeProto] = []
    initializers: list[TensorProto] = []
    outputs = []
    for name, tensor in tensors.items():
        found = weight(tensor, name) if isinstance(tensor, BFPTensor) else plain_weight(tensor, name)
        nodes += found.nodes
        initializers += found.initializers
        kind = helper.np_dtype_to_tensor_dtype(tensor.dtype)
        outputs.append(helper.make_tensor_value_info(name, kind, tensor.shape))
    _check_names(nodes, initializers)
    return _model(helper.make_graph(nodes, "tensors", [], outputs, initializers), [])


def quantizer_model(
    format: FormatLike, shape: tuple[Length, ...], axis: int | None = -1, *, dtype: str = "float32", **options: Any
) -> ModelProto:
    """Return a model that quantises its input ``x`` to its output ``y`` (spec 16.4).

    Parameters and errors are those of `quantizer_function`.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> session = onnxruntime.InferenceSession(quantizer_model("bfp4", (None, 2)).SerializeToString())
    >>> session.run(["y"], {"x": np.array([[1.0, 0.3]], np.float32)})[0].tolist()
    [[1.0, 0.25]]
    """
    function = quantizer_function(format, shape, axis, dtype=dtype, **options)
    ends = [helper.make_tensor_value_info(name, FLOATS[dtype], shape) for name in ("x", "y")]
    return _model(helper.make_graph([call(function, "x", "y")], "quantizer", ends[:1], ends[1:]), [function])


def placeholder(
    x: str, y: str, preset: Preset, shape: tuple[Length, ...], axis: int | None = -1, *, dtype: str = "float32"
) -> NodeProto:
    """Return a node that stands for a quantiser in a graph, until `with_functions` replaces it."""
    attributes = placeholder_attributes(preset, shape, axis, dtype)
    return helper.make_node(PLACEHOLDER, [x], [y], None, None, DOMAIN, **attributes)


def placeholder_attributes(preset: Preset, shape: tuple[Length, ...], axis: int | None, dtype: str) -> dict[str, Any]:
    """Return the attributes of such a node; lengths that are not known are -1, and no axis is none."""
    attributes: dict[str, Any] = {
        "format": format_json(preset),
        "dtype": dtype,
        "rank": len(shape),
        "shape": [-1 if length is None else length for length in shape] or [-1],
    }
    return attributes if axis is None else attributes | {"axis": axis}


def with_functions(model: ModelProto, *, packs_weights: bool = True) -> ModelProto:
    """Return a model whose placeholders are weights of codes, or calls of functions that the model brings along.

    Parameters
    ----------
    model : ModelProto
        Its placeholders are in the graph itself, not in graphs within it. It is not changed.
    packs_weights : bool
        Write initialisers that are quantised as codes. Otherwise they stay floats, and every run quantises them.

    Raises
    ------
    SpecError
        ``onnx``, for a placeholder in a graph within the graph; and as `weight` and `quantizer_function`.
    DataError
        As `weight` and `quantizer_function`.
    """
    result = ModelProto()
    result.CopyFrom(model)
    return _Rewriting(result, packs_weights).run()


class _Rewriting:
    """A model while its placeholders are replaced."""

    def __init__(self, model: ModelProto, packs_weights: bool) -> None:
        self.model = model
        floats = model.graph.initializer if packs_weights else []
        self.floats = {each.name: each for each in floats}
        self.functions: dict[tuple[Any, ...], FunctionProto] = {}
        self.packed: dict[tuple[Any, ...], str] = {}
        """Initialiser, format and axis -> the value that has the numbers."""
        self.initializers: list[TensorProto] = []

    def run(self) -> ModelProto:
        """Replace, and drop the floats that nothing reads any more."""
        graph = self.model.graph
        nodes: list[NodeProto] = []
        for node in graph.node:
            _check_subgraphs(node)
            is_placeholder = (node.domain, node.op_type) == (DOMAIN, PLACEHOLDER)
            nodes += self._replaced(node) if is_placeholder else [node]
        read = {name for node in nodes for name in node.input} | {each.name for each in graph.output}
        kept = [each for each in graph.initializer if each.name in read]
        # Older files list initialisers among the inputs.
        inputs = [each for each in graph.input if each.name in read or each.name not in self.floats]
        for field, values in (("node", nodes), ("initializer", [*kept, *self.initializers]), ("input", inputs)):
            graph.ClearField(field)
            getattr(graph, field).extend(values)
        return _finished(self.model, [*self.functions.values()])

    def _replaced(self, node: NodeProto) -> list[NodeProto]:
        """Return the nodes that compute what a placeholder stands for."""
        fields = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        preset, (x,), (y,) = format_of_json(fields["format"].decode()), node.input, node.output
        if x not in self.floats:
            return [call(self._function(preset, fields), x, y)]
        key = (x, fields["format"], fields.get("axis"))
        if key in self.packed:
            return [helper.make_node("Identity", [self.packed[key]], [y])]
        is_first = all(x != name for name, *_ in self.packed)
        tensor = BFPTensor(numpy_helper.to_array(self.floats[x]), preset, axis=fields.get("axis"))
        found = weight(tensor, y, x if is_first else y)
        self.packed[key] = y
        self.initializers += found.initializers
        return found.nodes

    def _function(self, preset: Preset, fields: dict[str, Any]) -> FunctionProto:
        """Return the function of a placeholder, the one that there is if another placeholder is alike."""
        shape = tuple(None if length < 0 else length for length in fields["shape"])[: fields["rank"]]
        axis, dtype = fields.get("axis"), fields["dtype"].decode()
        key = (fields["format"], shape, axis, dtype)
        if key not in self.functions:
            name = function_name(preset, shape, axis, dtype)
            taken = sum(each.name.startswith(name) for each in self.functions.values())
            name = f"{name}_{taken + 1}" if taken else name
            self.functions[key] = quantizer_function(preset, shape, axis, dtype=dtype, name=name)
        return self.functions[key]


def _check_names(nodes: list[NodeProto], initializers: list[TensorProto]) -> None:
    counts = Counter([*(name for node in nodes for name in node.output), *(each.name for each in initializers)])
    ((name, count),) = counts.most_common(1) or [("", 0)]
    if count > 1:
        raise DataError(
            "onnx", f"values must have different names (spec 16.2), got {name!r} twice; give its tensor another name"
        )


def _check_subgraphs(node: NodeProto) -> None:
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                if inner.domain == DOMAIN:
                    raise SpecError(
                        "onnx",
                        "quantisers must stand in the graph itself (spec 16.4), got one in a branch or loop of "
                        f"{node.op_type} {node.name!r}; move it in front of the branch",
                    )
                _check_subgraphs(inner)


def _model(graph: GraphProto, functions: list[FunctionProto]) -> ModelProto:
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="bfpemu", ir_version=IR_VERSION)
    return _finished(model, functions)


def _finished(model: ModelProto, functions: list[FunctionProto]) -> ModelProto:
    """Add functions and what their operators ask for; a newer operator set or file stays."""
    model.functions.extend(functions)
    opsets = {each.domain: each for each in model.opset_import}
    opsets[""].version = max(opsets[""].version, OPSET)
    if functions and DOMAIN not in opsets:
        model.opset_import.append(helper.make_opsetid(DOMAIN, DOMAIN_VERSION))
    elif DOMAIN in opsets and not functions:
        model.opset_import.remove(opsets[DOMAIN])
    model.ir_version = max(model.ir_version, IR_VERSION)
    return model
