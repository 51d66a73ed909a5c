"""The fake quantiser on the bits of a float: encode, then decode, in integer operations alone (spec 14).

Frameworks that compile their graphs flush subnormals, fuse and re-order what is done with floats;
what is done with integers they leave alone. So the steps of chapters 3 and 2 are written here once
more, on integer arrays, over a small set of operations that every array library has. NumPy's are in
`bfpemu.bitwise.numpy_operations`; each framework adapter brings its own.

This is a formulation of its own: it shares no code with the reference model or the kernels.
"""

from bfpemu.bitwise.operations import Operations
from bfpemu.bitwise.plan import Plan, make_plan
from bfpemu.bitwise.quantizer import fake_quantize, saturates
from bfpemu.bitwise.random_words import folded_seed, random_words

__all__ = ["Operations", "Plan", "fake_quantize", "folded_seed", "make_plan", "random_words", "saturates"]
