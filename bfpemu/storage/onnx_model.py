"""Codes as an ONNX model whose outputs are their numbers (spec 16.2). There is no way back: it holds no codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bfpemu.atomic import replacing
from bfpemu.errors import BfpFormatError, DataError
from bfpemu.storage.kinds import TensorSource
from bfpemu.storage.models import Words, words_of
from bfpemu.storage.names import check_meta

_LARGEST = (1 << 31) - 1
"""Bytes of one message of protobuf."""


def write_tensors(path: str | Path, source: TensorSource, meta: Mapping[str, str] | None = None) -> None:
    """Write tensors of codes as an `.onnx` file, whole or not at all.

    Parameters
    ----------
    path : path
    source : open file of codes, or another source of tensors
    meta : mapping of str to str, optional
        Free texts, which become the `metadata_props` of the model.

    Raises
    ------
    SpecError, DataError
        ``onnx``, for a tensor that has no such form; ``backend``, if onnx is not installed.
    BfpFormatError
        ``bfp-header``; ``output-kind``, for more than 2 GiB.
    BfpFileError
        ``output-unwritable``.
    """
    try:
        from bfpemu.onnx import tensor_model
    except ImportError as error:
        raise DataError(
            "backend", f"onnx must be installed for this, pip install 'bfpemu[onnx]'; got: {error}"
        ) from error
    check_meta(meta or {})
    kept = {name: words_of(source, name) or source[name] for name in source.names}
    model = tensor_model({name: found.array() if isinstance(found, Words) else found for name, found in kept.items()})
    for key, text in sorted((meta or {}).items()):
        model.metadata_props.add(key=key, value=text)
    size = model.ByteSize()
    if size > _LARGEST:
        raise BfpFormatError(
            "output-kind",
            f"an .onnx file must have at most {_LARGEST} bytes, got {size} for {str(path)!r}; use --tensor",
        )
    with replacing(path) as file:
        file.write(model.SerializeToString(deterministic=True))
