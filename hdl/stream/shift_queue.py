"""A first-in first-out queue without multiplexers or RAM."""

from amaranth import Module, Signal
from amaranth.lib import wiring

from .queue import queue_members


class ShiftQueue(wiring.Component):
    """`Queue` for few and wide items: registers that each item falls through, which cost flip-flops but no LUT.

        i ──► place[depth − 1] ──► … ──► place[0] ──► o        each moves on as soon as there is room anywhere before it

    Latency from ``i`` to ``o``: ``depth`` cycles; ``depth`` items in ``depth`` + 1 cycles. Nothing is combinational between the two ends. Reset empties it.
    """

    def __init__(self, shape, depth: int):
        assert depth >= 2, depth
        self.shape, self.depth = shape, depth
        super().__init__(queue_members(shape, depth))

    def elaborate(self, platform):
        m = Module()
        places = [Signal(self.shape, name=f"place_{k}", reset_less=True) for k in range(self.depth)]
        valid = Signal(self.depth)
        put, take = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~valid.all()),
            put.eq(self.i.valid & self.i.ready),
            self.o.valid.eq(valid[0]),
            self.o.payload.eq(places[0]),
            take.eq(self.o.valid & self.o.ready),
        ]
        behind = [*zip(valid[1:], places[1:]), (put, self.i.payload)]
        for k, (is_behind, item) in enumerate(behind):
            with m.If(take | ~valid[: k + 1].all()):
                m.d.sync += [valid[k].eq(is_behind), places[k].eq(item)]
        with m.If(put & ~take):
            m.d.sync += self.level.eq(self.level + 1)
        with m.Elif(take & ~put):
            m.d.sync += self.level.eq(self.level - 1)
        return m
