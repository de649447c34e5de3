"""The engines, queues and semaphores of the cycle model: when each instruction starts and ends, and what held it up."""

from collections.abc import Iterable
from math import ceil, inf

from ..config import SEMAPHORES
from ..isa import INSTRUCTION_BYTES, Engine, Instruction, Space
from .columns import FILLED, columns
from .fetch import Fetch
from .model import BURST_BEATS, Estimate, Timing

LOAD, TENSOR, VECTOR, STORE = Engine
CAUSES = ("fill_drain", "load", "weights", "accumulator", "store", "issue")

TAKE = 1
"""Cycles from the queue, or from a semaphore, to the engine."""

REQUEST = 5
"""Cycles from a load that is taken to its first request on the bus."""

LOADED = 4
"""Cycles from the last beat of a load to its signal."""

VISIBLE = 9
"""Cycles from the last row into the array to its signal, blocks of cells and columns not among them."""

REQUANTIZED = 18
"""Cycles from the last row that the vector engine reads to its signal."""

GATHERED = 9
"""Cycles from a store that is taken to its first beat."""

WRITTEN = 2
"""Cycles from a write response to its signal."""


class Machine:
    """One run of a program. Times are cycles since the first fetch."""

    def __init__(self, timing: Timing):
        config = timing.config
        self.timing, self.config = timing, config
        self.latency, self.beat = timing.latency, timing.beat_cycles
        self.depth = config.queue_depth
        self.array = config.rows // config.dot + config.columns + VISIBLE
        self.idle = dict.fromkeys(CAUSES, 0)
        self.rows = 0
        self.busy = [0, 0, 0, 0]
        self.free = [0, 0, 0, 0]
        self.bus = 0.0  # when the last beat of read data has come
        self.swapped = 0  # when the tensor engine began its last tile
        self.bursts: list[float] = [-1e9] * config.outstanding  # when the data of the last bursts ended
        self.requests: list[tuple[float, float, float]] = []  # of loads: first request, start and end of data
        self.write_bus = 0.0

    def run(self, program: Iterable[Instruction] | bytes, address: int = 0) -> Estimate:
        depth, program = self.depth, columns(program)
        fetch = Fetch(self.timing, len(program), address, self.requests)
        bits = [[s for s in range(SEMAPHORES) if mask >> s & 1] for mask in range(1 << 12)]
        # What each semaphore has been given: (time, cause that a waiting tensor engine has).
        signalled: list[list[tuple]] = [[] for _ in range(SEMAPHORES)]
        taken = [0] * SEMAPHORES
        taken_at: list[list[float]] = [[] for _ in Engine]
        dispatch, end, self.bus = 0.0, 0.0, fetch.bus
        for engine, wait, signal, *rest in program:
            queue = taken_at[engine]
            room = queue[-depth] + 1 if len(queue) >= depth else 0.0
            dispatch = max(fetch.next(dispatch), room)
            if stolen := fetch.follow(dispatch, dispatch + TAKE + REQUEST if engine == LOAD else inf):
                self.bus = max(self.bus + stolen, fetch.bus)
            ready, why = dispatch, "issue"
            for s in bits[wait]:
                if taken[s] == len(signalled[s]):
                    raise RuntimeError(f"semaphore {s} is never signalled for an instruction of the {engine} engine")
                time, cause = signalled[s][taken[s]]
                taken[s] += 1
                if time > ready:
                    ready, why = time, cause
            start = max(ready + TAKE, self.free[engine])
            bound = why if start > self.free[engine] else None
            queue.append(start)
            if engine == LOAD:
                done, cause = self._load(start, *rest), "weights" if rest[3] & 7 == Space.WEIGHT else "load"
            elif engine == TENSOR:
                done, cause = self._matmul(start, why, *rest), "accumulator"
            elif engine == VECTOR:
                done, cause = (
                    self._vector(start, *rest),
                    bound if bound in ("store", "load", "issue") else "accumulator",
                )
            else:
                done, cause = self._store(start, *rest), "store"
            if engine == LOAD and (stolen := fetch.follow(dispatch)):
                self.bus = max(self.bus + stolen, fetch.bus)
            if hasattr(self, 'log'):
                self.log.append((start, done))
            for s in bits[signal]:
                signalled[s].append((done, cause))
            end = max(end, done)
        cycles = ceil(end) + 1
        self.idle["fill_drain"] += cycles - self.free_rows if self.rows else cycles
        idle = {cause: round(value) for cause, value in self.idle.items()}
        idle["fill_drain"] += cycles - self.rows - sum(idle.values())
        return Estimate(cycles, dict(zip(Engine, map(round, self.busy))), self.rows, idle)

    free_rows = 0.0
    """When the array has taken the last row so far."""

    def _matmul(self, start: float, why: str, tiles: int, rows: int, *_) -> float:
        depth = self.config.rows
        each = max(rows, depth)
        first = max(self.free_rows, start + depth, self.swapped + depth)
        gap = first - self.free_rows
        # A tile of few rows waits for the weights of the next one, also if that belongs to the next instruction.
        weights = min(gap, max(0, self.swapped + depth - self.free_rows)) if self.rows else 0
        self.idle["weights"] += weights + (tiles - 1) * (each - rows)
        self.idle[why if self.rows else "fill_drain"] += gap - weights
        self.rows += tiles * rows
        self.busy[TENSOR] += tiles * rows
        self.swapped = first + (tiles - 1) * each
        self.free_rows = self.swapped + rows
        # The feeder is free when it has read the last tile, which it begins behind the swap to the one before.
        self.free[TENSOR] = first if tiles == 1 else max(first, self.swapped - each + depth)
        return self.free_rows + self.array

    def _vector(self, start: float, iterations: int, results: int, *_) -> float:
        work = iterations * self.config.lane_groups
        self.busy[VECTOR] += work
        self.free[VECTOR] = start + work + 1
        return start + work + REQUANTIZED

    def _bursts(self, runs: int, length: int, address: int) -> tuple[int, int]:
        """(bursts, beats) of a transfer."""
        size = self.config.bus_bytes
        beats = (address % size + length + size - 1) // size
        block = min(BURST_BEATS, 4096 // size)
        return runs * -(-(address // size % block + beats) // block), runs * beats

    def _load(self, start: float, runs: int, length: int, address: int, space: int) -> float:
        if space & FILLED:
            granules = runs * -(-length // self.config.bus_bytes)
            self.busy[LOAD] += granules
            self.free[LOAD] = start + granules + 2
            return start + granules + REQUEST + LOADED
        bursts, beats = self._bursts(runs, length, address)
        window = self.bursts
        # Data come one burst behind the other; a burst is requested when there is room for it.
        each = beats / bursts * self.beat
        request = start + REQUEST
        period = max(each, 1.0)
        if bursts <= 64:
            data = self.bus
            for _ in range(bursts):
                request = max(request + 1, window.pop(0) + 2)
                data = max(data, request + self.latency) + each
                window.append(data)
        else:
            request = max(request, window[0])
            data = max(self.bus, request + self.latency)
            period = max(each, (self.latency + each + 4) / len(window))
            data += bursts * period
            window[:] = [data - (len(window) - 1 - i) * period for i in range(len(window))]
            request = max(request + bursts, window[0] - period)
        self.busy[LOAD] += data - max(self.bus, start)
        self.requests.append((start + REQUEST, data - beats * self.beat, data))
        self.bus = data
        self.free[LOAD] = max(start + runs + 2, request - 3)
        return data + LOADED

    def _store(self, start: float, runs: int, length: int, address: int, space: int) -> float:
        bursts, beats = self._bursts(runs, length, address)
        each = beats / bursts * self.beat
        data = max(self.write_bus, start + GATHERED) + beats * self.beat
        self.busy[STORE] += beats * self.beat
        self.write_bus = data
        self.free[STORE] = max(start + runs + 2, data - each - GATHERED)
        return data + self.latency + WRITTEN
