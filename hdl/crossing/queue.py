"""A queue between two clocks that keeps the layout of its items."""

from amaranth import Module, Shape, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import AsyncFIFO
from amaranth.lib.wiring import In, Out

FAST = "fast"
"""The domain of the compute part; everything else is in ``sync``."""

LUT_RAM_WORDS = 16
"""Depth that costs no more than a smaller one where queues lie in LUT RAM."""


class AsyncQueue(wiring.Component):
    """``depth`` items (a power of two, at least 2) of ``shape`` from stream ``i`` in ``i_domain`` to stream ``o`` in ``o_domain``,
    whatever their clocks are to each other.

    Latency: 2 to 3 cycles of ``o_domain``. One item a cycle of the slower clock needs a depth of 8. ``level``, in ``i_domain``: at least as
    many items as are held, of those put in two cycles ago or before. Only a reset of ``i_domain`` as a whole empties it.
    """

    def __init__(self, shape, depth: int, i_domain: str, o_domain: str):
        assert depth >= 2 and depth & (depth - 1) == 0, depth
        self.shape, self.depth, self.i_domain, self.o_domain = shape, depth, i_domain, o_domain
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = Shape.cast(self.shape).width
        m.submodules.fifo = fifo = AsyncFIFO(
            width=width, depth=self.depth, w_domain=self.i_domain, r_domain=self.o_domain
        )
        m.d.comb += [
            fifo.w_en.eq(self.i.valid),
            fifo.w_data.eq(Value.cast(self.i.payload)),
            self.i.ready.eq(fifo.w_rdy),
            fifo.r_en.eq(self.o.ready),
            Value.cast(self.o.payload).eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            self.level.eq(fifo.w_level),
        ]
        return m
