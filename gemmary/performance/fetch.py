"""The instruction fetch of the cycle model."""

from math import inf

from ..isa import INSTRUCTION_BYTES

BEGIN, DISPATCHED = 3, 3
"""Cycles from the start to the request of the first instructions, and from the last beat of one to the queue of an engine."""

DISPATCH = 2
"""Cycles of an instruction in the dispatcher, in which no other is fetched."""

AHEAD_BYTES, FETCH_BYTES = 2048, 512
"""What the fetch unit holds, and what it asks for at a time."""


class Fetch:
    """The program of ``length`` instructions at ``address`` on its way to the dispatcher.

    It comes in pieces that end at multiples of FETCH_BYTES, each requested as soon as AHEAD_BYTES have room for it. Loads share
    the bus: data come in the order of the requests. ``loads`` has (first request, start of data, end of data) of each load.
    """

    def __init__(self, timing, length: int, address: int, loads: list[tuple]):
        size = timing.config.bus_bytes
        self.timing, self.loads = timing, loads
        self.beats, self.total = INSTRUCTION_BYTES // size, length * INSTRUCTION_BYTES // size
        self.piece, self.ahead = FETCH_BYTES // size, AHEAD_BYTES // size
        self.requested, self.offset = 0, address // size % self.piece
        self.taken = 0  # beats that the dispatcher has taken
        self.bus = 0.0  # when the last beat asked for comes
        self.pieces: list[tuple[int, float]] = []  # (beats up to its end, when that has come)
        self._ask(BEGIN, BEGIN + timing.latency)

    def next(self, before: float) -> float:
        """When the next instruction is in its queue, if there is room, with the one before it at ``before``."""
        self.taken += self.beats
        while self.pieces[0][0] < self.taken:
            self.pieces.pop(0)
        end, time = self.pieces[0]
        arrived = time - (end - self.taken) * self.timing.beat_cycles
        return max(before + self.beats + DISPATCH if before else 0.0, arrived + DISPATCHED)

    def follow(self, now: float, until: float = inf) -> float:
        """That instruction is in its queue: the next one is taken, which makes room. Returns the cycles of the bus that the
        requests before ``until`` take; a later call asks for the others."""
        return self._ask(now, now, until)

    def _ask(self, now: float, taking: float, until: float = inf) -> float:
        stolen = 0.0
        while self.requested < self.total:
            need = self.requested + self.piece - self.ahead
            asked = taking + need - self.taken + 2 if need > 0 else now
            if need > self.taken + self.beats or asked > until:
                break
            stolen += self._request(asked)
        return stolen

    def _request(self, asked: float) -> float:
        beats = min(self.piece - (self.offset + self.requested) % self.piece, self.total - self.requested)
        data = max(self.bus, asked + 1 + self.timing.latency, self._behind(asked))
        self.bus = data + beats * self.timing.beat_cycles
        self.requested += beats
        self.pieces.append((self.requested, self.bus))
        return beats * self.timing.beat_cycles

    def _behind(self, asked: float) -> float:
        """When the data that loads had requested by then have come."""
        window = self.timing.config.outstanding * 32 * self.timing.beat_cycles
        for request, start, end in reversed(self.loads):
            if request < asked:
                return min(end, max(start, asked + window))
        return 0.0
