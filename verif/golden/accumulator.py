"""The accumulator, written from docs/architecture.md ("Memories") and docs/numerics.md ("Matrix product")."""

from collections import deque
from collections.abc import Mapping

import numpy as np

from verif.golden.numerics import wrap

DISTANCE = 4
"""Cycles from an accumulation until its row may be used again."""
WRITE_STAGE = 3
"""An accumulation reads its row in cycle 0 and writes it in this one."""

READS, WRITES = ("vector_read", "store"), ("vector_write", "load")
"""The other ports, in order of priority: one of each is served in a cycle."""


class Accumulator:
    """Both banks: ``rows`` rows of ``columns`` int32, as bytes, bank 0 first. ``defined``: which bytes have been written.

    Call ``grants``, ``access`` and ``accumulate`` in each cycle, in this order. A place is a range of bytes in a row.
    """

    def __init__(self, rows: int, columns: int):
        self.rows, self.row_bytes = rows, 4 * columns
        self.bytes = np.zeros((rows, self.row_bytes), np.uint8)
        self.defined = np.zeros((rows, self.row_bytes), bool)
        self.pipeline: deque = deque([None] * WRITE_STAGE)  # (row, sums, overwrite), the oldest one first

    def bank(self, row: int) -> int:
        return 2 * row // self.rows

    def in_flight(self) -> set[int]:
        return {step[0] for step in self.pipeline if step}

    def grants(self, rows: Mapping[str, int], request: tuple[int, list[int], bool] | None) -> set[str]:
        """Of the ports that ask for a row of ``rows`` those that are served, beside the ``request`` to accumulate."""
        accumulated = None if request is None or request[2] else request[0]  # overwriting reads nothing
        granted = set()
        writing = self.pipeline[0]
        for ports, first in ((READS, accumulated), (WRITES, writing and writing[0])):
            taken = None if first is None else self.bank(first)
            free = [port for port in ports if port in rows and self.bank(rows[port]) != taken]
            granted.update(free[:1])
        return granted

    def access(self, reads: Mapping[str, tuple[int, int, int]], writes: list[tuple[int, int, bytes, list[bool]]]):
        """Reads (row, first byte, bytes), then writes (row, first byte, bytes, enables). None for a byte that is unknown."""
        written = {(row, first + i) for row, first, data, on in writes for i in range(len(data)) if on[i]}
        step = self.pipeline[0]
        if step:
            written |= {(step[0], i) for i in range(self.row_bytes)}
        result = {
            port: [
                int(self.bytes[row, i]) if self.defined[row, i] and (row, i) not in written else None
                for i in range(first, first + size)
            ]
            for port, (row, first, size) in reads.items()
        }
        self._writes = writes
        return result

    def accumulate(self, request: tuple[int, list[int], bool] | None) -> None:
        """Takes the request of this cycle, (row, partial sums, overwrite) or None, and ends the cycle."""
        entering = None
        if request:
            row, sums, overwrite = request
            old = self.bytes[row].view("<i4")
            value = wrap(np.asarray(sums, np.int64) + (0 if overwrite else old))
            known = np.full(self.row_bytes, overwrite) | self.defined[row].reshape(-1, 4).all(axis=1).repeat(4)
            entering = row, value.astype("<i4").view(np.uint8), known
        self.pipeline.append(entering)
        for row, first, data, on in self._writes:
            for i, byte in enumerate(data):
                if on[i]:
                    self.bytes[row, first + i], self.defined[row, first + i] = byte, True
        leaving = self.pipeline.popleft()
        if leaving:
            row, value, known = leaving
            self.bytes[row], self.defined[row] = value, known
