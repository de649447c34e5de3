"""Measures one layer."""

import time
from collections.abc import Callable

import numpy as np

from ..errors import InputError
from ..isa import Engine
from ..performance.model import Estimate, estimate
from ..runtime.device import Report, open_device
from ..runtime.execute import execute
from .bound import bound
from .cache import Cache
from .lost import lost_cycles
from .problem import NetworkProblem, Problem
from .row import Row
from .task import NetworkTask, Task

MEBIBYTE = 1 << 20


def measure(task: Task, cache: Cache | None = None, progress: Callable[[int], None] | None = None) -> Row:
    """Compiles the layer and runs it on the task's device, unless ``cache`` has the outcome. A layer that cannot be compiled
    is a row with an ``error``. ``progress`` is called with the cycles simulated so far."""
    least = bound(task.config, task.layer, task.memory, task.clocks.array_cycles)
    try:
        problem = Problem.of(task)
    except InputError as error:
        return Row.of(task, least, error=str(error))
    return Row.of(task, least, **figures(task, problem, task.layer.macs, cache, progress))


def figures(
    task: Task | NetworkTask, problem: Problem | NetworkProblem, macs: int, cache: Cache | None, progress=None
) -> dict:
    """What the device and the cycle model say of the problem, by the names of a Row."""
    found, report, expected = {}, None, expectation(task, problem)
    if expected:
        found["model_cycles"] = expected.cycles
    if task.device == "model":
        found["cycles"] = expected.cycles
    else:
        outcome = run(task, problem, cache, progress)
        report = Report(**outcome["report"])
        found |= {name: outcome[name] for name in ("mismatches", "seconds")}
        found["instructions"] = report.instructions
        if report.cycles:
            names = ("cycles", "read_bytes", "write_bytes") if report.counters else ("cycles",)
            found |= {name: getattr(report, name) for name in names}
    if "cycles" in found and expected:
        found["lost"] = lost_cycles(expected, macs / task.macs_per_cycle, report)
    return found


def expectation(task: Task | NetworkTask, problem: Problem | NetworkProblem) -> Estimate | None:
    """What the cycle model says; None with two clocks, of which it knows nothing."""
    if task.clocks.compute_ratio:
        return None
    timing, program = task.memory.timing(task.config), problem.program
    runs = [run for layer in program.layers for run in layer.runs]
    return _sum([estimate(timing, run.code, program.code_address) for run in runs])


def run(task: Task | NetworkTask, problem: Problem | NetworkProblem, cache: Cache | None, progress=None) -> dict:
    """What the device made of the problem: ``mismatches``, ``seconds`` and the ``report``, all as JSON knows them."""
    key = cache.key(task, problem) if cache else None
    if cache and (known := cache.get(key)):
        return known
    program, options = problem.program, {"memory_bytes": -(-problem.program.memory_bytes // MEBIBYTE) * MEBIBYTE}
    if task.device == "rtl":
        memory = task.memory
        options |= {"latency": memory.latency, "bytes_per_cycle": memory.rate(task.config), "seed": task.seed}
        options |= {"stall_probability": memory.stalls, "progress": progress}
        options["compute_ratio"] = task.clocks.compute_ratio
    device = open_device(task.device, task.config, **options)
    try:
        begin = time.perf_counter()
        result = execute(device, program, problem.inputs)
        seconds = time.perf_counter() - begin
    finally:
        device.close()
    found, right = result.tensors[program.outputs[-1]], problem.expected()
    wrong = np.count_nonzero(found != right) if found.shape == right.shape else right.size
    outcome = {
        "mismatches": int(wrong),
        "seconds": round(seconds, 3),
        "report": _total([r for layer in result.layers for r in layer.reports]),
    }
    if cache:
        cache.put(key, outcome)
    return outcome


def _total(reports: list[Report]) -> dict:
    """The reports of runs one after the other, as one."""
    counters = {
        engine: {state: sum(r.counters[engine][state] for r in reports) for state in states}
        for engine, states in reports[0].counters.items()
    }
    names = ("instructions", "cycles", "read_bytes", "write_bytes")
    return {name: sum(getattr(r, name) for r in reports) for name in names} | {"counters": counters}


def _sum(estimates: list[Estimate]) -> Estimate:
    return Estimate(
        cycles=sum(e.cycles for e in estimates),
        busy={engine: sum(e.busy[engine] for e in estimates) for engine in Engine},
        rows=sum(e.rows for e in estimates),
        idle={cause: sum(e.idle[cause] for e in estimates) for cause in estimates[0].idle},
    )
