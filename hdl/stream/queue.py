"""A first-in first-out queue that keeps the layout of its items."""

from amaranth import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

LUT_RAM_DEPTH = 32
"""Deepest queue whose storage is read asynchronously (LUT RAM); a deeper one goes into block RAM."""


def queue_members(shape, depth: int) -> dict:
    """Of a queue of ``depth`` items of ``shape``."""
    return {
        "i": In(stream.Signature(shape)),
        "o": Out(stream.Signature(shape)),
        "level": Out(range(depth + 1)),
    }


class Queue(wiring.Component):
    """``depth`` items of ``shape``, from stream ``i`` to stream ``o``, one each a cycle; ``level`` items are held.

    Latency from ``i`` to ``o``: 1 cycle, or 2 with more than LUT_RAM_DEPTH items. Nothing is combinational between the two
    ends, except ``o.ready`` to ``i.ready`` at depth 1. Depth 2 is the register slice: payload, valid and ready come
    straight from registers. Reset empties the queue; the storage keeps what it held.

        i ──► storage[write] … storage[read] ──► o        (LUT RAM: read asynchronously)
        i ──► storage[write] … storage[read] ─► reg ──► o (block RAM: the register is the RAM's own)
    """

    def __init__(self, shape, depth: int):
        assert depth >= 1, depth
        self.shape, self.depth = shape, depth
        super().__init__(queue_members(shape, depth))

    def elaborate(self, platform):
        m = Module()
        put, take = Signal(), Signal()
        m.d.comb += [put.eq(self.i.valid & self.i.ready), take.eq(self.o.valid & self.o.ready)]
        with m.If(put & ~take):
            m.d.sync += self.level.eq(self.level + 1)
        with m.Elif(take & ~put):
            m.d.sync += self.level.eq(self.level - 1)
        if self.depth <= 2:
            self._registers(m, put, take)
        else:
            self._ram(m, put, take)
        return m

    def _registers(self, m, put, take):
        """The oldest item in ``head``; at depth 2 the other one in ``spare``."""
        head = Signal(self.shape, reset_less=True)
        m.d.comb += [self.o.payload.eq(head), self.o.valid.eq(self.level != 0)]
        if self.depth == 1:
            m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
            with m.If(put):
                m.d.sync += head.eq(self.i.payload)
            return
        spare = Signal(self.shape, reset_less=True)
        full = Signal()
        m.d.comb += [full.eq(self.level[1]), self.i.ready.eq(~full)]
        with m.If(put):
            m.d.sync += spare.eq(self.i.payload)
        with m.If(take & full):
            m.d.sync += head.eq(spare)
        with m.Elif(put & (take | ~self.o.valid)):
            m.d.sync += head.eq(self.i.payload)

    def _ram(self, m, put, take):
        m.submodules.storage = storage = memory.Memory(shape=self.shape, depth=self.depth, init=[])
        write = storage.write_port()
        read = storage.read_port(domain="comb" if self.depth <= LUT_RAM_DEPTH else "sync")
        m.d.comb += [
            self.i.ready.eq(self.level != self.depth),
            write.en.eq(put),
            write.data.eq(self.i.payload),
            self.o.payload.eq(read.data),
        ]
        advance = Signal()
        with m.If(put):
            m.d.sync += write.addr.eq(self._next(write.addr))
        with m.If(advance):
            m.d.sync += read.addr.eq(self._next(read.addr))
        if self.depth <= LUT_RAM_DEPTH:
            m.d.comb += [advance.eq(take), self.o.valid.eq(self.level != 0)]
            return
        # `valid` says that the RAM's output register holds an item; the RAM holds the rest of `level`.
        valid = Signal()
        m.d.comb += [
            self.o.valid.eq(valid),
            advance.eq((self.level != valid) & (~valid | take)),
            read.en.eq(advance),
        ]
        with m.If(advance | take):
            m.d.sync += valid.eq(advance)

    def _next(self, pointer):
        if self.depth & (self.depth - 1) == 0:
            return pointer + 1
        return Mux(pointer == self.depth - 1, 0, pointer + 1)
