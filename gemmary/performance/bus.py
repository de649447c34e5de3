"""The read bus of the cycle model: loads and instruction fetch share it, data come in the order of the requests."""

from collections import deque
from math import inf

from ..isa import INSTRUCTION_BYTES

BEGIN, DISPATCHED = 4, 3
"""Cycles from the start to the request of the first instructions, and from the last beat of one to the queue of an engine."""

DISPATCH = 2
"""Cycles of an instruction in the dispatcher, in which no other is fetched."""

AHEAD_BYTES, FETCH_BYTES = 2048, 512
"""What the fetch unit holds, and what it asks for at a time."""

REQUEST = 6
"""Cycles from a load that is taken to its first request on the bus."""

AGAIN = 2
"""Cycles from the last beat of a burst to the request that takes its place."""


class Load:
    """A load at work: ``bursts`` still to be requested, of ``each`` cycles of data, which come after ``latency``."""

    __slots__ = ("begin", "behind", "bursts", "each", "freed", "instruction", "latency", "request")

    def __init__(self, instruction: tuple, start: float, runs: int, bursts: int, each: float, latency: float):
        self.instruction, self.bursts, self.each, self.latency = instruction, bursts, each, latency
        self.request = start + REQUEST - 1
        self.begin = inf  # when the first data come
        self.freed = start + runs + 2
        """When all runs but the last two have been requested, of which ``behind`` bursts are left then."""
        self.behind = 2 * bursts // runs if runs > 2 else -1


class ReadBus:
    """``instructions`` at ``address`` and loads. Requests are committed in the order of their times by ``step``."""

    def __init__(self, timing, instructions: int, address: int):
        size = timing.config.bus_bytes
        self.latency, self.beat = timing.latency, timing.beat_cycles
        self.free = 0.0  # when the last beat asked for comes
        self.window = deque([-inf] * timing.config.outstanding)  # when the data of the last bursts ended
        self.loads: deque[Load] = deque()
        self.slow = 1.0  # cycles of a granule on its way into the scratchpad
        # The fetch unit: what it has asked for, and when that comes.
        self.beats, self.total = INSTRUCTION_BYTES // size, instructions * INSTRUCTION_BYTES // size
        self.piece, self.ahead = FETCH_BYTES // size, AHEAD_BYTES // size
        self.offset = address // size % self.piece
        self.asked, self.taken = 0, 0  # beats asked for, beats that the dispatcher has taken
        self.asks: deque[tuple[float, int]] = deque()  # (time, beats) not committed
        self.pieces: deque[tuple[int, float]] = deque()  # (beats up to its end, when that has come)
        self.come = 0  # beats of committed pieces
        self._ask(BEGIN, BEGIN + self.latency)

    def fetched(self, before: float) -> float | None:
        """When the next instruction is in its queue, if there is room, with the one before it at ``before``. None: not yet
        known, ``step`` first."""
        needed = self.taken + self.beats
        if needed > self.come:
            return None
        pieces = self.pieces
        while pieces[0][0] < needed:
            pieces.popleft()
        end, time = pieces[0]
        arrived = time - (end - needed) * self.beat + DISPATCHED
        return max(arrived, before + self.beats + DISPATCH) if before else arrived

    def dispatched(self, now: float) -> None:
        """That instruction is in its queue: the next one is taken from the fetch unit, which makes room there."""
        self.taken += self.beats
        if self.asked < self.total:
            self._ask(now, now)

    def _ask(self, now: float, taking: float) -> None:
        while self.asked < self.total:
            need = self.asked + self.piece - self.ahead
            if need > self.taken + self.beats:
                break
            beats = min(self.piece - (self.offset + self.asked) % self.piece, self.total - self.asked)
            self.asks.append((max(now, taking + need - self.taken + 3) if need > 0 else now, beats))
            self.asked += beats

    @property
    def next(self) -> float:
        """When the next request is made."""
        return min(self.asks[0][0] if self.asks else inf, self._request() if self.loads else inf)

    def _request(self) -> float:
        return max(self.loads[0].request + 1, self.window[0] + AGAIN)

    def delay(self, since: float, cycles: float) -> None:
        """Data that are to come after ``since`` come later."""
        self.free += cycles
        self.window = deque(end + cycles if end > since else end for end in self.window)

    def step(self, until: float) -> Load | None:
        """Commits the next request, and those of the same load up to ``until``. The load that is complete with it, if any:
        ``free`` is then when its data have come."""
        ask = self.asks[0][0] if self.asks else inf
        if not self.loads or ask <= self._request():
            time, beats = self.asks.popleft()
            self.free = max(self.free, time + self.latency) + beats * self.beat
            self.come += beats
            self.pieces.append((self.come, self.free))
            return None
        load, window, until = self.loads[0], self.window, min(until, ask)
        free, left, each, latency = self.free, load.bursts, load.each * self.slow, load.latency
        request, behind, steady = self._request(), load.behind, 0
        load.begin = min(load.begin, max(free, request + latency))
        while True:
            if request + latency > free:
                free, steady = request + latency, 0
            free += each
            window.popleft()
            window.append(free)
            left -= 1
            if left == behind and request > load.freed:
                load.freed = request
            following = window[0] + AGAIN
            if following <= request:
                following, steady = request + 1, 0
            if not left or following > until:
                break
            request, steady = following, steady + 1
            if steady > len(window):
                # All in the window are `each` apart, and so will the next ones be.
                many = left - 1 - (behind if left > behind > 0 else 0)
                if request + many * each > until:
                    many = int((until - request) // each)
                if many > 0:
                    shift = many * each
                    window = self.window = deque(end + shift for end in window)
                    free, request, left, steady = free + shift, request + shift, left - many, 0
        self.free, load.request, load.bursts = free, request, left
        return None if left else self.loads.popleft()
