"""Collects instructions in the order of their meaning and finds out which must wait for which."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..config import TABLES, Config
from ..isa import ENGINE, Engine, Instruction, Opcode, Space

ENGINES = len(Engine)

HOST = {Engine.LOAD, Engine.STORE}
"""The engines that the host stands in for where there is no DMA."""


@dataclass(frozen=True)
class Region:
    """Words of an on-chip memory: ``range(start, stop, step)``.

    Activation: rows of ``columns`` bytes. Weight: words. Accumulator, parameter: rows. Table: tables.
    """

    space: Space
    start: int
    stop: int
    step: int = 1


@dataclass(frozen=True)
class Operation:
    """An instruction without semaphores. ``after[e]`` instructions of engine e must have ended before it starts."""

    instruction: Instruction
    engine: Engine
    after: tuple[int, ...]


class Builder:
    """Takes instructions in an order that is right when each one ends before the next starts.

    Engines run in parallel, each in order. The builder remembers for every word of every on-chip memory which instruction of
    each engine touched it last, so an instruction waits for exactly those that it must: readers for the last writer,
    writers for the last writer and reader. Without DMA the host moves the data, through a port that busy engines leave it no
    time at: it then waits until they are idle, and they for it. Whoever emits instructions chooses addresses and order, and never names a
    semaphore.
    """

    def __init__(self, config: Config):
        self.config = config
        sizes = {
            Space.ACTIVATION: config.vector_words,
            Space.WEIGHT: config.weight_words,
            Space.ACCUMULATOR: config.accumulator_words,
            Space.PARAMETER: config.parameter_rows,
            Space.TABLE: TABLES,
        }
        self._written = {space: np.zeros((ENGINES, size), np.int32) for space, size in sizes.items()}
        self._read = {space: np.zeros((ENGINES, size), np.int32) for space, size in sizes.items()}
        self._counts = [0] * ENGINES
        self.operations: list[Operation] = []

    def emit(self, opcode: Opcode, fields: dict[str, int], reads: Iterable[Region], writes: Iterable[Region]) -> None:
        """Appends an instruction that reads and writes these regions (external memory is the caller's care)."""
        engine = ENGINE[opcode]
        after = np.zeros(ENGINES, np.int32)
        for region in reads:
            np.maximum(after, self._last(self._written, region), out=after)
        for region in writes:
            np.maximum(after, self._last(self._written, region), out=after)
            np.maximum(after, self._last(self._read, region), out=after)
        if not self.config.dma:
            others = HOST if engine not in HOST else set(Engine) - HOST
            after[list(others)] = [self._counts[e] for e in others]
        self._counts[engine] += 1
        self._note(self._read, engine, reads)
        self._note(self._written, engine, writes)
        after[engine] = 0  # an engine's own instructions run in order
        self.operations.append(Operation(Instruction(opcode, **fields), engine, tuple(after.tolist())))

    def cut(self) -> list[Operation]:
        """What was emitted so far, as a run of its own: memories keep their contents, nothing waits across the cut."""
        operations = self.operations
        self.__init__(self.config)
        return operations

    def _last(self, table, region: Region) -> np.ndarray:
        return table[region.space][:, region.start : region.stop : region.step].max(axis=1)

    def _note(self, table, engine: Engine, regions: Iterable[Region]) -> None:
        for region in regions:
            table[region.space][engine, region.start : region.stop : region.step] = self._counts[engine]
