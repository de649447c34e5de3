"""The engines, queues and semaphores of the cycle model: when each instruction starts and ends, and what held it up."""

from collections.abc import Iterable
from math import ceil, inf

from ..config import SEMAPHORES
from ..isa import Engine, Instruction, Space
from .bus import Load, ReadBus
from .columns import columns
from .timing import CAUSES, Estimate, Timing

LOAD, TENSOR, VECTOR, STORE = ENGINES = tuple(map(int, Engine))
WEIGHT = int(Space.WEIGHT)

TAKE = 1
"""Cycles from the queue, or from a semaphore, to the engine."""

LOADED = 4
"""Cycles from the last beat of a load to its signal."""

VISIBLE = 9
"""Cycles from the last row into the array to its signal, `Config.array_depth` not among them."""

REQUANTIZED = 18
"""Cycles from the last row that the vector engine reads to its signal."""

GATHERED = 9
"""Cycles from a store that is taken to its first beat."""

WRITTEN = 2
"""Cycles from a write response to its signal."""


CONFLICTS = {1: 1.0, 4: 1 / 9, 8: 1 / 25}
"""Measured, by number of banks."""


def conflicts(banks: int) -> float:
    """Share of the cycles in which an access to the activation scratchpad meets another one of higher rank in its bank, where
    both walk through memory at full speed: the rest of the time they are out of step."""
    return CONFLICTS.get(banks, 1 / (2 * banks + 1))


class Machine:
    """One run of a program. Times are cycles since the first fetch; instructions start in the order of time.

    An engine takes its instructions in order; each starts when it has been dispatched, its semaphores have been raised and the
    engine is free. ``log`` has (index, start, end) of every instruction.
    """

    def __init__(self, timing: Timing, program: Iterable[Instruction] | bytes, address: int = 0):
        config = self.config = timing.config
        self.timing, self.program = timing, list(columns(config, program))
        self.latency, self.beat = timing.latency, timing.beat_cycles
        self.array = config.array_depth + VISIBLE
        self.conflict = conflicts(config.activation_banks)
        self.collision = self.conflict / config.lane_groups  # a row of results is written once, or twice, in that time
        self.bus = ReadBus(timing, len(self.program), address)
        self.taken: list[list[float]] = [[] for _ in Engine]  # when each instruction was taken
        self.queued: list[list[tuple]] = [[] for _ in Engine]  # (when dispatched, index)
        self.free = [0.0] * len(Engine)
        self.known = True  # whether free[LOAD] is
        self.signals: list[list[list]] = [[] for _ in range(SEMAPHORES)]  # (time, what a tensor engine then waited for)
        self.used = [0] * SEMAPHORES
        self.busy = [0.0] * len(Engine)
        self.idle = dict.fromkeys(CAUSES, 0.0)
        self.rows = 0
        self.rested = self.swapped = 0.0  # when the array took its last row, and began its last tile
        self.drained = [0.0, 0.0]  # ends of the last two vector instructions
        self.writing = 0.0  # until when the vector engine writes activations
        self.arriving: list[list] = []  # loads whose data are to come: begin, end, signals
        self.write_free = 0.0
        self.end = 0.0
        self.log: list[tuple] = []
        self.starts: list[tuple | None] = [None] * len(Engine)  # of the next instruction of each engine

    def run(self) -> Estimate:
        """RuntimeError where the program would hang."""
        dispatch, sent, total = 0.0, 0, len(self.program)
        while len(self.log) < total or self.bus.loads:
            while sent < total and (time := self._dispatch(sent, dispatch)) is not None:
                dispatch, sent = time, sent + 1
            best, chosen = inf, -1
            for engine in ENGINES:
                start = self.starts[engine]
                if start is None:
                    start = self.starts[engine] = self._start(engine)
                if start is not None and start[0] < best:
                    best, chosen = start[0], engine
            request = self.bus.next
            if request <= best:
                if request == inf:
                    raise RuntimeError(f"the program hangs: {len(self.log)} of {total} instructions have started")
                self._step(best)
            else:
                start, self.starts[chosen] = self.starts[chosen], None
                self._execute(chosen, *start)
        cycles = ceil(self.end) + 1
        self.idle["fill_drain"] += cycles - self.rested
        idle = {cause: round(value) for cause, value in self.idle.items()}
        rest = cycles - self.rows - sum(idle.values())
        assert abs(rest) <= len(CAUSES), "a cycle has no cause, or two"
        idle["fill_drain"] += rest  # what rounding left
        return Estimate(cycles, dict(zip(Engine, map(round, self.busy))), self.rows, idle)

    def _dispatch(self, index: int, before: float) -> float | None:
        """Puts instruction ``index`` into its queue, and says when that was. None: not yet known."""
        engine = self.program[index][0]
        queue, taken, depth = self.queued[engine], self.taken[engine], self.config.queue_depth
        if len(queue) - len(taken) >= depth or (time := self.bus.fetched(before)) is None:
            return None
        if len(queue) >= depth:
            time = max(time, taken[len(queue) - depth] + 1)
        queue.append((time, index))
        self.bus.dispatched(time)
        return time

    def _start(self, engine: int) -> tuple | None:
        """(when the next instruction starts, its index, what it waited for last, the semaphores it takes). None: not yet known."""
        queue, head = self.queued[engine], len(self.taken[engine])
        if head == len(queue) or engine == LOAD and not self.known:
            return None
        ready, index = queue[head]
        why, waits = "issue", []
        mask = self.program[index][1]
        while mask:
            low = mask & -mask
            semaphore = low.bit_length() - 1
            mask ^= low
            if self.used[semaphore] == len(self.signals[semaphore]):
                return None
            time, cause = self.signals[semaphore][self.used[semaphore]]
            waits.append(semaphore)
            if time > ready:
                ready, why = time, cause
        free = self.free[engine]
        return (ready + TAKE, index, why, waits) if ready + TAKE > free else (free, index, None, waits)

    def _execute(self, engine: int, start: float, index: int, why: str | None, waits: list[int]) -> None:
        instruction = self.program[index]
        self.taken[engine].append(start)
        for semaphore in waits:
            self.used[semaphore] += 1
        if engine == LOAD:
            self.log.append((index, start, 0.0))
            self._load(start, (len(self.log) - 1, *instruction), *instruction[3:])
            return
        if engine == TENSOR:
            end, cause = self._matmul(start, why, *instruction[3:]), "accumulator"
        elif engine == VECTOR:
            end, cause = (
                self._vector(start, *instruction[3:]),
                why if why in ("store", "load", "issue") else "accumulator",
            )
        else:
            end, cause = self._store(start, *instruction[3:]), "store"
        self.log.append((index, start, end))
        self._signal(instruction[2], end, cause)

    def _signal(self, mask: int, time: float, cause: str) -> list[list]:
        signals: list[list] = []
        self.end = max(self.end, time)
        while mask:
            low = mask & -mask
            signals.append([time, cause])
            self.signals[low.bit_length() - 1].append(signals[-1])
            mask ^= low
        return signals

    def _step(self, until: float) -> None:
        """Lets the read bus make requests. A load that is complete signals."""
        bus = self.bus
        bus.slow = 1.0 + self.collision if bus.free < self.writing else 1.0
        load = bus.step(until)
        if load:
            place, _, _, signal, _, _, _, space, *_ = load.instruction
            end = bus.free + LOADED
            self.log[place] = (*self.log[place][:2], end)
            signals = self._signal(signal, end, "weights" if space == WEIGHT else "load")
            self.arriving.append([load.begin, end, signals])
        if not self.known and len(bus.loads) < 2:
            self.known = True
            self.free[LOAD] = max(self.free[LOAD], (load or bus.loads[0]).freed)

    def _load(
        self, start: float, named: tuple, runs: int, bursts: int, beats: int, space: int, fills: int, blocks: int
    ):
        latency = 0.0 if fills else self.latency
        bursts, cycles = (fills, fills) if fills else (bursts, beats * self.beat + blocks)
        self.busy[LOAD] += cycles
        load = Load(named, start, runs, bursts, cycles / bursts, latency)
        self.bus.loads.append(load)
        self.free[LOAD] = load.freed
        self.known = runs <= 2 and len(self.bus.loads) < 2

    def _matmul(self, start: float, why: str | None, tiles: int, rows: int) -> float:
        depth = self.config.rows
        each = max(rows, depth)
        first = max(self.rested, start + depth, self.swapped + depth)
        gap = first - self.rested
        if self.rows:
            # A tile of few rows waits for the weights of the next one, also if that belongs to the next instruction.
            weights = min(gap, max(0.0, self.swapped + depth - self.rested))
            self.idle["weights"] += weights
            self.idle[why or "weights"] += gap - weights
        else:
            self.idle["fill_drain"] += gap
        self.idle["weights"] += (tiles - 1) * (each - rows)
        self.rows += tiles * rows
        self.busy[TENSOR] += tiles * rows
        # The feeder is free when it has read the last tile, which it begins behind the swap to the one before.
        self.free[TENSOR] = first if tiles == 1 else max(first, first + (tiles - 2) * each + depth)
        self.swapped = first + (tiles - 1) * each
        self.rested = self.swapped + rows
        return self.rested + self.array

    def _vector(self, start: float, rows: int, narrow: bool) -> float:
        work = rows * self.config.lane_groups
        self.busy[VECTOR] += work
        end = start + work + REQUANTIZED
        if narrow:
            self._collide(start + REQUANTIZED, end)
        # Two instructions are on their way at most.
        self.free[VECTOR] = max(start + work + 1, self.drained[1])
        self.drained = [self.drained[1], end]
        return end

    def _collide(self, begin: float, end: float) -> None:
        """The vector engine writes activations, so data that arrive meanwhile take longer, and later ones come later."""
        self.writing, delay = end, 0.0
        self.arriving = [load for load in self.arriving if load[1] > begin]
        for load in self.arriving:
            longer = self.collision * max(0.0, min(load[1], end) - max(load[0], begin)) / self.beat
            load[0] += delay
            delay += longer
            load[1] += delay
            for signal in load[2]:
                signal[0] += delay
        if delay:
            self.bus.delay(begin, delay)
            self.starts = [None] * len(Engine)  # they may have counted on these loads

    def _store(self, start: float, runs: int, bursts: int, beats: int) -> float:
        cycles = beats * self.beat
        begin = max(self.write_free, start + GATHERED)
        # Rows go into the array before granules go out.
        cycles += max(0.0, self.conflict * min(cycles, self.rested - begin) - (self.beat - 1) * beats)
        self.busy[STORE] += cycles
        self.write_free = begin + cycles
        self.free[STORE] = max(start + runs + 2, self.write_free - cycles / bursts - GATHERED)
        return self.write_free + self.latency + WRITTEN
