"""Golden HDF5, safetensors and Zarr files: reference and readers say the same of each (spec 15)."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

import bfpemu.storage.zarr  # noqa: F401 - the codec, for checkouts that are not installed
from bfpemu.formats.named_layouts import named_layout
from bfpemu.formats.serialise import preset_from_dict
from bfpemu.reference.tensor import decode_tensor, unpack_tensor
from tests.storage.forms import read_codes

VECTORS = Path(__file__).parents[2] / "golden_vectors"
FILES = sorted(path for path in (VECTORS / "forms/v1").iterdir() if path.is_file())
WORDS = {"float64": np.uint64, "float32": np.uint32, "float16": np.uint16, "bfloat16": np.uint16}


def expected(path):
    """What the reference says of each tensor, by name."""
    held = json.loads((VECTORS / f"containers/v1/{path.stem}.json").read_text(encoding="ascii"))
    for tensor in held["tensors"]:
        for key in ("exponent_codes", "shift_codes", "element_codes", "bits"):
            tensor[key] = [int(word, 16) for word in tensor[key].split()]
    return {tensor["name"]: tensor for tensor in held["tensors"]}


def test_there_are_golden_files_of_each_kind():
    assert sorted(path.suffix for path in FILES) == [".h5"] * 6 + [".safetensors"] * 6


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_readers_agree_with_the_reference(path):
    tensors, held = read_codes(path), expected(path)
    assert tensors.keys() == held.keys()
    for name, facts in held.items():
        tensor = tensors[name]
        assert (list(tensor.shape), tensor.dtype.name) == (facts["shape"], facts["dtype"])
        for key in ("exponent_codes", "shift_codes", "element_codes"):
            assert getattr(tensor, key).ravel().tolist() == facts[key], name
        assert tensor.dequantize().reshape(-1).view(WORDS[facts["dtype"]]).tolist() == facts["bits"], name


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".h5"], ids=lambda path: path.stem)
def test_hdf5_json_and_the_reference_decode_without_the_storage(path):
    held = expected(path)
    with h5py.File(path) as file:
        found = {}
        for place, group in file.items():
            facts = json.loads(group.attrs["bfp_tensor"])
            decode, provenance = facts["spec"]["decode"], facts["spec"]["provenance"]
            fields = {key: value for key, value in decode.items() if key != "layout"}
            fields |= {"name": provenance["format"], "has_sign": decode["encoding"] != "unsigned"}
            preset = preset_from_dict({"format": fields | {"use_subnormals": provenance["use_subnormals"]}})
            planes = b"".join(
                group[role][...].tobytes() for role in ("exponents", "shifts", "elements") if role in group
            )
            encoded = unpack_tensor(planes, tuple(facts["shape"]), preset, facts["axis"], named_layout("planar"))
            name = place.replace("%2E", ".").replace("%2F", "/").replace("%25", "%")
            found[name] = [int(word) for word in decode_tensor(encoded, facts["dtype"])]
    assert found == {name: facts["bits"] for name, facts in held.items()}


def test_the_zarr_array_is_the_tensor_of_its_name():
    facts = next(iter(sorted(expected(VECTORS / "two_levels").items(), key=lambda item: item[0].encode())))[1]
    array = zarr.open_array(VECTORS / "forms/v1/two_levels.zarr", mode="r")
    assert array[...].reshape(-1).view(np.uint32).tolist() == facts["bits"]
