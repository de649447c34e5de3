"""The progress bar of commands that measure many layers."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..bench import Row, Task
from ..bench.cache import Cache
from ..bench.suite import measure_all, prepare

WIDE = 120
"""Columns where stdout is no terminal."""


def measured(tasks: list[Task], cache: Cache | None, jobs: int, description: str) -> list[Row]:
    """The rows of ``tasks``, in their order; meanwhile a bar on stderr."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    rows: list[Row | None] = [None] * len(tasks)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"Opening device {tasks[0].device} (builds it, the first time)", total=len(tasks))
        prepare(tasks[0])
        progress.update(bar, description=description)
        for i, row in measure_all(tasks, cache, jobs):
            rows[i] = row
            progress.advance(bar)
    return rows


def console(*, stderr: bool = False) -> Console:
    """On stdout or stderr, wide enough for a table."""
    return Console(width=None if (sys.stderr if stderr else sys.stdout).isatty() else WIDE, stderr=stderr)
