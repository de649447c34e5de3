"""One layer, or one network as a whole, to be measured."""

from dataclasses import dataclass, field, replace

from ..config import Config
from ..errors import InputError
from ..workloads import Layer, Network, suite
from .clocks import Clocks
from .memory import Memory

DEVICES = ("rtl", "model", "emulator")


class Measurement:
    """What a layer and a network have in common. InputError for what cannot be measured."""

    def __post_init__(self):
        if self.device not in DEVICES:
            raise InputError(f"device must be one of {', '.join(DEVICES)}, not {self.device!r}")
        if not self.config.dma:
            raise InputError(f"preset {self.config.name} has no DMA: bench takes one that has")
        if self.seed < 0:
            raise InputError(f"seed must not be negative: {self.seed}")
        if self.clocks.compute_ratio and self.device != "rtl":
            raise InputError(f"device {self.device!r} knows one clock: a compute ratio is for rtl")
        self.memory.rate(self.config)

    @property
    def macs_per_cycle(self) -> int:
        """At most, in a cycle as they are counted."""
        return self.config.macs_per_cycle * self.clocks.array_cycles


@dataclass(frozen=True)
class Task(Measurement):
    """``layer`` of ``suite`` (a network's name, or "layer") on ``config``, on one of DEVICES. InputError for another one."""

    suite: str
    layer: Layer
    config: Config
    memory: Memory = field(default_factory=Memory)
    device: str = "rtl"
    seed: int = 0
    clocks: Clocks = field(default_factory=Clocks)


@dataclass(frozen=True)
class NetworkTask(Measurement):
    """``network`` as one program; all else is as for a Task."""

    network: Network
    config: Config
    memory: Memory = field(default_factory=Memory)
    device: str = "rtl"
    seed: int = 0
    clocks: Clocks = field(default_factory=Clocks)


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
