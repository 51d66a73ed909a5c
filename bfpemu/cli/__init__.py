"""The command line: ``bfpemu formats | pack | unpack | inspect | compare | analyze | emit | vectors | verify``.

Each command is a module of its own name. Until a command runs, nothing heavier than click
is imported: help needs neither NumPy nor rich nor the catalogue.
"""

from bfpemu.cli.entry import main

__all__ = ["main"]
