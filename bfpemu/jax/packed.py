"""Parameters as `.bfp` files: quantised ones as codes, everything else word for word (spec 7)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bfpemu.adapters.packed import weight_format
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import DataError
from bfpemu.formats.preset import Preset
from bfpemu.storage.models import Kept, Words, array_of, check_arrays, packed, read_model, write_model

if TYPE_CHECKING:
    from flax import nnx

Tree = TypeVar("Tree")

KERNELS: Mapping[str, FormatLike] = MappingProxyType({r"(.*/)?kernel": "bfp8"})
"""What Flax calls the weights of its products."""
_INPUT_FEATURES = -2
"""The axis of a kernel that its blocks run along (spec 14.8)."""


def save_packed(
    tree: Any, path: str | Path, rules: Mapping[str, FormatLike] = KERNELS, *, axis: int = _INPUT_FEATURES
) -> None:
    """Write a tree of arrays, such as the variables of a linen module, to a `.bfp` file.

    A leaf is named by its path, as in ``"params/Dense_0/kernel"``. Those of floats that a rule fits are packed in its
    format; everything else is kept word for word, and so is a leaf whose format would change it a second time.

    Parameters
    ----------
    tree : pytree of arrays
    path : path
    rules : mapping of str to format
        A regular expression for whole names -> the format of the leaves that it fits: that of their layers.
    axis : int
        The axis that blocks of these leaves run along: that of input features in kernels of Flax.

    Raises
    ------
    SpecError
        ``unknown-format``.
    DataError
        ``layer-rules``, if two rules fit a leaf; ``nothing-converted``, if a rule fits none.
    BfpFormatError, BfpFileError
        As `bfpemu.storage.write`.

    Examples
    --------
    >>> import tempfile
    >>> params = {"dense": {"kernel": jnp.ones((64, 8)), "bias": jnp.zeros(8)}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_packed(params, Path(folder, "p.bfp"), {".*/kernel": "bfp4"})
    ...     found = load_packed(params, Path(folder, "p.bfp"))
    >>> jax.tree.map(jnp.shape, found)
    {'dense': {'bias': (8,), 'kernel': (64, 8)}}
    """
    leaves = _leaves(tree)
    chosen = {name: _chosen(name, rules) for name in leaves}
    fitting = {pattern for pattern in chosen.values() if pattern is not None}
    for pattern in rules:
        if pattern not in fitting:
            raise DataError(
                "nothing-converted",
                f"each rule must fit the name of a leaf (spec 14.12), got {pattern!r} and {sorted(leaves)}",
            )
    formats = {
        name: (resolve(rules[pattern]), axis)
        for name, pattern in chosen.items()
        if pattern is not None and jnp.issubdtype(leaves[name].dtype, jnp.floating)
    }
    _write(path, leaves, formats)


def load_packed(tree: Tree, path: str | Path) -> Tree:
    """Return a tree like `tree` with the arrays of a file of `save_packed`, on the devices of those that it has.

    Raises
    ------
    DataError
        ``tensor-name``, if the file has not exactly the names and shapes of the tree's leaves.
    BfpFormatError, BfpFileError
        As `bfpemu.storage.read`; ``bfp-header`` for a file that holds no model.
    """
    leaves = _leaves(tree)
    found, _ = read_model(path)
    check_arrays(path, found, {name: jnp.shape(leaf) for name, leaf in leaves.items()}, "tree's leaves")
    arrays = [_placed(found[name], leaf) for name, leaf in leaves.items()]
    restored: Tree = jax.tree.unflatten(jax.tree.structure(tree), arrays)
    return restored


def save_packed_model(model: nnx.Module, path: str | Path) -> None:
    """Write a model of Flax nnx to a `.bfp` file, the kernels of its quantised layers in their own bits.

    States of random generators and counts of layers are not written.

    Parameters
    ----------
    model : nnx.Module
    path : path

    Raises
    ------
    BfpFormatError, BfpFileError
        As `bfpemu.storage.write`.

    Examples
    --------
    >>> import tempfile
    >>> from flax import nnx
    >>> from bfpemu.jax import BFPLinear
    >>> one, two = (BFPLinear(64, 8, rngs=nnx.Rngs(seed)) for seed in (0, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_packed_model(one, Path(folder, "layer.bfp"))
    ...     load_packed_model(two, Path(folder, "layer.bfp"))
    >>> x = jnp.linspace(-1, 1, 64)
    >>> bool(jnp.all(one(x) == two(x)))
    True
    """
    from flax import nnx

    _write(path, _leaves(nnx.to_pure_dict(_state(model))), _kernel_formats(model))


def load_packed_model(model: nnx.Module, path: str | Path) -> None:
    """Read a file of `save_packed_model` into a model with the same layers; it gives the same bits then.

    Kernels become the numbers of their format, as floats: training goes on from there. Errors are those of
    `load_packed`.
    """
    from flax import nnx

    state = _state(model)
    nnx.replace_by_pure_dict(state, load_packed(nnx.to_pure_dict(state), path))
    nnx.update(model, state)


def _state(model: nnx.Module) -> Any:
    """Return the variables of a model that are written."""
    from flax import nnx

    from bfpemu.jax.nnx import Counter

    return nnx.state(model, nnx.Not(nnx.Any(nnx.RngState, Counter)))


def _kernel_formats(model: nnx.Module) -> dict[str, tuple[Preset, int]]:
    """Return format and blocked axis of the kernels that only quantised layers read, by name."""
    from flax import nnx

    names: dict[int, str] = {}
    readers: dict[int, set[tuple[Preset, int] | None]] = defaultdict(set)
    for path, node in nnx.iter_graph(model):
        if isinstance(node, nnx.Variable):
            names[id(node)] = "/".join(map(str, path))
        elif isinstance(node, nnx.Module):
            for attribute, value in vars(node).items():
                if isinstance(value, nnx.Variable):
                    readers[id(value)].add(_layer_format(node) if attribute == "kernel" else None)
    alone = {key: formats.pop() for key, formats in readers.items() if len(formats) == 1}
    return {names[key]: format for key, format in alone.items() if format is not None}


def _layer_format(layer: Any) -> tuple[Preset, int] | None:
    """Return format and blocked axis of the kernel of a layer; None where it has no numbers of its own."""
    from flax import nnx

    from bfpemu.jax.conv import QuantizedConvGeneralDilated
    from bfpemu.jax.dot import QuantizedDotGeneral

    operation = getattr(layer, "conv_general_dilated" if isinstance(layer, nnx.Conv) else "dot_general", None)
    if not isinstance(operation, QuantizedDotGeneral | QuantizedConvGeneralDilated):
        return None
    preset = weight_format(operation.config)
    if preset is None:
        return None
    if isinstance(layer, nnx.LinearGeneral):
        # Several axes that are summed count as one, flattened: no axis of the kernel is theirs.
        return (preset, 0) if len(layer.axis) == 1 and not layer.batch_axis else None
    return preset, _INPUT_FEATURES


def _leaves(tree: Any) -> dict[str, Any]:
    """Return the leaves of a tree by the names of their paths."""
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in found}


def _chosen(name: str, rules: Mapping[str, FormatLike]) -> str | None:
    """Return the rule that fits a name."""
    fitting = [pattern for pattern in rules if re.fullmatch(pattern, name)]
    if len(fitting) > 1:
        raise DataError(
            "layer-rules",
            f"one rule at most must fit a leaf (spec 14.12), got {fitting[0]!r} and {fitting[1]!r} for {name!r}",
        )
    return fitting[0] if fitting else None


def _write(path: str | Path, leaves: Mapping[str, Any], formats: Mapping[str, tuple[Preset, int]]) -> None:
    def kept(name: str) -> Kept:
        array = np.asarray(leaves[name])
        found = packed(array, *formats[name]) if name in formats else None
        return Words.of(array) if found is None else found

    arrays: Iterable[tuple[tuple[str, ...], Kept]] = (((name,), kept(name)) for name in leaves)
    write_model(path, arrays)


def _placed(kept: Kept, leaf: Any) -> Any:
    """Return what a file keeps as an array where `leaf` is; an array of NumPy stays one."""
    array = array_of(kept)
    return jax.device_put(array, leaf.sharding) if isinstance(leaf, Array) else array
