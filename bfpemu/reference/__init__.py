"""The executable spec: the number model in integers and fractions, written to be read.

Each module holds one idea of chapters 2 to 6, and each function names its clause. Nothing
here is fast, and no float takes part in any arithmetic. The compiled kernels are compared
with this package; neither imports the other.
"""

from bfpemu.reference.blocks import Blocking
from bfpemu.reference.conv2d import conv2d
from bfpemu.reference.decode import decode_block, round_to_float
from bfpemu.reference.dot import DotResult, dot_blocks, encoded_matmul, matmul
from bfpemu.reference.elementwise import add, multiply, negate, relu, requantize, subtract
from bfpemu.reference.encode import EncodedBlock, encode_block
from bfpemu.reference.flags import Flags
from bfpemu.reference.rounding import round_to_integer
from bfpemu.reference.source import SOURCE_FLOATS, SourceFloat, read_float, read_integer
from bfpemu.reference.tensor import EncodedTensor, decode_tensor, encode_tensor, pack_tensor, unpack_tensor
from bfpemu.reference.value import Value

__all__ = [
    "SOURCE_FLOATS",
    "Blocking",
    "DotResult",
    "EncodedBlock",
    "EncodedTensor",
    "Flags",
    "SourceFloat",
    "Value",
    "add",
    "conv2d",
    "decode_block",
    "decode_tensor",
    "dot_blocks",
    "encode_block",
    "encode_tensor",
    "encoded_matmul",
    "matmul",
    "multiply",
    "negate",
    "pack_tensor",
    "read_float",
    "read_integer",
    "relu",
    "requantize",
    "round_to_float",
    "round_to_integer",
    "subtract",
    "unpack_tensor",
]
