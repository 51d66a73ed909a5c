"""Arguments and options that several commands share, and what their words stand for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bfpemu.errors import BfpFileError

if TYPE_CHECKING:
    from bfpemu.formats import Preset
    from bfpemu.formats.unit import DotProductUnit
    from bfpemu.storage import ArrayFile

FORMAT_HELP = (
    "A preset's name in any case, 8x32 or 8x32x5 (mantissa bits, block size, exponent bits), each with or without a "
    "rounding as in mx9:ties_up, or a TOML or JSON file."
)


def _axis(context: click.Context, option: click.Parameter, word: str) -> int | None:
    if word == "none":
        return None
    try:
        return int(word)
    except ValueError:
        raise click.BadParameter(f"an axis is an integer or 'none', got {word!r}", context, option) from None


UNIT_HELP = "A unit's name, or a TOML or JSON file."

FILE = click.Path(path_type=Path)

axis_option = click.option(
    "--axis",
    default="-1",
    callback=_axis,
    show_default=True,
    metavar="N|none",
    help="Axis that blocks run along; 'none' flattens each tensor.",
)
tensor_option = click.option(
    "--tensor",
    "wanted",
    multiple=True,
    metavar="NAME",
    help="Only this tensor; may be repeated.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
force_option = click.option("--force", is_flag=True, help="Replace an existing output file.")


def load_preset(text: str) -> Preset:
    """Return the preset that a word of the command line stands for (spec 2.8).

    A word that ends in ``.toml`` or ``.json`` is a file; anything else goes to the catalogue.
    """
    if text.lower().endswith((".toml", ".json")):
        from bfpemu.formats.serialise import load_format

        return load_format(text)
    from bfpemu.catalog import resolve

    return resolve(text)


def load_unit(word: str) -> DotProductUnit:
    """Return the unit that a word of the command line stands for: a file, or a name of the catalogue (spec 6.1)."""
    from bfpemu.formats.text import SUFFIXES, read_description

    if Path(word).suffix.lower() not in SUFFIXES:
        from bfpemu.units import unit

        return unit(word)
    from bfpemu.formats.unit_serialise import unit_from_dict

    return unit_from_dict(read_description(word, "unit file"))


def select(names: Sequence[str], wanted: Iterable[str], path: Path) -> list[str]:
    """Return the names that were asked for, all unless any was.

    Raises
    ------
    DataError
        ``tensor-name``, with the nearest name that the file has.
    """
    chosen = list(dict.fromkeys(wanted)) or list(names)
    for name in chosen:
        if name not in names:
            from bfpemu.storage.names import unknown_name

            raise unknown_name(name, names, path)
    return chosen


def array_bytes(arrays: ArrayFile, names: Iterable[str]) -> int:
    """Return how many bytes of numbers the arrays `names` have in memory."""
    return sum(math.prod(arrays.shape(name)) * arrays.dtype(name).itemsize for name in names)


def check_output(path: Path, *, force: bool) -> None:
    """Refuse to write where a file is already, unless `force` (before any work is done).

    Raises
    ------
    BfpFileError
        ``output-unwritable``.
    """
    if path.is_dir():
        raise BfpFileError("output-unwritable", f"output must be a file, got the folder {str(path)!r}")
    if path.exists() and not force:
        raise BfpFileError("output-unwritable", f"output file {str(path)!r} must not exist; pass --force to replace it")
    if not path.parent.is_dir():
        raise BfpFileError("output-unwritable", f"the folder of output file {str(path)!r} must exist")
