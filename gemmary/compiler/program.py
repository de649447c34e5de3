"""What the compiler makes: instructions for each layer, and what lies where in external memory."""

from dataclasses import dataclass, field
from functools import cached_property

from ..config import Config
from .row_packing import PaddedImages
from .runs import Run
from .strips import Strips
from .tensor import Stack, Tensor
from .weights import WeightTensor


@dataclass(frozen=True)
class Layer:
    """One layer: its ``runs`` are programs to run one after the other (one, unless it is longer than a program may be).

    Each leaves every semaphore at 0. ``output`` names the tensor that the layer writes, ``macs`` counts the products of
    its definition (padded channels not among them). It may be several ``operators`` of the model, fused on the chip.
    """

    name: str
    output: str
    macs: int
    runs: tuple[Run, ...]
    operators: int = 1


@dataclass(frozen=True)
class Program:
    """Layers in order, over one image of external memory.

    ``tensors`` has every input, intermediate and output by name; all of them ``pack`` arrays, and those that are no inputs
    ``unpack`` them. ``lives`` has the first and the last layer at which a tensor that shares memory with others is there; the number of layers
    stands for the end. ``constants`` (address, bytes) are to be in memory before
    the first layer, and so are the ``inputs``. Code goes to ``code_address``; all in all the program needs ``memory_bytes``
    of external memory.
    """

    config: Config
    layers: tuple[Layer, ...]
    tensors: dict[str, Tensor | Stack | WeightTensor | PaddedImages | Strips]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[tuple[int, bytes], ...] = field(repr=False)
    code_address: int
    lives: dict[str, tuple[int, int]] = field(default_factory=dict)

    @cached_property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def memory_bytes(self) -> int:
        return self.code_address + max(len(run.code) for layer in self.layers for run in layer.runs)

    @property
    def left(self) -> tuple[str, ...]:
        """Tensors that are there in the end, and were computed."""
        end = len(self.layers)
        return tuple(n for n in self.tensors if n not in self.inputs and self.lives.get(n, (0, end))[1] == end)

    def encode(self) -> bytes:
        """All runs of all layers, one behind the other, as ``gemmary disassemble`` reads them."""
        return b"".join(run.code for layer in self.layers for run in layer.runs)
