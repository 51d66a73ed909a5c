"""Block floating point in ONNX: weights as blocked `DequantizeLinear`, quantisers as functions of integer operators.

* `weight`, `tensor_model`: the codes of a `BFPTensor` as initialisers, and nodes that have its numbers.
* `quantizer_function`, `quantizer_model`: what `bfpemu.bfp_quantize` does, for values that only the run knows.
* `placeholder`, `with_functions`: quantisers in a graph that somebody else wrote, made into the two above.

Models of PyTorch come here through `bfpemu.torch.export_onnx`. The bits are those of the kernels in any runtime that
computes the operators as ONNX defines them (spec 16).
"""

from bfpemu.onnx.functions import quantizer_function
from bfpemu.onnx.models import placeholder, quantizer_model, tensor_model, with_functions
from bfpemu.onnx.weights import Weight, weight

__all__ = [
    "Weight",
    "placeholder",
    "quantizer_function",
    "quantizer_model",
    "tensor_model",
    "weight",
    "with_functions",
]
