"""A cycle model of the four engines: how long an instruction takes, and how long a program does.

An estimate: it knows the semaphores, the queues, the rates of the engines and the latency of memory, and nothing of
conflicts in the scratchpads or of contention on the bus.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from ..config import SEMAPHORES, Config
from ..isa import INSTRUCTION_BYTES, Engine, Instruction, Opcode

PIPELINE = {Engine.LOAD: 8, Engine.TENSOR: 12, Engine.VECTOR: 14, Engine.STORE: 10}
"""Cycles from an engine's last issue to its result, the depth of the array and the latency of memory not among them."""

START = {Engine.LOAD: 3, Engine.TENSOR: 0, Engine.VECTOR: 1, Engine.STORE: 3}
"""Cycles that an engine loses between two instructions."""

BURST_BEATS = 32


@dataclass(frozen=True)
class Timing:
    """Cycles of an instruction on the accelerator of ``config``, with memory that answers after ``latency`` cycles and
    moves ``bytes_per_cycle`` (at most the width of the bus) each way."""

    config: Config
    latency: int = 100
    bytes_per_cycle: int | None = None

    def __call__(self, instruction: Instruction) -> tuple[int, int]:
        """(cycles until the engine takes its next instruction, cycles from then until every result is in memory)."""
        engine, counts = instruction.engine, instruction.counts
        if engine in (Engine.LOAD, Engine.STORE):
            fills = instruction.opcode == Opcode.LOAD and instruction.fill_only
            busy = self._transfer(prod(counts.values()), instruction.length, not fills)
            rest = self.latency
        elif engine == Engine.TENSOR:
            tiles = prod(counts[loop] for loop in ("n", "k", "ky", "kx"))
            # The next tile is loaded, a row a cycle, while this one computes: also across instructions.
            busy = max(counts["y"] * counts["x"], self.config.rows) * tiles
            rest = self.config.rows + self.config.columns
        else:
            busy, rest = prod(counts.values()) * self.config.lane_groups, 0
        return busy + START[engine], rest + PIPELINE[engine]

    def _transfer(self, runs: int, length: int, bus: bool) -> int:
        """Cycles of ``runs`` runs: one beat each cycle, as long as the outstanding bursts cover the latency."""
        size = self.config.bus_bytes
        beats = runs * -(-length // size)
        if not bus:
            return beats
        slow = -(-size // min(self.bytes_per_cycle or size, size))
        bursts = runs * -(-length // (size * BURST_BEATS))
        return max(beats * slow, bursts * self.latency // self.config.outstanding)


@dataclass(frozen=True)
class Estimate:
    """Cycles of a program, and for each engine those in which it issued."""

    cycles: int
    busy: dict[Engine, int]


def estimate(timing: Timing, program: Iterable[Instruction]) -> Estimate:
    """Runs the program through queues, semaphores and engines. Raises RuntimeError where it would hang.

    An instruction is dispatched when its engine's queue has room, in the order of the stream; the queue holds the
    instruction at work too.
    """
    fetch = -(-INSTRUCTION_BYTES // timing.config.bus_bytes)
    signalled: list[list[int]] = [[] for _ in range(SEMAPHORES)]  # when each signal comes
    taken = [0] * SEMAPHORES
    free, busy, last = [0] * len(Engine), [0] * len(Engine), 0
    started: list[list[int]] = [[] for _ in Engine]
    dispatch = timing.latency
    for instruction in program:
        engine = instruction.engine
        queue = started[engine]
        depth = timing.config.queue_depth
        free[Engine.LOAD] += fetch  # both read over one bus
        dispatch = max(dispatch + fetch, queue[-depth] if len(queue) >= depth else 0)
        start = max(dispatch, free[engine])
        for s in _bits(instruction.wait):
            if taken[s] == len(signalled[s]):
                raise RuntimeError(f"semaphore {s} is never signalled for {instruction}")
            start = max(start, signalled[s][taken[s]])
            taken[s] += 1
        occupancy, latency = timing(instruction)
        if engine == Engine.TENSOR and start > free[engine]:
            occupancy += timing.config.rows  # the first tile has to be awaited
        end = start + occupancy + latency
        queue.append(start)
        busy[engine] += occupancy
        free[engine] = start + occupancy
        for s in _bits(instruction.signal):
            signalled[s].append(end)
        last = max(last, end)
    return Estimate(last, dict(zip(Engine, busy)))


def _bits(mask: int) -> list[int]:
    return [s for s in range(SEMAPHORES) if mask >> s & 1]
