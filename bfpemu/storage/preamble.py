"""The first 64 bytes of a `.bfp` file (spec 7.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from xxhash import xxh3_64_intdigest

from bfpemu.errors import BfpFormatError

MAGIC = b"\x89BFP\r\n\x1a\n"
MAJOR = 1
PREAMBLE_BYTES = 64
LARGEST_HEADER = 1 << 26
"""64 MiB: the Python objects of a header take about ten times its bytes."""

_FIELDS = struct.Struct("<8sHHIQQQQQQ")

_OTHER_KINDS = (
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"\x93NUMPY", ".npy"),
    (b"PK\x03\x04", "a zip archive, such as .npz"),
    (b"GGUF", "GGUF"),
)


@dataclass(frozen=True, slots=True)
class Preamble:
    """What the preamble says beside its fixed fields."""

    header_offset: int
    header_bytes: int
    """The padding spaces included."""
    file_bytes: int
    header_hash: int
    """xxh3-64 of the header's bytes."""
    minor: int = 0

    def pack(self) -> bytes:
        """Return the 64 bytes, their own hash last."""
        fields = (MAGIC, MAJOR, self.minor, 0, self.header_offset, self.header_bytes, self.file_bytes, self.header_hash)
        start = _FIELDS.pack(*fields, 0, 0)[:-8]
        return start + xxh3_64_intdigest(start).to_bytes(8, "little")


def parse_preamble(data: bytes, file_bytes: int) -> Preamble:
    """Read and check the preamble of a file of `file_bytes` bytes (spec 7.11, rules 1 to 7).

    Parameters
    ----------
    data : bytes
        The first 64 bytes, or fewer if the file is shorter.
    file_bytes : int
        What the file system says.

    Raises
    ------
    BfpFormatError
        ``bfp-foreign``, ``bfp-length``, ``bfp-checksum``, ``bfp-version`` or ``bfp-range``.
    """
    if not data.startswith(MAGIC):
        raise BfpFormatError("bfp-foreign", f"byte 0: a .bfp file must start with {MAGIC.hex(' ')}, got {_start(data)}")
    if len(data) < PREAMBLE_BYTES:
        raise BfpFormatError("bfp-length", f"byte {len(data)}: the file ends inside its {PREAMBLE_BYTES}-byte preamble")
    _, major, minor, features, offset, length, stated, header_hash, zero, own_hash = _FIELDS.unpack(data)
    found = xxh3_64_intdigest(data[:56])
    if found != own_hash:
        raise BfpFormatError("bfp-checksum", f"byte 56: the preamble's hash is {found:016x}, it says {own_hash:016x}")
    if major != MAJOR:
        raise BfpFormatError("bfp-version", f"byte 8: the major version must be {MAJOR}, got {major}")
    if features or zero:
        place, bits = (12, features) if features else (48, zero)
        raise BfpFormatError("bfp-version", f"byte {place}: version {MAJOR} knows no features, got bits {bits:#x}")
    if offset == 0:
        raise BfpFormatError("bfp-range", "byte 16: the header's offset must not be 0: the writer did not finish")
    if stated != file_bytes:
        raise BfpFormatError("bfp-length", f"byte 32: the file must have {stated} bytes, got {file_bytes}")
    if length > LARGEST_HEADER:
        raise BfpFormatError("bfp-range", f"byte 24: a header must have at most {LARGEST_HEADER} bytes, got {length}")
    if offset < PREAMBLE_BYTES or offset + length > file_bytes:
        raise BfpFormatError(
            "bfp-range",
            f"byte 16: {length} header bytes at {offset} must lie between byte {PREAMBLE_BYTES} and {file_bytes}",
        )
    return Preamble(offset, length, file_bytes, header_hash, minor)


def _start(data: bytes) -> str:
    if not data:
        return "an empty file"
    kind = next((f", which is {kind}" for magic, kind in _OTHER_KINDS if data.startswith(magic)), "")
    return data[:8].hex(" ") + kind
