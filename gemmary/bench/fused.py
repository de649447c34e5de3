"""Measures a network as one program."""

from ..errors import InputError
from ..performance.model import estimate
from ..runtime.device import Report
from .bound import bound
from .cache import Cache
from .lost import lost_cycles
from .measure import run
from .problem import NetworkProblem
from .row import Fused
from .task import NetworkTask


def measure_network(task: NetworkTask, cache: Cache | None = None) -> Fused:
    """Compiles the network and runs it on the task's device, unless ``cache`` has the outcome. One that cannot be one program has an
    ``error``: its layers can still be measured."""
    network, config = task.network, task.config
    try:
        problem = NetworkProblem.of(task)
    except InputError as error:
        return Fused(error=str(error))
    program = problem.program
    expected = estimate(task.memory.timing(config), program.encode(), program.code_address)
    useful, report = network.macs / config.macs_per_cycle, None
    measured = {"model_cycles": expected.cycles}
    if task.device == "model":
        measured["cycles"] = expected.cycles
    else:
        outcome = run(task, problem, cache)
        report = Report(**outcome["report"])
        measured |= {name: outcome[name] for name in ("mismatches", "seconds")}
        measured["instructions"] = report.instructions
        if report.cycles:
            measured |= {name: getattr(report, name) for name in ("cycles", "read_bytes", "write_bytes")}
            measured["model_error"] = expected.cycles / report.cycles - 1
    if cycles := measured.get("cycles"):
        measured["lost"] = lost_cycles(expected, useful, report)
        measured["utilization"] = useful / cycles
        measured["roofline_efficiency"] = network_bound(task) / cycles
    return Fused(**measured)


def network_bound(task: NetworkTask) -> float:
    """The sum of the bounds of the layers, each as often as it occurs."""
    return sum(layer.count * bound(task.config, layer, task.memory) for layer in task.network.layers)
