"""Streams weight tiles from the weight scratchpad into the array, for a fast clock."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring

from gemmary.config import Config

from ..memory.address import LoopNest, Walk, step_fields
from .delay import Delay
from .feeder import LOOPS, feeder_members

KNOWN = 1
"""The word of a tile with which its loops advance: late enough for what the last step has done to be in registers, and soon enough for
the address of the next tile to be there when this one ends, though tiles may have 4 words only."""


class PacedFeeder(wiring.Component):
    """`WeightFeeder` for a port that is always ready, with registers between all its steps.

    A tile is read in ``rows`` cycles, and is ``loaded`` in the one after them; the next one begins 2 cycles after the ``swap`` to it at the soonest. So
    tiles of ``rows`` + 4 activation words follow each other without a gap. ``instruction`` stays for a cycle after ``load``, which
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
        load, settling, reading, at_last, begins, step = (Signal() for _ in range(6))
        row, address = Signal(range(rows)), Signal(16, reset_less=True)
        following, last = self._tiles(m, load, step)
        m.d.comb += [
            self.ready.eq(~active & ~settling & ~load),
            self.loaded.eq(full),
            self.beyond.eq(active & ~full & ~reading & beyond),
            begins.eq(active & ~full & ~reading & ~beyond & self.enable),
            self.port.valid.eq(reading),
            self.port.address.eq(address),
        ]
        m.d.sync += [
            load.eq(self.load),
            settling.eq(load),
            # Addresses wrap around in a memory of 2**16 words.
            beyond.eq(following > words - rows if words < 1 << 16 else 0),
            reading.eq(begins | (reading & ~at_last)),
            at_last.eq(reading & (row == rows - 2)),
            step.eq(reading & (row == KNOWN)),
            full.eq((reading & at_last) | (full & ~self.swap)),
        ]
        with m.If(begins):
            m.d.sync += [row.eq(0), address.eq(following)]
        with m.Elif(reading):
            m.d.sync += [row.eq(row + 1), address.eq(address + 1)]
        with m.If(reading & (row == KNOWN)):
            m.d.sync += final.eq(last)
        with m.If(settling):
            m.d.sync += active.eq(1)
        with m.Elif(reading & at_last & final):
            m.d.sync += active.eq(0)
        m.submodules.valid = valid = Delay(1, self.read_latency, reset=True)
        m.d.comb += [valid.i.eq(reading), self.w.valid.eq(valid.o), self.w.data.eq(self.port.data)]
        return m

    def _tiles(self, m, load, step):
        """The address of the tile that is to be read next, and whether the one at hand is the last one."""
        counts, steps = (Signal(data.StructLayout(dict.fromkeys(LOOPS, 16)), reset_less=True) for _ in range(2))
        m.submodules.nest = nest = LoopNest(LOOPS, apart=True, paced=True)
        m.submodules.walk = walk = Walk(LOOPS, LOOPS, paced=True)
        m.d.comb += [
            [nest.new_counts[loop].eq(self.instruction[f"count_{loop}"]) for loop in LOOPS],
            nest.load.eq(load),
            nest.counts.eq(counts),
            nest.step.eq(step),
            walk.load.eq(load),
            walk.start.eq(self.instruction.weight_address),
            walk.steps.eq(steps),
            walk.step.eq(step),
            walk.advance.eq(nest.advance),
        ]
        with m.If(load):
            m.d.sync += [counts.eq(nest.new_counts), steps.eq(step_fields(self.instruction, "weight", LOOPS))]
        return walk.address, nest.last
