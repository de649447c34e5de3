"""Streams weight tiles from the weight scratchpad into the array, for a fast clock."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring

from gemmary.config import Config

from ..memory.address import step_fields
from .delay import Delay
from .feeder import LOOPS, feeder_members
from .paced import PacedNest, PacedWalk

COUNTED, SETTLED = 2, 4
"""Cycles after what a new instruction brings is in registers: the loops can begin, the address of its first tile has been compared."""

KNOWN = 1
"""The word of a tile with which its loops advance: late enough for what the last step has done to be in registers, and soon enough for
the address of the next tile to be there when this one ends, though tiles may have 4 words only."""


class PacedFeeder(wiring.Component):
    """`WeightFeeder` for a port that is always ready, with registers between all its steps.

    A tile is read in ``rows`` cycles, and is ``loaded`` in the one after them; the next one begins 3 cycles after the ``swap`` to it at the soonest. So
    tiles of ``rows`` + 5 activation words follow each other without a gap. ``instruction`` stays for a cycle after ``load``, which
    is taken only when nothing is left of the one before. A tile that has begun is read to its end, ``enable`` or not.
    """

    def __init__(self, config: Config, read_latency: int):
        assert config.rows >= 4
        self.config, self.read_latency = config, read_latency
        super().__init__(feeder_members(config))

    def elaborate(self, platform):
        m = Module()
        rows, words = self.config.rows, self.config.weight_words
        active, full, final, beyond = Signal(), Signal(), Signal(), Signal()
        idle, taken, settling = Signal(init=1), Signal(), Signal(SETTLED)
        begins, reading, at_known, at_last, step = (Signal() for _ in range(5))
        row, address = Signal(range(rows)), Signal(16, reset_less=True)
        following, last = self._tiles(m, taken, step)
        m.d.comb += [
            self.ready.eq(idle),
            self.loaded.eq(full),
            self.beyond.eq(active & ~full & ~reading & beyond),
            self.port.valid.eq(reading),
            self.port.address.eq(address),
        ]
        m.d.sync += [
            idle.eq((idle & ~self.load) | (reading & at_last & final)),
            taken.eq(self.load),
            settling.eq(Cat(taken, settling)),
            # Addresses wrap around in a memory of 2**16 words.
            beyond.eq(following > words - rows if words < 1 << 16 else 0),
            begins.eq(active & ~full & ~reading & ~begins & ~beyond & self.enable),
            reading.eq(begins | (reading & ~at_last)),
            at_known.eq(reading & (row == KNOWN - 1)),
            at_last.eq(reading & (row == rows - 2)),
            step.eq(settling[COUNTED - 1] | (at_known & ~last)),
            full.eq((reading & at_last) | (full & ~self.swap)),
        ]
        with m.If(begins):
            m.d.sync += [row.eq(0), address.eq(following)]
        with m.Elif(reading):
            m.d.sync += [row.eq(row + 1), address.eq(address + 1)]
        with m.If(at_known):
            m.d.sync += final.eq(last)
        with m.If(settling[-1]):
            m.d.sync += active.eq(1)
        with m.Elif(reading & at_last & final):
            m.d.sync += active.eq(0)
        m.submodules.valid = valid = Delay(1, self.read_latency, reset=True)
        m.d.comb += [valid.i.eq(reading), self.w.valid.eq(valid.o), self.w.data.eq(self.port.data)]
        return m

    def _tiles(self, m, taken, step):
        """The address of the tile that is to be read next, and whether the one at hand is the last one."""
        counts, steps = (Signal(data.StructLayout(dict.fromkeys(LOOPS, 16)), reset_less=True) for _ in range(2))
        start = Signal(16, reset_less=True)
        m.submodules.nest = nest = PacedNest(LOOPS)
        m.submodules.walk = walk = PacedWalk(LOOPS)
        m.d.comb += [
            nest.counts.eq(counts),
            nest.step.eq(step),
            walk.start.eq(start),
            walk.steps.eq(steps),
            walk.step.eq(step),
            walk.advance.eq(nest.advance),
            walk.last.eq(nest.last),
        ]
        instruction = self.instruction
        with m.If(taken):
            m.d.sync += [counts[loop].eq(instruction[f"count_{loop}"]) for loop in LOOPS]
            m.d.sync += [steps.eq(step_fields(instruction, "weight", LOOPS)), start.eq(instruction.weight_address)]
        return walk.address, nest.last
