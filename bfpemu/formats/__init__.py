"""The value objects of the number model; needs only the standard library (spec 2, 3, 5).

`BFPSpec` says which numbers exist, `Conversion` how a number gets in, `Layout` where
the bits go, and `Preset` holds the three under one name.
"""

from bfpemu.formats.conversion import Conversion, SourceStep
from bfpemu.formats.enums import (
    BitOrder,
    DecodeUnderflow,
    Encoding,
    ExponentOverflow,
    ExponentPosition,
    ExponentRule,
    InfinityPolicy,
    MatrixAxis,
    NanPolicy,
    NegativeZero,
    NegativeZeroCode,
    RecordGroup,
    ReservedExponent,
    Rounding,
    SignificandRange,
    SourceSubnormals,
    StepCarry,
    StepOverflow,
    StepUnderflow,
)
from bfpemu.formats.layout import INTERLEAVED, PLANAR, Layout
from bfpemu.formats.named_layouts import LAYOUTS, NamedLayout
from bfpemu.formats.preset import Preset, Status
from bfpemu.formats.spec import BFPSpec, create_bfp_spec

__all__ = [
    "INTERLEAVED",
    "LAYOUTS",
    "PLANAR",
    "BFPSpec",
    "BitOrder",
    "Conversion",
    "DecodeUnderflow",
    "Encoding",
    "ExponentOverflow",
    "ExponentPosition",
    "ExponentRule",
    "InfinityPolicy",
    "Layout",
    "MatrixAxis",
    "NamedLayout",
    "NanPolicy",
    "NegativeZero",
    "NegativeZeroCode",
    "Preset",
    "RecordGroup",
    "ReservedExponent",
    "Rounding",
    "SignificandRange",
    "SourceStep",
    "SourceSubnormals",
    "Status",
    "StepCarry",
    "StepOverflow",
    "StepUnderflow",
    "create_bfp_spec",
]
