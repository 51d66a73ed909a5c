"""Arrays of numbers to arrays of codes, and back (spec 2, 3).

`encode_array` and `decode_array` take and give arrays, `encode_rows` and `decode_rows` rows of blocks
as `blocking` gives them. Ordinary blocks go through the narrow lanes of the kernels, all others through
the general kernels.
"""

from bfpemu.codec.arrays import decode_array, encode_array
from bfpemu.codec.codes import Codes
from bfpemu.codec.decode import decode_rows
from bfpemu.codec.encode import Supplied, encode_rows

__all__ = ["Codes", "Supplied", "decode_array", "decode_rows", "encode_array", "encode_rows"]
