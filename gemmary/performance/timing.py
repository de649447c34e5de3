"""What the cycle model is asked about, and what it answers: an accelerator with its memory, and cycles with their causes."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

from ..config import BURST_BEATS, Config
from ..isa import Engine, Instruction, Opcode

PIPELINE = {Engine.LOAD: 8, Engine.TENSOR: 12, Engine.VECTOR: 14, Engine.STORE: 10}
"""Cycles from an engine's last issue to its result, the depth of the array and the latency of memory not among them."""

START = {Engine.LOAD: 3, Engine.TENSOR: 0, Engine.VECTOR: 1, Engine.STORE: 3}
"""Cycles that an engine loses between two instructions."""


CAUSES = ("fill_drain", "load", "weights", "accumulator", "store", "issue")
"""Why the array is idle."""


@dataclass(frozen=True)
class Timing:
    """Cycles of an instruction on the accelerator of ``config``, with memory that answers after ``latency`` cycles and
    moves ``bytes_per_cycle`` (at most the width of the bus) each way."""

    config: Config
    latency: int = 100
    bytes_per_cycle: float | None = None

    @cached_property
    def beat_cycles(self) -> float:
        """Cycles between two beats of the bus."""
        size = self.config.bus_bytes
        return size / min(self.bytes_per_cycle or size, size)

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
        bursts = runs * -(-length // (size * BURST_BEATS))
        return max(round(beats * self.beat_cycles), bursts * self.latency // self.config.outstanding)


@dataclass(frozen=True)
class Estimate:
    """Cycles of a program from the first fetch to the last write response; for each engine those in which it works.

    ``rows``: cycles in which the array takes a row. ``idle``: all other cycles by what the tensor engine waits for, so that
    ``rows`` and ``idle`` add up to ``cycles``. docs/bench.md defines the causes.
    """

    cycles: int
    busy: dict[Engine, int]
    rows: int
    idle: dict[str, int]
