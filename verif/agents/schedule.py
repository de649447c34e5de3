"""Semaphores for a sequence of instructions: just those that its conflicting accesses need."""

import numpy as np

from gemmary.config import SEMAPHORES
from gemmary.isa import ENGINE, Engine, Instruction, Opcode

from .accesses import Accesses

REJOIN_AFTER = 40
"""Signals of one semaphore after which all engines meet: with what its queue may still hold, well below 63."""


class Schedule:
    """Takes instructions in program order with what they access, and gives them back with semaphores.

    The semaphore of a (producer, consumer) pair of engines is anonymous: as both are in order, the k-th wait takes the k-th
    signal. So an instruction waits for the latest conflicting one of each engine, unless it is known to have ended already, by
    an earlier wait or through a third engine. The four pairs of an engine with itself get a superfluous wait now and then.
    ``order`` numbers the semaphores.
    """

    def __init__(self, sizes: dict, order: np.ndarray, rng: np.random.Generator):
        assert len(order) == SEMAPHORES == len(Engine) ** 2
        self.order, self.rng = order.reshape(len(Engine), len(Engine)), rng
        self.opcodes: list[Opcode] = []
        self.fields: list[dict[str, int]] = []
        self.waits: list[int] = []
        self.signals: list[int] = []
        # For each granule (or external byte) the last instruction that wrote it, and that each engine read it in.
        self.written = {memory: np.full(size, -1) for memory, size in sizes.items()}
        self.read = {memory: np.full((len(Engine), size), -1) for memory, size in sizes.items()}
        # known[c, p]: the last instruction of engine p that has surely ended when the next one of c starts.
        self.known = np.full((len(Engine), len(Engine)), -1)
        self.known_at_end: list[np.ndarray] = []
        self.last = np.full(len(Engine), -1)
        self.synchronised_with_itself = np.full(len(Engine), -1)
        self.signalled = np.zeros((len(Engine), len(Engine)), int)
        self.meeting = -1

    def add(self, opcode: Opcode, fields: dict[str, int], reads: Accesses, writes: Accesses) -> None:
        engine, index = ENGINE[opcode], len(self.opcodes)
        for fresh, value in ((self.opcodes, opcode), (self.fields, fields), (self.waits, 0), (self.signals, 0)):
            fresh.append(value)
        before = self._conflicts(reads, writes)
        if self.signalled.max() >= REJOIN_AFTER:
            before |= set(self.last.tolist())
            self.meeting = index
            self.signalled[:] = 0
        elif self.meeting >= 0:
            before.add(self.meeting)
        for other in sorted(before - {-1}, reverse=True):
            self._order(other, index)
        if self.rng.random() < 0.1 and self.last[engine] > self.synchronised_with_itself[engine]:
            self.synchronised_with_itself[engine] = self.last[engine]
            self._signal(self.last[engine], index)
        self.known[engine, engine] = self.last[engine] = index
        self.known_at_end.append(self.known[engine].copy())
        for memory, places in writes.items():
            self.written[memory][places] = index
        for memory, places in reads.items():
            self.read[memory][engine, places] = index

    def instructions(self) -> list[Instruction]:
        return [
            Instruction(opcode, **fields, wait=wait, signal=signal)
            for opcode, fields, wait, signal in zip(self.opcodes, self.fields, self.waits, self.signals)
        ]

    def _conflicts(self, reads: Accesses, writes: Accesses) -> set[int]:
        """The last instruction of each engine that must have ended (−1: none)."""
        earlier = [self.written[memory][places] for part in (reads, writes) for memory, places in part.items()]
        earlier += [self.read[memory][:, places].ravel() for memory, places in writes.items()]
        latest: dict[Engine, int] = {}
        for index in np.unique(np.concatenate(earlier)).tolist():
            if index >= 0:
                latest[ENGINE[self.opcodes[index]]] = index
        return set(latest.values())

    def _order(self, first: int, second: int) -> None:
        producer, consumer = ENGINE[self.opcodes[first]], ENGINE[self.opcodes[second]]
        if producer != consumer and self.known[consumer, producer] < first:
            self._signal(first, second)
            self.known[consumer] = np.maximum(self.known[consumer], self.known_at_end[first])

    def _signal(self, first: int, second: int) -> None:
        pair = ENGINE[self.opcodes[first]], ENGINE[self.opcodes[second]]
        self.signals[first] |= 1 << int(self.order[pair])
        self.waits[second] |= 1 << int(self.order[pair])
        self.signalled[pair] += 1
