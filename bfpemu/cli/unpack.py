"""``bfpemu unpack``: a .bfp file back to arrays."""

from __future__ import annotations

from pathlib import Path

import click

from bfpemu.cli.options import FILE, check_output, force_option, select, tensor_option
from bfpemu.cli.text import tensors_text
from bfpemu.storage.names import naming

_DTYPES = ("float16", "bfloat16", "float32", "float64")


@click.command("unpack")
@click.argument("source", type=FILE, metavar="IN.bfp")
@click.argument("output", type=FILE, metavar="OUT")
@click.option(
    "--dtype",
    type=click.Choice(_DTYPES),
    help="Of all tensors; by default each has the dtype it came with, if that was a float.",
)
@tensor_option
@force_option
def command(source: Path, output: Path, dtype: str | None, wanted: tuple[str, ...], force: bool) -> None:
    """Decode the tensors of IN.bfp to OUT: .npy for one tensor, .npz or .safetensors for any number.

    A tensor of a model that has several names is written under each of them.
    """
    check_output(output, force=force)
    from bfpemu import storage
    from bfpemu.cli.tables import progress_bar
    from bfpemu.storage.models import all_names, numbers_of
    from bfpemu.storage.outputs import write_arrays

    with storage.Reader(source) as reader:
        written = all_names(reader)
        names = select(tuple(written), wanted, source)
        arrays = {}
        with progress_bar("unpacking", reader.file_bytes) as advance:
            for name in names:
                with naming(name, names):
                    arrays[name] = numbers_of(reader, name, dtype)
                advance(sum(reader.entry(written[name]).plane_bytes.values()))
    write_arrays(output, arrays)
    click.echo(f"unpacked {tensors_text(len(names))}: {sum(array.nbytes for array in arrays.values()):,} bytes")
