"""Codes to packed bytes, and back (spec 5).

`pack` and `unpack` serve every `Layout`; the planes of a `.bfp` file are the three sections of
the planar layout, each in bytes of its own.
"""

from bfpemu.packing.pipeline import decode_planes, encode_planes
from bfpemu.packing.planes import Planes, PlaneSizes, pack_planes, plane_sizes, unpack_planes
from bfpemu.packing.stream import pack, packed_bytes, unpack

__all__ = [
    "PlaneSizes",
    "Planes",
    "decode_planes",
    "encode_planes",
    "pack",
    "pack_planes",
    "packed_bytes",
    "plane_sizes",
    "unpack",
    "unpack_planes",
]
