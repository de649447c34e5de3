"""Runs: programs of bounded length that one layer becomes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..isa import Instruction
from .builder import Builder
from .schedule import schedule

Job = TypeVar("Job")

RUN_LENGTH = 100_000
"""Instructions after which a run ends with the job at hand; an accelerator takes 174,761."""


def make_runs(
    builder: Builder, jobs: Sequence[Job], emit: Callable[[Job, int, bool], None]
) -> tuple[tuple[Instruction, ...], ...]:
    """Calls ``emit(job, index, last)`` for each job in order and schedules what it puts into ``builder``."""
    runs = []
    for index, job in enumerate(jobs):
        last = index == len(jobs) - 1
        emit(job, index, last)
        if last or len(builder.operations) >= RUN_LENGTH:
            runs.append(schedule(builder.config, builder.cut()))
    return tuple(runs)
