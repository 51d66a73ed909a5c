"""``bfpemu export``: the bytes of a machine's memory."""

from __future__ import annotations

from pathlib import Path

import click

from bfpemu.cli.options import FILE, check_output, force_option, select, tensor_option
from bfpemu.cli.text import tensors_text
from bfpemu.errors import BfpFormatError
from bfpemu.storage.names import naming

_RAW = ".bin"


@click.command("export")
@click.argument("source", type=FILE, metavar="IN.bfp")
@click.argument("output", type=FILE, metavar="OUT")
@click.option("--layout", "layout", metavar="NAME", help="A named layout; by default each tensor's own.")
@tensor_option
@force_option
def command(source: Path, output: Path, layout: str | None, wanted: tuple[str, ...], force: bool) -> None:
    """Write the tensors of IN.bfp as the bytes of a hardware memory layout, such as tt_tile_32x32.

    OUT.bin gets the bytes of one tensor and nothing else. A file of arrays gets one array of bytes for each tensor,
    under its name.
    """
    check_output(output, force=force)
    import numpy as np

    from bfpemu.atomic import replacing
    from bfpemu.formats.named_layouts import named_layout
    from bfpemu.storage import write_arrays
    from bfpemu.storage.converting import open_codes

    wanted_layout = None if layout is None else named_layout(layout)
    arrays = {}
    with open_codes(source) as reader:
        names = select(reader.names, wanted, source)
        is_raw = output.suffix.lower() == _RAW
        if is_raw and len(names) != 1:
            raise BfpFormatError("output-kind", f"{str(output)!r} must get one tensor, got {len(names)}; name one")
        for name in names:
            with naming(name, names):
                arrays[name] = np.frombuffer(reader[name].to_bytes(wanted_layout), np.uint8)
    if is_raw:
        with replacing(output) as file:
            file.write(arrays[names[0]].data)
    else:
        write_arrays(output, arrays)
    click.echo(f"exported {tensors_text(len(names))}: {sum(array.nbytes for array in arrays.values()):,} bytes")
