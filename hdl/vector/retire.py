"""The instructions on their way: at most two."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import SEMAPHORES

from ..interfaces import OFFSET_BITS, Done


class Retire(wiring.Component):
    """Keeps what is to be told when an instruction is complete.

    ``start`` (only while ``ready``) begins the instruction with ``signal`` and ``offset``; ``finish`` completes the oldest one,
    and ``done`` says so in the next cycle. ``parity`` is that of the last instruction begun, ``oldest`` that of the oldest one not
    complete, ``offsets`` holds the offset of each parity.
    """

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "ready": Out(1),
                "signal": In(SEMAPHORES),
                "offset": In(OFFSET_BITS),
                "finish": In(1),
                "done": Out(Done),
                "parity": Out(1),
                "oldest": Out(1, init=1),
                "offsets": Out(data.ArrayLayout(OFFSET_BITS, 2)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        held = Signal(range(3))
        signals = Signal(data.ArrayLayout(SEMAPHORES, 2), reset_less=True)
        offsets = Signal(data.ArrayLayout(OFFSET_BITS, 2), reset_less=True)
        m.d.comb += [self.ready.eq(~held[1]), self.offsets.eq(offsets)]
        with m.If(self.start):
            m.d.sync += [
                self.parity.eq(~self.parity),
                signals[~self.parity].eq(self.signal),
                offsets[~self.parity].eq(self.offset),
            ]
        m.d.sync += self.done.valid.eq(self.finish)
        with m.If(self.finish):
            m.d.sync += [
                self.oldest.eq(~self.oldest),
                self.done.signal.eq(signals[self.oldest]),
                self.done.offset.eq(offsets[self.oldest]),
            ]
        m.d.sync += held.eq(held + self.start - self.finish)
        return m
