"""Measures a network as one program."""

from ..errors import InputError
from .bound import bound
from .cache import Cache
from .measure import figures
from .problem import NetworkProblem
from .row import Fused
from .task import NetworkTask


def measure_network(task: NetworkTask, cache: Cache | None = None) -> Fused:
    """Compiles the network and runs it on the task's device, unless ``cache`` has the outcome. One that cannot be one program has an
    ``error``: its layers can still be measured."""
    try:
        problem = NetworkProblem.of(task)
    except InputError as error:
        return Fused(error=str(error))
    found = figures(task, problem, task.network.macs, cache)
    if cycles := found.get("cycles"):
        found["utilization"] = task.network.macs / task.macs_per_cycle / cycles
        found["roofline_efficiency"] = network_bound(task) / cycles
        if task.device != "model" and "model_cycles" in found:
            found["model_error"] = found["model_cycles"] / cycles - 1
    return Fused(**found)


def network_bound(task: NetworkTask) -> float:
    """The sum of the bounds of the layers, each as often as it occurs."""
    return sum(
        layer.count * bound(task.config, layer, task.memory, task.clocks.array_cycles) for layer in task.network.layers
    )
