"""Tables and progress bars: the one door to rich, which only running commands open."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

_WIDTH_IN_A_FILE = 1 << 12
_LONG_WORK_BYTES = 1 << 25


def new_table(columns: Sequence[str], *, numbers: Sequence[str], title: str | None = None) -> Table:
    """Return an empty table; columns in `numbers` are aligned to the right."""
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=column not in numbers)
    return table


def print_table(table: Table) -> None:
    """Print to standard output: fitted to a terminal, never cut or wrapped in a file or pipe."""
    width = None if sys.stdout.isatty() else _WIDTH_IN_A_FILE
    Console(width=width, highlight=False, markup=False, emoji=False).print(table)


@contextmanager
def progress_bar(label: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the bytes done since its last call, and shows them on standard error.

    Nothing is shown when standard error is no terminal or the work is short.
    """
    if not sys.stderr.isatty() or total_bytes < _LONG_WORK_BYTES:
        yield lambda done: None
        return
    columns = (TextColumn(label), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total_bytes)
        yield lambda done: progress.advance(task, done)
