"""Where the tensors of a chain lie on the chip, and what its weights, parameters and sums go through."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...config import Config
from ...errors import InputError
from ...isa import Space
from ...workloads import INPUT, Conv, Mean, Network, Step
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


def place_tensors(
    config: Config, network: Network, source: tuple[int, int], keep: Sequence[str] = ()
) -> dict[str, Resident]:
    """Every tensor in a place of its own from the step that makes it (a mean: from the one that makes what it is taken of) to the last
    one that reads it; the input has ``source`` (words, positions). As far as possible a place is not taken as soon as it is free. Where there is no room, a result takes the place of the
    input of its step, line by line as that is read (``lead``); not one of ``keep``, which are stored while they are made, with all
    their parts. InputError where the memory is too small."""
    try:
        return _place(config, network, source, keep, 0)
    except InputError as error:
        try:  # the input at the end: results begin before what they replace
            return _place(config, network, source, keep, config.activation_words - prod(source))
        except InputError:
            raise error from None


def _place(
    config: Config, network: Network, source: tuple[int, int], keep: Sequence[str], begin: int
) -> dict[str, Resident]:
    """The first tensor lies at word ``begin`` or behind it."""
    last = {name: i for i, step in enumerate(network.steps) for name in step.reads}
    placed, free = {}, np.full(config.activation_words, -2)
    sizes, made = {INPUT: source}, {INPUT: -1}
    for i, step in enumerate(network.steps):
        *positions, channels = step.operation.output_shape
        sizes[step.name] = -(-channels // config.rows), prod(positions)
        made[step.name] = made[step.input] if isinstance(step.operation, Mean) else i
    for i, (name, (words, positions)) in enumerate(sizes.items(), -1):
        size = words * positions
        if len(starts := _starts(free < made[name], size)):
            start = next((s for s in starts if s >= begin), starts[0])
        else:
            step = network.steps[max(i, 0)]
            replaced = placed[step.input] if name not in keep and last.get(step.input) == i else None
            start = _start_upon(config, step, replaced, free < i, size) if replaced else None
        if start is None:
            raise InputError(
                f"network {network.name!r}, step {name!r}: activation_bytes = {config.activation_bytes} does not hold its "
                f"{size * config.rows} bytes beside the tensors that are still needed"
            )
        placed[name] = Resident(name, int(start), words, positions, config.rows // config.columns)
        free[start : start + size] = last.get(name, len(network.steps))
        begin = start + size
    return placed


def _start_upon(config: Config, step: Step, replaced: Resident, free: np.ndarray, size: int) -> int | None:
    """The last place for the result of ``step`` if it may lie upon ``replaced``, its input."""
    ahead = lead(config, step, replaced)
    if ahead is None:
        return None
    free[replaced.address : replaced.address + replaced.size] = True
    starts = _starts(free, size)
    starts = starts[starts <= replaced.address - ahead]
    return starts[-1] if len(starts) else None


def lead(config: Config, step: Step, source: Resident) -> int | None:
    """How many words before ``source``, its input, the result of a convolution must begin, so that each of its lines lies upon what
    no later one reads. None for what is not read once, line by line: by several column tiles, through the array's window, or with lines
    left out."""
    operation = step.operation
    if not isinstance(operation, Conv) or getattr(operation, "pool", None) or step.residual == step.input:
        return None
    height, width, channels = operation.output_shape
    windowed, gaps = config.window_line and operation.groups > 1, operation.kernel[0] < operation.stride[0]
    if channels > config.columns or windowed or gaps:
        return None
    if source.positions == operation.height * operation.width:
        stride, top = operation.stride[0], operation.padding[0]
        read = [min(max(0, y * stride - top), operation.height - 1) * operation.width for y in range(height)]
    else:  # the input as windows, with which each line of the result has lines of its own
        read = [y * source.positions // height for y in range(height)]
    return max((y * width - read[y] for y in range(1, height)), default=0)


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
