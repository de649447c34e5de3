"""Where the tensors of a chain lie on the chip, and what its weights, parameters and sums go through."""

from dataclasses import dataclass
from math import prod

import numpy as np

from ...config import Config
from ...errors import InputError
from ...isa import Space
from ...workloads import INPUT, Network
from ..builder import Region


@dataclass(frozen=True)
class Resident:
    """A tensor in the activation scratchpad: ``[words, positions, parts]`` from word ``address``; each of the ``parts`` of a word is a
    row of the vector engine, and a column tile of what makes it."""

    name: str
    address: int
    words: int
    positions: int
    parts: int = 1

    def word(self, word: int) -> int:
        """Address of a channel word of the first position."""
        return self.address + word * self.positions

    def row(self, tile: int, position: int = 0) -> int:
        """The vector engine's address of a column tile."""
        return (self.word(tile // self.parts) + position) * self.parts + tile % self.parts

    @property
    def plane(self) -> int:
        """Rows from a channel word to the next one."""
        return self.positions * self.parts

    def region(self, word: int, first: int, count: int) -> Region:
        """``count`` positions of a channel word."""
        start = self.word(word) + first
        return Region(Space.ACTIVATION, start * self.parts, (start + count) * self.parts)

    def tile(self, tile: int, first: int, count: int) -> Region:
        """``count`` positions of a column tile."""
        start = self.row(tile, first)
        return Region(Space.ACTIVATION, start, start + (count - 1) * self.parts + 1, self.parts)

    @property
    def size(self) -> int:
        return self.words * self.positions


def place_tensors(config: Config, network: Network, source: tuple[int, int]) -> dict[str, Resident]:
    """Every tensor in a place of its own from the step that makes it to the last one that reads it; the input has ``source`` (words,
    positions). As far as possible a place is not taken as soon as it is free. InputError where the memory is too small."""
    last = {name: i for i, step in enumerate(network.steps) for name in step.reads}
    placed, free, begin = {}, np.full(config.activation_words, -2), 0
    sizes = {INPUT: source}
    for step in network.steps:
        *positions, channels = step.operation.output_shape
        sizes[step.name] = -(-channels // config.rows), prod(positions)
    for i, (name, (words, positions)) in enumerate(sizes.items(), -1):
        size = words * positions
        starts = _starts(free < i, size)
        if not len(starts):
            raise InputError(
                f"network {network.name!r}, step {name!r}: activation_bytes = {config.activation_bytes} does not hold its "
                f"{size * config.rows} bytes beside the tensors that are still needed"
            )
        start = next((s for s in starts if s >= begin), starts[0])
        placed[name] = Resident(name, int(start), words, positions, config.rows // config.columns)
        free[start : start + size] = last.get(name, len(network.steps))
        begin = start + size
    return placed


def _starts(free: np.ndarray, size: int) -> np.ndarray:
    """Where ``size`` free words follow each other."""
    if size > len(free):
        return np.array([], int)
    taken = np.concatenate([[0], np.cumsum(~free)])
    return np.flatnonzero(taken[size:] == taken[: len(taken) - size])


class Ring:
    """Hands out places of a memory one behind the other, and begins again at its end: at most ``places`` of them in a round."""

    def __init__(self, size: int, places: int | None = None):
        self.size, self.head = size, 0
        self.least = 1 if places is None else -(-size // places)

    def take(self, count: int) -> int:
        """The first of ``count`` neighbours, at most ``size``."""
        start = self.head if self.head + count <= self.size else 0
        self.head = start + max(count, self.least)
        return start


class Sums:
    """Rows of the accumulator. A bank that is added to cannot be read, so sums of several products alternate between the banks; rows
    that are written once follow each other through both. The last ``reserved`` rows of each bank are left out."""

    def __init__(self, config: Config, reserved: tuple[int, int] = (0, 0)):
        self.rows, self.bank, self.used = config.accumulator_rows, 0, 0
        self.most = [self.rows - rows for rows in reserved]

    def other(self, row: int) -> bool:
        """Whether ``row`` is in bank 0, so that sums which alternate go on in the other."""
        return row < self.rows

    def take(self, count: int, *, added: bool) -> int:
        """The first of ``count`` rows."""
        if added or self.used + count > self.most[self.bank]:
            self.bank, self.used = 1 - self.bank, 0
        start = self.bank * self.rows + self.used
        self.used += count
        return start
