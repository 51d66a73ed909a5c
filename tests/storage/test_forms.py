"""Codes in `.bfp`, HDF5 and safetensors files: the same everywhere, and nothing rounded on the way."""

import json
import os
import time
from itertools import pairwise

import h5py
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_hexdigest

from bfpemu.catalog import presets
from bfpemu.cli import main
from bfpemu.errors import BfpError
from bfpemu.storage import Reader, open_arrays
from bfpemu.storage.converting import Chosen
from bfpemu.storage.hdf5 import files as hdf5_files
from bfpemu.storage.kinds import function, kind_of
from bfpemu.storage.packed import Held
from bfpemu.storage.safetensors_codes import CodesFile, write_tensors
from bfpemu.tensor import BFPTensor
from tests.storage.forms import TENSORS, numbers, read_codes, refused, same, write_codes

ENDINGS = [".bfp", ".h5", ".safetensors"]
OTHERS = [".h5", ".safetensors"]


# -------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("ending", OTHERS)
def test_tensors_of_every_shape_come_back_with_their_names(tmp_path, ending):
    write_codes(tmp_path / f"a{ending}", TENSORS)
    found = read_codes(tmp_path / f"a{ending}")
    assert list(found) == sorted(TENSORS, key=str.encode)
    assert {name for name, tensor in TENSORS.items() if not same(found[name], tensor)} == set()


@pytest.mark.parametrize("ending", OTHERS)
def test_every_preset_of_the_catalogue_comes_back(tmp_path, ending):
    tensors = {
        name: BFPTensor(numbers((1, 32)), name, exponents=0 if preset.conversion.exponent_rule == "given" else None)
        for name, preset in presets().items()
    }
    write_codes(tmp_path / f"a{ending}", tensors)
    found = read_codes(tmp_path / f"a{ending}")
    assert {name for name in tensors if not same(found[name], tensors[name])} == set()


@pytest.mark.parametrize("ending", OTHERS)
def test_free_texts_come_back_and_a_file_may_hold_no_tensor(tmp_path, ending):
    write_codes(tmp_path / f"a{ending}", {"x": TENSORS["flat"]}, {"by": "hand", "naïve": "€"})
    with function(kind_of(f"a{ending}").opens_tensors)(tmp_path / f"a{ending}") as file:
        assert file.meta == {"by": "hand", "naïve": "€"}
    write_codes(tmp_path / f"b{ending}", {})
    assert function(kind_of(f"b{ending}").opens_tensors)(tmp_path / f"b{ending}") is None


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "\ud800"])
def test_names_that_no_file_should_hold_are_refused_from_every_source(tmp_path, ending, name):
    source = Chosen(Held({name: TENSORS["flat"]}), (name,))
    refused("bfp-name", function(kind_of(f"a{ending}").writes_tensors), tmp_path / f"a{ending}", source, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", OTHERS)
def test_the_same_tensors_give_the_same_bytes(tmp_path, ending, monkeypatch):
    write_codes(tmp_path / f"a{ending}", TENSORS)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 1e6)
    time.sleep(1.1)  # the clock of HDF5 has seconds
    write_codes(tmp_path / f"b{ending}", dict(reversed(TENSORS.items())))
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


@settings(max_examples=10)  # each converts up to six files
@given(st.lists(st.sampled_from(ENDINGS), min_size=2, max_size=5))
def test_codes_are_the_same_after_every_chain_of_conversions(tmp_path_factory, chain):
    folder = tmp_path_factory.mktemp("chain")
    paths = [folder / f"{number}{ending}" for number, ending in enumerate([".bfp", *chain, ".bfp"])]
    write_codes(paths[0], {name: TENSORS[name] for name in ("flat", "two levels", "brain", "layers/0/weight")})
    for source, target in pairwise(paths):
        assert main(["convert", str(source), str(target), "--codes"]) == 0
    assert paths[-1].read_bytes() == paths[0].read_bytes()


def test_safetensors_files_hold_their_planes_for_the_package_of_that_name(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, TENSORS, {"by": "hand"})
    theirs = safetensors.numpy.load_file(path)
    with CodesFile(path) as file:
        for name in file.names:
            for role, shape in file.entry(name).plane_shapes.items():
                plane = getattr(TENSORS[name].to_planes(), role)
                assert np.array_equal(theirs[f"{name}.bfp_{role}"], plane.reshape(shape))
                assert np.array_equal(getattr(file.planes(name), role), plane)
    # Through the package, as a hub's tools would: the same tensors and metadata in a file of its own.
    with safetensors.safe_open(path, "numpy") as opened:
        metadata = opened.metadata()
    safetensors.numpy.save_file(theirs, tmp_path / "b.safetensors", metadata)
    assert all(same(tensor, TENSORS[name]) for name, tensor in read_codes(tmp_path / "b.safetensors").items())


def test_other_tensors_may_lie_beside_codes_in_safetensors(tmp_path):
    write_tensors(tmp_path / "a.safetensors", {"w": TENSORS["flat"]})
    planes = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    metadata = open_arrays(tmp_path / "a.safetensors").metadata
    safetensors.numpy.save_file(planes | {"norm": np.ones(3)}, tmp_path / "b.safetensors", dict(metadata))
    assert list(read_codes(tmp_path / "b.safetensors")) == ["w"]
    assert open_arrays(tmp_path / "b.safetensors")["norm"].sum() == 3


# ------------------------------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Bytes of a small file of each kind, and the codes in it."""
    folder = tmp_path_factory.mktemp("small")
    tensors = {"a": BFPTensor(numbers((2, 9)), (3, 4, 5)), "b": TENSORS["two levels"]}
    files = {}
    for ending in OTHERS:
        write_codes(folder / f"a{ending}", tensors)
        files[ending] = (folder / f"a{ending}").read_bytes()
    return files, tensors


def is_refused_or_right(path, tensors):
    try:
        with function(kind_of(path).opens_tensors)(path) as file:
            found = {name: file[name] for name in file.names}
    except BfpError as error:
        assert "\n" not in str(error)
        return True
    return found.keys() == tensors.keys() and all(same(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("ending, step", [(".safetensors", 2), (".h5", 9)])
def test_no_changed_bit_decodes_to_anything_else(tmp_path, small, ending, step):
    data, tensors = small[0][ending], small[1]
    path = tmp_path / f"a{ending}"
    path.write_bytes(data)
    assert is_refused_or_right(path, tensors)
    wrong = []
    with path.open("r+b", buffering=0) as file:
        for position in range(0, len(data), step):
            os.pwrite(file.fileno(), bytes([data[position] ^ 1 << position % 8]), position)
            if not is_refused_or_right(path, tensors):
                wrong.append(position)
            os.pwrite(file.fileno(), data[position : position + 1], position)
    assert wrong == []


@pytest.mark.parametrize("ending, step", [(".safetensors", 3), (".h5", 23)])
def test_every_truncation_is_refused(tmp_path, small, ending, step):
    data = small[0][ending]
    path = tmp_path / f"a{ending}"
    path.write_bytes(data)
    for length in reversed(range(0, len(data), step)):
        os.truncate(path, length)
        with pytest.raises(BfpError) as caught:
            function(kind_of(path).opens_tensors)(path)
        assert caught.value.code in ("input-content", "input-kind")


@pytest.mark.parametrize("ending", OTHERS)
def test_every_changed_bit_of_a_plane_is_found(tmp_path, small, ending):
    path = tmp_path / f"a{ending}"
    data, tensors = small[0][ending], small[1]
    path.write_bytes(data)
    plane = tensors["a"].to_planes().elements.tobytes()
    start = data.index(plane)
    # In place: a file that is written anew for each bit takes most of the time.
    with path.open("r+b", buffering=0) as file:
        for position in range(start, start + len(plane)):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([data[position] ^ 1 << bit]), position)
                refused("bfp-checksum", read_codes, path)
            os.pwrite(file.fileno(), data[position : position + 1], position)


# ------------------------------------------------------------------------------ hostile files

WORSE = {
    "not JSON": ("{", "bfp-header"),
    "a key twice": ('{"axis":1,"axis":1}', "bfp-header"),
    "a key missing": ('{"axis":1}', "bfp-header"),
    "a list": ("[]", "bfp-header"),
    "a lone surrogate": ('"\\ud800"', "bfp-header"),
    "deep": ("[" * 1000 + "]" * 1000, "bfp-header"),
}

CHANGES = [
    ("version", 2, "bfp-version"),
    ("version", True, "bfp-version"),
    ("axis", 2, "bfp-header"),
    ("axis", -1, "bfp-header"),
    ("axis", None, "bfp-range"),  # so that all elements are one row
    ("dtype", "int8", "bfp-header"),
    ("dtype", ["float32"], "bfp-header"),
    ("shape", [2, 1 << 48], "bfp-header"),
    ("shape", [1 << 40, 1 << 8], "bfp-range"),
    ("shape", [0, 1 << 40, 1 << 40], "bfp-header"),
    ("shape", [2, -9], "bfp-header"),
    ("shape", [2, True], "bfp-header"),
    ("shape", [1] * 33, "bfp-header"),
    ("shape", [9, 2], "bfp-range"),
    ("shape", "2", "bfp-header"),
    ("spec", {}, "bfp-header"),
    ("spec", None, "bfp-header"),
    ("spec.decode.layout", "bfp-planar-2", "bfp-version"),
    ("spec.decode.block_size", 5, "bfp-range"),
    ("spec.decode.block_size", 1 << 60, "bfp-header"),
    ("spec.decode.mantissa_bits", 33, "bfp-header"),
    ("spec.decode.exponent_bits", 16, "bfp-range"),
    ("spec.decode.more", 1, "bfp-header"),
    ("spec.provenance.conversion", {"rounding": "nearest"}, "bfp-header"),
    ("spec.provenance.format", "", "bfp-header"),
    ("more", 1, "bfp-header"),
]


def with_description(folder, ending, change):
    """A file of one tensor whose description went through `change`, with a hash that fits."""
    path = folder / f"hostile{ending}"
    write_codes(path, {"w": BFPTensor(numbers((2, 9)), (3, 4, 5))})
    if ending == ".h5":
        with h5py.File(path, "r+") as file:
            text = change(json.loads(file["w"].attrs["bfp_tensor"]))
            file["w"].attrs["bfp_tensor"] = np.bytes_(text)
            file["w"].attrs["bfp_sum"] = np.bytes_(xxh3_64_hexdigest(text.encode()))
        return path
    planes, metadata = safetensors.numpy.load_file(path), dict(open_arrays(path).metadata)
    text = change(json.loads(metadata["bfp.tensor.w"]))
    sums = json.loads(metadata["bfp.sums.w"]) | {"description": xxh3_64_hexdigest(text.encode())}
    metadata |= {"bfp.tensor.w": text, "bfp.sums.w": json.dumps(sums, sort_keys=True, separators=(",", ":"))}
    safetensors.numpy.save_file(planes, path, metadata)
    return path


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("ending", OTHERS)
@pytest.mark.parametrize("place, value, code", CHANGES, ids=[f"{place} = {value!r:.30}" for place, value, _ in CHANGES])
def test_a_description_that_does_not_hold_is_refused(tmp_path, ending, place, value, code):
    def change(table):
        *parents, last = place.split(".")
        part = table
        for key in parents:
            part = part[key]
        part[last] = value
        return canonical(table)

    refused(code, read_codes, with_description(tmp_path, ending, change))


@pytest.mark.parametrize("ending", OTHERS)
@pytest.mark.parametrize("text, code", WORSE.values(), ids=WORSE)
def test_a_description_that_is_none_is_refused(tmp_path, ending, text, code):
    refused(code, read_codes, with_description(tmp_path, ending, lambda _: text))


@pytest.mark.parametrize("ending", OTHERS)
def test_keys_of_others_are_ignored_in_a_description(tmp_path, ending):
    path = with_description(tmp_path, ending, lambda table: canonical(table | {"x-more": [1]}))
    assert read_codes(path)["w"].shape == (2, 9)


def changed_safetensors(folder, change):
    path = folder / "a.safetensors"
    write_tensors(path, {"w": BFPTensor(numbers((2, 9)), (3, 4, 5))})
    planes, metadata = safetensors.numpy.load_file(path), dict(open_arrays(path).metadata)
    change(planes, metadata)
    safetensors.numpy.save_file(planes, path, metadata)
    return path


CHANGED_SAFETENSORS = {
    "a plane is missing": (lambda planes, _: planes.pop("w.bfp_exponents"), "bfp-range"),
    "a plane too many": (lambda planes, _: planes.update({"w.bfp_shifts": np.zeros(1, np.uint8)}), "bfp-range"),
    "a plane of int8": (
        lambda planes, _: planes.update({"w.bfp_elements": planes["w.bfp_elements"].view(np.int8)}),
        "bfp-range",
    ),
    "a plane of another shape": (
        lambda planes, _: planes.update({"w.bfp_elements": planes["w.bfp_elements"].reshape(1, -1)}),
        "bfp-range",
    ),
    "no description": (lambda _, metadata: metadata.pop("bfp.tensor.w"), "bfp-range"),
    "no hashes": (lambda _, metadata: metadata.pop("bfp.sums.w"), "bfp-header"),
    "hashes that are none": (lambda _, metadata: metadata.update({"bfp.sums.w": "{}"}), "bfp-header"),
    "a name that is none": (lambda _, metadata: metadata.update({"bfp.tensor.": "{}"}), "bfp-name"),
}


@pytest.mark.parametrize("change, code", CHANGED_SAFETENSORS.values(), ids=CHANGED_SAFETENSORS)
def test_safetensors_that_do_not_fit_their_description_are_refused(tmp_path, change, code):
    refused(code, read_codes, changed_safetensors(tmp_path, change))


def test_free_texts_must_not_look_like_descriptions(tmp_path):
    refused("bfp-header", write_tensors, tmp_path / "a.safetensors", {}, {"bfp.tensor.x": "{}"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", OTHERS)
def test_hashes_are_looked_at_only_when_a_tensor_is_read(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    write_codes(path, {name: TENSORS[name] for name in ("first axis", "two levels")})
    data = bytearray(path.read_bytes())
    data[bytes(data).index(TENSORS["two levels"].to_planes().elements.tobytes())] ^= 1
    path.write_bytes(data)
    with function(kind_of(path).opens_tensors)(path) as file:
        assert same(file["first axis"], TENSORS["first axis"])
        refused("bfp-checksum", file.__getitem__, "two levels")
        refused("tensor-name", file.__getitem__, "one level")
    if ending == ".safetensors":
        assert not same(CodesFile(path, verify=False)["two levels"], TENSORS["two levels"])


def test_bfp_files_of_the_same_codes_are_the_reader_s(tmp_path):
    write_codes(tmp_path / "a.bfp", {"w": TENSORS["flat"]})
    with Reader(tmp_path / "a.bfp") as reader, hdf5_files.CodesFile(_as_hdf5(tmp_path)) as other:
        assert reader.entry("w").plane_bytes == other.entry("w").plane_bytes


def _as_hdf5(folder):
    assert main(["convert", str(folder / "a.bfp"), str(folder / "a.h5"), "--codes"]) == 0
    return folder / "a.h5"
