"""A Keras model as a `.bfp` file: quantised weights as codes, everything else word for word (spec 7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bfpemu.adapters.packed import weight_format
from bfpemu.errors import BfpFormatError, DataError
from bfpemu.formats.preset import Preset
from bfpemu.storage.models import Kept, Words, array_of, check_arrays, packed, read_model, write_model
from bfpemu.tensorflow.layers import BFPConv2D, BFPDense

_ARCHITECTURE = "bfpemu.keras"
_INPUT_FEATURES = -2
"""The axis of a kernel that its blocks run along (spec 14.8)."""


def save_packed(model: Any, path: str | Path) -> None:
    """Write a model to a `.bfp` file: its architecture, and its weights by the names of their layers.

    The kernel of a quantised layer is packed in its format, everything else is kept word for word: biases,
    statistics, and kernels whose format would change them a second time. The state of an optimizer is not written.
    Keras makes a Functional or Sequential model from its architecture; weights of a model of a class of one's own are
    read into another one by `load_packed`.

    Parameters
    ----------
    model : keras.Model, built
    path : path

    Raises
    ------
    DataError
        ``keras-model``, for a model that is not built.
    BfpFormatError, BfpFileError
        As `bfpemu.storage.write`.

    Examples
    --------
    >>> import tempfile
    >>> from bfpemu.tensorflow import BFPDense
    >>> model = keras.Sequential([keras.Input((64,)), BFPDense(8)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_packed(model, Path(folder, "model.bfp"))
    ...     other = model_from_packed(Path(folder, "model.bfp"))
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[None]
    >>> bool(np.all(model(x) == other(x)))
    True
    """
    _check_built(model)
    formats = _weight_formats(model)

    def kept(variable: Any) -> Kept:
        array, preset = np.asarray(variable.numpy()), formats.get(id(variable))
        found = None if preset is None else packed(array, preset, _INPUT_FEATURES)
        return Words.of(array) if found is None else found

    try:
        texts = {_ARCHITECTURE: model.to_json()}
    except NotImplementedError:
        texts = {}
    write_model(path, (((name,), kept(variable)) for name, variable in _named(model).items()), texts)


def load_packed(model: Any, path: str | Path) -> None:
    """Read the weights of a file of `save_packed` into a model with the same layers; it gives the same bits then.

    Weights become the numbers of their format, as floats: training goes on from there.

    Raises
    ------
    DataError
        ``tensor-name``, if the file has not exactly the names and shapes of the model's weights. Keras numbers layers
        without a name as they come, so a second model of the same code has other names; `model_from_packed` has those
        of the file. ``keras-model``, for a model that is not built.
    BfpFormatError, BfpFileError
        As `bfpemu.storage.read`; ``bfp-header`` for a file that holds no model.
    """
    _assign(model, path, read_model(path)[0])


def model_from_packed(path: str | Path) -> Any:
    """Return the model of a file of `save_packed`, with its weights.

    Raises
    ------
    DataError
        ``keras-model``, if Keras cannot make the model, of a class that it does not know for one; as `load_packed`.
    BfpFormatError, BfpFileError
        As `bfpemu.storage.read`; ``bfp-header`` for a file without an architecture.
    """
    found, texts = read_model(path)
    if _ARCHITECTURE not in texts:
        raise BfpFormatError(
            "bfp-header",
            f"{str(path)!r}: meta must hold the architecture of a Keras model, under {_ARCHITECTURE!r}; "
            "load_packed reads weights into a model that is there",
        )
    try:
        model = keras.models.model_from_json(texts[_ARCHITECTURE])
    except Exception as error:  # the classes of an architecture raise what they like
        reason = str(error).split(". ")[0] or type(error).__name__
        raise DataError(
            "keras-model",
            f"{str(path)!r}: Keras must be able to make the model from its architecture, got: {reason}; import its "
            "classes, registered by keras.saving.register_keras_serializable, or make it yourself and use load_packed",
        ) from error
    _assign(model, path, found)
    return model


def _check_built(model: Any) -> None:
    if not model.built:
        raise DataError(
            "keras-model",
            f"a model must be built, so that it has its weights, got {model.name!r}; call it once with an input, "
            "then save_packed writes it and load_packed reads into it",
        )


def _assign(model: Any, path: str | Path, found: dict[str, Kept]) -> None:
    _check_built(model)
    variables = _named(model)
    check_arrays(path, found, {name: tuple(each.shape) for name, each in variables.items()}, "model's weights")
    for name, variable in variables.items():
        variable.assign(array_of(found[name]))


def _named(model: Any) -> dict[str, Any]:
    """Return the weights of a model by the names of their layers, from the outside in, and their own.

    The paths that Keras has for variables depend on when a layer was built. A number tells apart what has one name.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for name, variable in (*_weights_of(model), *((each.path, each) for each in model.weights)):
        if id(variable) not in seen:
            seen.add(id(variable))
            number = sum(other.partition(":")[0] == name for other in found)
            found[f"{name}:{number + 1}" if number else name] = variable
    return found


def _weights_of(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and weights of the layers of a model, and of models within it."""
    for layer in model.layers:
        name = f"{prefix}{layer.name}/"
        if isinstance(layer, keras.Model):
            yield from _weights_of(layer, name)
        else:
            for variable in layer.weights:
                yield name + variable.path.rpartition(f"{layer.name}/")[2], variable


def _weight_formats(model: Any) -> dict[int, Preset]:
    """Return the formats of kernels, by the identity of their variables."""
    found = {}
    for layer in model._flatten_layers():
        preset = weight_format(layer.config) if isinstance(layer, BFPDense | BFPConv2D) else None
        if preset is not None:
            found[id(layer.kernel)] = preset
    return found
