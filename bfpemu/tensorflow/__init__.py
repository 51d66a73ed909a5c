"""Block floating point in TensorFlow and Keras: the bits of the kernels in every mode (spec 14).

* `bfp_quantize`: tensors rounded to a format, eager, in graphs and under XLA, with a straight-through gradient.
* `BFPQuantizerSTE`, `BFPDense`, `BFPConv2D`: layers of Keras, which a `.keras` file holds.
* `quantize_model`: a Functional or Sequential model with its layers replaced, and a `Report` of them; `QATConfig`
  says what they quantise. `nonfinite_blocks`: what layers counted.
* `save_packed`, `load_packed`, `model_from_packed`: a model as a `.bfp` file, its weights in their own bits.

Files that hold these layers load once this module is imported.
"""

from bfpemu.adapters.configuration import QATConfig
from bfpemu.adapters.conversion import Report
from bfpemu.tensorflow.convert import quantize_model
from bfpemu.tensorflow.layers import BFPConv2D, BFPDense, BFPQuantizerSTE, nonfinite_blocks
from bfpemu.tensorflow.packed import load_packed, model_from_packed, save_packed
from bfpemu.tensorflow.quantize import bfp_quantize

__all__ = [
    "BFPConv2D",
    "BFPDense",
    "BFPQuantizerSTE",
    "QATConfig",
    "Report",
    "bfp_quantize",
    "load_packed",
    "model_from_packed",
    "nonfinite_blocks",
    "quantize_model",
    "save_packed",
]
