"""Network: the distinct layers of a network, read from the data files beside this module."""

import tomllib
from dataclasses import dataclass
from importlib import resources

from ..errors import InputError
from .layer import Layer
from .steps import Step, read_steps
from .text import from_table

TINY = ("resnet8", "ds-cnn", "mobilenet-v1-025", "autoencoder")
NETWORKS = (
    "resnet18",
    "resnet50",
    "mobilenet-v2",
    "vit-b16",
    "bert-base-128",
    "bert-base-384",
    "minilm-l6",
    "gpt2-prefill-128",
    "gpt2-decode-1024",
    *TINY,
)
SUITES = {"tiny": TINY, "all": NETWORKS}  # and every network is a suite of its own


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network at batch 1, as its distinct layers in the order in which they first run.

    ``input`` is the shape of its input (height, width, channels, or rows, columns) and ``source`` says where the shapes are
    from. ``published_macs`` is a total that others found, ``published_source`` where and what it counts, and ``tolerance``
    half of its last digit, in MACs. ``steps`` say how the layers follow one another; empty where the file does not.
    """

    name: str
    title: str
    input: tuple[int, ...]
    source: str
    published_macs: int
    published_source: str
    tolerance: int
    layers: tuple[Layer, ...]
    steps: tuple[Step, ...] = ()

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference: convolutions, dense layers and the products of attention."""
        return sum(layer.count * layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """Constant weights, biases not included."""
        return sum(layer.count * layer.weights for layer in self.layers)


def names() -> tuple[str, ...]:
    return NETWORKS


def load(name: str) -> Network:
    """The network of that name; InputError for an unknown one."""
    if name not in NETWORKS:
        raise InputError(f"unknown network {name!r}; there are {', '.join(NETWORKS)}")
    return read(name, resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def suite(name: str) -> tuple[Network, ...]:
    """The networks of the suite ``name``, which may be the name of a network; InputError for an unknown one."""
    if name not in SUITES and name not in NETWORKS:
        raise InputError(f"unknown suite {name!r}; there are {', '.join((*SUITES, *NETWORKS))}")
    return tuple(map(load, SUITES.get(name, (name,))))


def read(name: str, text: str) -> Network:
    """The network in ``text``, a data file; InputError, naming layer and field, for a malformed layer."""
    table = tomllib.loads(text)
    layers = tuple(map(from_table, table.pop("layers")))
    for layer in layers:
        if [other.name for other in layers].count(layer.name) > 1:
            raise InputError(f"network {name!r}: two layers have the name {layer.name!r}")
    shape = tuple(table.pop("input"))
    steps = read_steps(name, table.pop("steps", ()), layers, shape)
    return Network(name=name, input=shape, layers=layers, steps=steps, **table)
