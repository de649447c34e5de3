"""What the compiler makes: instructions for each layer, and what lies where in external memory."""

from dataclasses import dataclass, field
from functools import cached_property

from ..config import Config
from ..isa import Instruction, encode_program
from .row_packing import PaddedImages
from .tensor import Tensor
from .weights import WeightTensor


@dataclass(frozen=True)
class Layer:
    """One layer: its ``runs`` are programs to run one after the other (one, unless it is longer than a program may be).

    Each run leaves every semaphore at 0. ``output`` names the tensor that the layer writes, ``macs`` counts the products of
    its definition (padded channels not among them).
    """

    name: str
    output: str
    macs: int
    runs: tuple[tuple[Instruction, ...], ...]

    @cached_property
    def codes(self) -> tuple[bytes, ...]:
        """Each run, encoded."""
        return tuple(encode_program(run) for run in self.runs)


@dataclass(frozen=True)
class Program:
    """Layers in order, over one image of external memory.

    ``tensors`` has every input, intermediate and output by name; all of them ``pack`` arrays, and those that are no inputs
    ``unpack`` them. ``constants`` (address, bytes) are to be in memory before
    the first layer, and so are the ``inputs``. Code goes to ``code_address``; all in all the program needs ``memory_bytes``
    of external memory.
    """

    config: Config
    layers: tuple[Layer, ...]
    tensors: dict[str, Tensor | WeightTensor | PaddedImages]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[tuple[int, bytes], ...] = field(repr=False)
    code_address: int

    @cached_property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def memory_bytes(self) -> int:
        return self.code_address + max(len(code) for layer in self.layers for code in layer.codes)

    def encode(self) -> bytes:
        """All runs of all layers, one behind the other, as ``gemmary disassemble`` reads them."""
        return b"".join(code for layer in self.layers for code in layer.codes)
