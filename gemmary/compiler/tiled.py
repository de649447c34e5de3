"""A tiled operator: what is computed, in which parts and order, and which places on the chip it takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..isa import Space
from .builder import Operation
from .loops import Loop
from .slots import Slots


@dataclass(frozen=True)
class Buffer:
    """``count`` slots of ``size`` words of a memory from ``base``; an activation word has ``rows`` bytes."""

    space: Space
    base: int
    size: int
    count: int

    def slots(self) -> Slots:
        return Slots(self.base, self.size, self.count)


@dataclass(frozen=True)
class Tiled:
    """``operations`` of one shape, one after the other, as the code generator ``kind`` computes them.

    ``loops`` run over the parts that are computed at a time, ``buffers`` by what they hold.
    """

    kind: str
    operations: tuple
    loops: tuple[Loop, ...]
    buffers: dict[str, Buffer] = field(hash=False)


@dataclass(frozen=True)
class Emitted:
    """What was emitted in one go, without a nest: the instructions of a run."""

    operations: list[Operation]


@dataclass(frozen=True)
class TiledLayer:
    """A layer of a program whose instructions are still to come, or to be scheduled; as ``Layer``."""

    name: str
    output: str
    macs: int
    parts: tuple[Tiled | Emitted, ...]
    operators: int = 1


class Emitter(Protocol):
    """The code generator of one kind, made with a builder and a tiled operator."""

    def jobs(self) -> Sequence: ...

    def emit(self, job, index: int, last: bool) -> None:
        """Puts job number ``index`` into the builder; a run may end behind each."""


def buffers_in(space: Space, **sizes: tuple[int, int]) -> dict[str, Buffer]:
    """Buffers of (size, count), one behind the other from the beginning of a memory; those without slots are left out."""
    buffers, base = {}, 0
    for name, (size, count) in sizes.items():
        if size * count:
            buffers[name] = Buffer(space, base, size, count)
        base += size * count
    return buffers
