"""How the DMA engines end: instructions done, errors, halt."""

from amaranth import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import SEMAPHORES

from ..interfaces import OFFSET_BITS, Done, Error
from ..stream.queue import Queue

INSTRUCTIONS = 16
"""Instructions in flight: the depth of one LUT RAM."""


class Retirement(wiring.Component):
    """Holds the instructions in flight and reports their end, in order, one cycle after ``finished`` or ``failed``.

    ``i``: an instruction is taken. ``finished``: the oldest one is complete; ``failed``: it fails for ``cause``, and nothing
    is reported after that. ``stop``: nothing new may begin, from ``halt`` or the cycle after ``failed`` on until reset.
    ``held``: an instruction is in flight, or was reported in this cycle. ``offset``: of the oldest one.
    """

    i: In(stream.Signature(data.StructLayout({"signal": SEMAPHORES, "offset": OFFSET_BITS})))
    halt: In(1)
    finished: In(1)
    failed: In(1)
    cause: In(8)
    done: Out(Done)
    error: Out(Error)
    stop: Out(1)
    held: Out(1)
    offset: Out(unsigned(OFFSET_BITS))

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(self.i.payload.shape(), INSTRUCTIONS)
        wiring.connect(m, wiring.flipped(self.i), queue.i)
        stopped = Signal()
        oldest = queue.o.payload
        m.d.comb += [
            self.stop.eq(stopped | self.halt),
            self.held.eq(queue.o.valid | self.done.valid),
            queue.o.ready.eq(self.finished & ~self.stop),
        ]
        m.d.sync += [
            self.done.valid.eq(self.finished & ~self.stop),
            self.error.valid.eq(self.failed & ~self.stop),
            stopped.eq(self.stop | self.failed),
        ]
        with m.If(self.finished | self.failed):
            m.d.sync += [
                self.done.signal.eq(oldest.signal),
                self.done.offset.eq(oldest.offset),
                self.error.cause.eq(self.cause),
                self.error.offset.eq(oldest.offset),
            ]
        with m.If(queue.o.valid):
            m.d.sync += self.offset.eq(oldest.offset)
        return m
