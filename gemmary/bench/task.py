"""One layer, or one network as a whole, to be measured."""

from dataclasses import dataclass, field, replace

from ..config import Config
from ..errors import InputError
from ..workloads import Layer, Network, suite
from .memory import Memory

DEVICES = ("rtl", "model", "emulator")


@dataclass(frozen=True)
class Task:
    """``layer`` of ``suite`` (a network's name, or "layer") on ``config``, on one of DEVICES. InputError for another one."""

    suite: str
    layer: Layer
    config: Config
    memory: Memory = field(default_factory=Memory)
    device: str = "rtl"
    seed: int = 0

    def __post_init__(self):
        _check(self)


@dataclass(frozen=True)
class NetworkTask:
    """``network`` as one program; all else is as for a Task."""

    network: Network
    config: Config
    memory: Memory = field(default_factory=Memory)
    device: str = "rtl"
    seed: int = 0

    def __post_init__(self):
        _check(self)


def _check(task: Task | NetworkTask) -> None:
    if task.device not in DEVICES:
        raise InputError(f"device must be one of {', '.join(DEVICES)}, not {task.device!r}")
    if not task.config.dma:
        raise InputError(f"preset {task.config.name} has no DMA and no counters: bench takes one that has")
    if task.seed < 0:
        raise InputError(f"seed must not be negative: {task.seed}")
    task.memory.rate(task.config)


def whole_networks(names: list[str], **common) -> list[NetworkTask]:
    """The networks of the suites ``names`` that say how their layers follow one another, each once."""
    networks = {network.name: network for name in names for network in suite(name)}
    return [NetworkTask(network, **common) for network in networks.values() if network.steps]


def tasks_of(names: list[str], layers: list[Layer], *, whole: bool = False, **common) -> list[Task]:
    """Every layer of the suites ``names``, each network once, then ``layers``. InputError for an unknown suite.

    ``whole``: a layer that a network has several times is as many tasks, with a number in its name and values of its own."""
    networks = {network.name: network for name in names for network in suite(name)}
    found = [Task(network.name, layer, **common) for network in networks.values() for layer in network.layers]
    if whole:
        found = [each for task in found for each in _each(task)]
    return found + [Task("layer", layer, **common) for layer in layers]


def _each(task: Task) -> list[Task]:
    layer = task.layer
    if layer.count == 1:
        return [task]
    named = [replace(layer, name=f"{layer.name} {i + 1} of {layer.count}", count=1) for i in range(layer.count)]
    return [replace(task, layer=layer, seed=task.seed + i) for i, layer in enumerate(named)]
