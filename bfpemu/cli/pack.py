"""``bfpemu pack``: arrays to a .bfp file."""

from __future__ import annotations

from pathlib import Path

import click

from bfpemu.cli.options import (
    FILE,
    FORMAT_HELP,
    array_bytes,
    axis_option,
    check_output,
    force_option,
    load_preset,
    select,
    tensor_option,
)
from bfpemu.cli.text import shown, tensors_text
from bfpemu.storage.names import naming


@click.command("pack")
@click.argument("source", type=FILE, metavar="IN")
@click.argument("output", type=FILE, metavar="OUT.bfp")
@click.option("--format", "format_word", default="bfp8", show_default=True, metavar="FORMAT", help=FORMAT_HELP)
@axis_option
@tensor_option
@force_option
def command(
    source: Path, output: Path, format_word: str, axis: int | None, wanted: tuple[str, ...], force: bool
) -> None:
    """Encode all tensors of IN (.npy, .npz or .safetensors) into one .bfp file."""
    preset = load_preset(format_word)
    check_output(output, force=force)
    from bfpemu import storage
    from bfpemu.cli.measure import swallowed
    from bfpemu.cli.tables import progress_bar
    from bfpemu.storage.converting import Encoded
    from bfpemu.tensor import BFPTensor

    arrays = storage.open_arrays(source)
    names = select(arrays.names, wanted, source)
    source_bytes = array_bytes(arrays, names)
    encoded = Encoded(arrays, tuple(names), preset, axis)
    declared = {}
    for name in names:
        with naming(name, names):
            facts = encoded.entry(name)
            declared[name] = storage.Declaration(facts.shape, preset, facts.axis, facts.dtype)
    nan_count = 0
    with progress_bar("packing", source_bytes) as advance, storage.Writer(output, declared) as writer:
        for name in names:
            array = arrays[name]
            with naming(name, names):
                tensor = BFPTensor(array, preset, axis=axis)
                nan_count += swallowed(array, tensor)
            writer.append(name, tensor)
            advance(array.nbytes)
    written = output.stat().st_size
    click.echo(
        f"packed {tensors_text(len(names))} as {shown(preset.name)}: {source_bytes:,} bytes to {written:,} bytes, "
        f"ratio {source_bytes / written:.3f}"
    )
    if nan_count:
        plural = "" if nan_count == 1 else "s"
        click.echo(f"bfpemu: {nan_count:,} finite element{plural} became NaN, in blocks that are NaN whole", err=True)
