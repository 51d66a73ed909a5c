"""``bfpemu sha256``: one digest for what .bfp files hold."""

from __future__ import annotations

from pathlib import Path

import click

from bfpemu.cli.options import FILE
from bfpemu.cli.text import shown


@click.command("sha256")
@click.argument("files", type=FILE, metavar="FILE.bfp...", nargs=-1, required=True)
def command(files: tuple[Path, ...]) -> None:
    """Print the SHA-256 of the canonical file with the tensors and texts of each FILE.bfp.

    It is that of the file itself if the file is canonical, as all are that this package writes. The hashes inside a
    file find accidents; this digest, kept elsewhere, finds all other changes, too.
    """
    from hashlib import sha256

    from bfpemu import storage
    from bfpemu.storage.canonical import canonical_bytes

    for path in files:
        digest = sha256()
        with storage.Reader(path) as reader:
            for piece in canonical_bytes(reader):
                digest.update(piece)
        click.echo(f"{digest.hexdigest()}  {shown(str(path))}")
