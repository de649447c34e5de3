"""Realigns the granules of a store to beats."""

from amaranth import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In

from gemmary.config import Config

from ..interfaces import BurstWriteSignature
from .rotate import below, byte_mask, choose_bytes, rotate_bytes


def burst_layout(config: Config, beats: range) -> data.StructLayout:
    """A burst whose request was accepted: ``length`` is its number of beats − 1. Its run begins at byte ``shift`` of its
    first beat and ends in front of byte ``tail`` + 1 of its last. ``extra``: the run has a beat more than granules.
    ``last``: the run's last burst."""
    size = config.bus_bytes
    return data.StructLayout({"length": beats, "shift": range(size), "tail": range(size), "extra": 1, "last": 1})


class Scatter(wiring.Component):
    """Granules in, the beats of bursts out, with strobes.

    A beat takes the end of one granule and the begin of the next; the last of a run needs no granule if ``extra``. One beat
    a cycle; a run of n beats takes n cycles for every alignment. Latency 2 cycles from a granule to its beat. With
    ``stop`` beats need no granules, and have no strobes.

        i ─► rotate ─► current ─┬──────► choose ─► o (register)
                                └► previous ─┘
    """

    def __init__(self, config: Config, beats: range):
        self.config, self.beats = config, beats
        super().__init__(
            {
                "burst": In(stream.Signature(burst_layout(config, beats))),
                "i": In(stream.Signature(unsigned(8 * config.bus_bytes))),
                "o": BurstWriteSignature(config).members["data"],
                "stop": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        burst = self.burst.payload
        position = Signal(self.beats)
        fresh = Signal(init=1)  # the next beat is the first of its run
        burst_last, run_last, consumes, fire = Signal(), Signal(), Signal(), Signal()
        valid, free = Signal(), Signal()  # of the first stage
        m.d.comb += [
            burst_last.eq(position == burst.length),
            run_last.eq(burst_last & burst.last),
            consumes.eq(~(run_last & burst.extra)),
            free.eq(~valid | ~self.o.valid | self.o.ready),
            fire.eq(self.burst.valid & free & (self.i.valid | ~consumes | self.stop)),
            self.i.ready.eq(self.burst.valid & free & consumes),
            self.burst.ready.eq(fire & burst_last),
        ]
        with m.If(fire):
            m.d.sync += [position.eq(Mux(burst_last, 0, position + 1)), fresh.eq(run_last)]
        with m.If(free):
            m.d.sync += valid.eq(fire)
        with m.If(valid & free):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        self._data(m, fire, valid & free, fresh, burst_last, run_last)
        return m

    def _data(self, m, rotate, merge, fresh, burst_last, run_last):
        """Registers of the two stages, which load on ``rotate`` and on ``merge``."""
        size, burst, o = self.config.bus_bytes, self.burst.payload, self.o.payload
        current, previous = (Signal(8 * size, name=name, reset_less=True) for name in ("current", "previous"))
        shift, strobe = Signal(range(size), reset_less=True), Signal(size, reset_less=True)
        last = Signal(reset_less=True)
        amount = Signal.like(burst.shift)
        m.d.comb += amount.eq(-burst.shift)
        rotated = rotate_bytes(m, self.i.payload, amount, "rotated")
        with m.If(rotate):
            m.d.sync += [
                current.eq(rotated),
                shift.eq(burst.shift),
                strobe.eq(
                    (below(burst.tail + 1, size) | ~run_last.replicate(size))
                    & ~(below(burst.shift, size) & fresh.replicate(size))
                    & ~self.stop.replicate(size)
                ),
                last.eq(burst_last),
            ]
        merged, strobes, ends = Signal(8 * size, reset_less=True), Signal.like(strobe), Signal.like(last)
        m.d.comb += [o.data.eq(merged), o.strobe.eq(strobes), o.last.eq(ends)]
        with m.If(merge):
            m.d.sync += [
                previous.eq(current),
                *choose_bytes(merged, byte_mask(m, shift, size, "seam"), previous, current),
                strobes.eq(strobe),
                ends.eq(last),
            ]
