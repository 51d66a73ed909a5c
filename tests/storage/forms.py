"""Tensors and questions that the tests of all containers share."""

import numpy as np
import pytest

from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.storage.kinds import function, kind_of
from bfpemu.storage.packed import Held
from bfpemu.tensor import BFPTensor


def numbers(shape, dtype="float32", seed=0):
    generator = np.random.default_rng(seed)
    return (generator.standard_normal(shape) * 2.0 ** generator.integers(-9, 9, shape)).astype(dtype)


def same(left, right):
    """Whether two tensors have the same codes and the same meaning."""
    facts = ("preset", "axis", "shape", "dtype")
    return all(getattr(left, fact) == getattr(right, fact) for fact in facts) and all(
        one.tobytes() == other.tobytes() for one, other in zip(left.to_planes(), right.to_planes(), strict=True)
    )


def refused(code, action, *arguments, **options):
    with pytest.raises(BfpError) as caught:
        action(*arguments, **options)
    assert caught.value.code == code, caught.value
    assert "\n" not in str(caught.value)


def write_codes(path, tensors, meta=None):
    function(kind_of(path).writes_tensors)(path, Held(tensors), meta or {})


def read_codes(path):
    with function(kind_of(path).opens_tensors)(path) as file:
        return {name: file[name] for name in file.names}


SIGNED = Preset(
    BFPSpec("signed", 5, 8, 3, use_subnormals=True, encoding="sign_magnitude", negative_zero_code="zero"),
    Conversion(negative_zero="keep", rounding="ties_up"),
)

TENSORS = {
    "last axis": BFPTensor(numbers((3, 70)), "bfp8"),
    "first axis": BFPTensor(numbers((3, 70), "float64"), (5, 7), axis=0),
    "flat": BFPTensor(numbers((3, 7, 2), "float16"), (5, 16), axis=None),
    "one block": BFPTensor(numbers((4, 9)), (5, None)),
    "over two axes": BFPTensor(numbers((4, 9, 5)), (5, (2, 4)), axis=1),
    "two levels": BFPTensor(numbers((4, 40)), "mx9"),
    "wide": BFPTensor(numbers((2, 10), "float64"), (24, 4, 11)),
    "brain": BFPTensor(numbers((2, 10), "bfloat16"), SIGNED),
    "scalar": BFPTensor(np.float32(2.5), "bfp8"),
    "no rows": BFPTensor(np.zeros((0, 4), np.float32), "bfp8"),
    "no columns": BFPTensor(np.zeros((4, 0), np.float32), "mx9"),
    "layers/0/weight": BFPTensor(numbers((2, 40)), (8, 32, 5)),
    "layers": BFPTensor(numbers((2, 40)), (5, 32)),
    "layers/elements": BFPTensor(numbers((5,)), (5, 32)),
    "..": BFPTensor(numbers((5,)), (5, 32)),
    ".": BFPTensor(numbers((6,)), (5, 32)),
    "%2F é €": BFPTensor(numbers((7,)), (5, 32)),
}
"""One tensor for every rule of chapter 4, and names that a path or an escape could be taken for.

Their widths are few: for each, kernels compile."""
