"""Runs: programs of bounded length that one layer becomes."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..config import Config
from ..isa import encode_program
from ..performance.model import Timing, estimate
from .builder import Builder, Operation
from .schedule import schedule
from .tiled import Emitter, Tiled

RUN_LENGTH = 150_000
"""Instructions after which a run ends with the job at hand; an accelerator takes 174,761."""


@dataclass(frozen=True)
class Run:
    """An encoded program, and how many cycles the cycle model expects of it."""

    code: bytes
    expected_cycles: int


def make_runs(kind: type[Emitter], tiled: Tiled, timing: Timing) -> tuple[Run, ...]:
    """What ``kind`` emits for ``tiled``, scheduled."""
    return tuple(schedule_run(timing, operations) for operations in emit_runs(kind, timing.config, tiled))


def emit_runs(kind: type[Emitter], config: Config, tiled: Tiled) -> Iterator[list[Operation]]:
    """The instructions of each run, in the order of their meaning."""
    builder = Builder(config)
    emitter = kind(builder, tiled)
    jobs = emitter.jobs()
    for index, job in enumerate(jobs):
        last = index == len(jobs) - 1
        emitter.emit(job, index, last)
        if last or len(builder.operations) >= RUN_LENGTH:
            yield builder.cut()


def schedule_run(timing: Timing, operations: list[Operation]) -> Run:
    stream = schedule(timing, operations)
    return Run(encode_program(stream), estimate(timing, stream).cycles)
