"""Runs: programs of bounded length that one layer becomes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..isa import encode_program
from ..performance.model import Timing, estimate
from .builder import Builder
from .schedule import schedule

Job = TypeVar("Job")

RUN_LENGTH = 150_000
"""Instructions after which a run ends with the job at hand; an accelerator takes 174,761."""


@dataclass(frozen=True)
class Run:
    """An encoded program, and how many cycles the cycle model expects of it."""

    code: bytes
    expected_cycles: int


def make_runs(
    builder: Builder,
    jobs: Sequence[Job],
    emit: Callable[[Job, int, bool], None],
    timing: Timing | None = None,
) -> tuple[Run, ...]:
    """Calls ``emit(job, index, last)`` for each job in order and schedules what it puts into ``builder``."""
    runs, timing = [], timing or Timing(builder.config)
    for index, job in enumerate(jobs):
        last = index == len(jobs) - 1
        emit(job, index, last)
        if last or len(builder.operations) >= RUN_LENGTH:
            stream = schedule(timing, builder.cut())
            runs.append(Run(encode_program(stream), estimate(timing, stream).cycles))
    return tuple(runs)
