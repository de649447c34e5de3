"""Measures many layers, on several processes."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

from ..errors import InputError
from ..runtime.device import open_device
from .bound import bound
from .cache import Cache
from .measure import measure
from .row import Row
from .task import Task

SIMULATED, PREPARED = 350e3, 0.35
"""Cycles simulated in a second, and seconds in which a layer is compiled, its values drawn and its result computed by NumPy,
on one core."""


def expected_seconds(tasks: list[Task], jobs: int) -> float:
    """About how long ``measure_all`` takes on RTL with nothing measured before, from the bounds of the layers."""
    each = [
        PREPARED + bound(task.config, task.layer, task.memory, task.clocks.array_cycles) / SIMULATED for task in tasks
    ]
    return max(sum(each) / jobs, *each)


def measure_all(tasks: list[Task], cache: Cache | None, jobs: int) -> Iterator[tuple[int, Row]]:
    """(index of the task, its row) in the order in which they end. The largest layers begin first."""
    order = sorted(range(len(tasks)), key=lambda i: -tasks[i].layer.macs)
    if jobs == 1 or len(tasks) == 1:
        for i in order:
            yield i, measure(tasks[i], cache)
        return
    # Not fork: progress bars have threads, and simulation models cannot be shared.
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), multiprocessing.get_context("spawn"), _one_thread)
    try:
        running = {pool.submit(measure, tasks[i], cache): i for i in order}
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def prepare(task: Task) -> None:
    """Builds what the device of ``task`` needs, once and before many processes ask for it."""
    if task.device != "model":
        options = {"memory_bytes": 1 << 20, "compute_ratio": task.clocks.compute_ratio} if task.device == "rtl" else {}
        open_device(task.device, task.config, **options).close()


def check_jobs(jobs: int | None) -> int:
    """``jobs``, or one for each core. InputError for less than 1."""
    jobs = os.cpu_count() or 1 if jobs is None else jobs
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")
    return jobs


def _one_thread() -> None:
    """The processes share the cores already."""
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
