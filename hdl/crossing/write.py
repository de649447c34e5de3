"""Writes of a memory in the fast domain, one at a time."""

from amaranth import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .queue import FAST, AsyncQueue

DEPTH = 2
"""Of queues that hold one."""


class SingleWrite(wiring.Component):
    """One write of ``shape`` at a time from ``sync`` to ``fast``.

    In ``sync``: ``i`` is taken over in the cycle of ``begun``, and done in that of ``written``, which is when whoever offers it is to take it away. In
    ``fast``: ``o`` offers it until ``take``; its payload stays until ``taken``, which says that it is in its memory. While ``crossing.flush`` is high
    it is dropped. ``crossing.closed``: none is begun; ``crossing.empty``: none is on its way.
    """

    @staticmethod
    def control() -> wiring.Signature:
        """What a soft reset needs: ``closed`` and ``empty`` in ``sync``, ``flush`` in ``fast``."""
        return wiring.Signature({"closed": Out(1), "flush": Out(1), "empty": In(1)})

    def __init__(self, shape):
        self.shape = shape
        super().__init__(
            {
                "i": In(wiring.Signature({"valid": Out(1), "payload": Out(shape)})),
                "begun": Out(1),
                "written": Out(1),
                "o": Out(wiring.Signature({"valid": Out(1), "payload": Out(shape)})),
                "take": In(1),
                "taken": In(1),
                "crossing": In(self.control()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.writes = writes = AsyncQueue(self.shape, DEPTH, "sync", FAST)
        m.submodules.acknowledged = acknowledged = AsyncQueue(unsigned(1), DEPTH, FAST, "sync")
        on_the_way = Signal()
        m.d.comb += [
            self.begun.eq(self.i.valid & ~on_the_way & ~self.crossing.closed & writes.i.ready),
            writes.i.valid.eq(self.begun),
            writes.i.payload.eq(self.i.payload),
            acknowledged.o.ready.eq(1),
            self.written.eq(acknowledged.o.valid),
            self.crossing.empty.eq(~on_the_way),
        ]
        with m.If(self.begun):
            m.d.sync += on_the_way.eq(1)
        with m.Elif(self.written):
            m.d.sync += on_the_way.eq(0)

        passing, end, ended = Signal(), Signal(), Signal()
        m.d.comb += [
            self.o.valid.eq(writes.o.valid & ~passing & ~ended & ~self.crossing.flush),
            self.o.payload.eq(writes.o.payload),
            end.eq(writes.o.valid & ~ended & (self.taken | self.crossing.flush)),
            writes.o.ready.eq(ended),
            acknowledged.i.valid.eq(ended),
        ]
        m.d[FAST] += ended.eq(end)  # what it ends is wide
        with m.If(ended):
            m.d[FAST] += passing.eq(0)
        with m.Elif(self.o.valid & self.take):
            m.d[FAST] += passing.eq(1)
        return m
