"""A queue whose items go by, and come again when they are refused."""

from amaranth import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class ReplaySignature(wiring.Signature):
    """Like a stream, but an item that is not taken in its cycle goes away, and comes again 2 cycles later."""

    def __init__(self, shape):
        super().__init__({"valid": Out(1), "payload": Out(shape), "ready": In(1)})


class ReplayQueue(wiring.Component):
    """`Queue` of ``depth`` items (a power of two) in LUT RAM for a fast clock: ``o.ready`` turns back a pointer, and holds up no payload.

    ``i.valid`` puts an item in, for which there must be room: ``level`` is what was held 2 cycles ago, within 2. Latency 2 cycles; one item a cycle as
    long as none is refused. Reset empties the queue.
    """

    def __init__(self, shape, depth: int):
        assert depth & (depth - 1) == 0, depth
        self.shape, self.depth = shape, depth
        super().__init__(
            {
                "i": In(wiring.Signature({"valid": Out(1), "payload": Out(shape)})),
                "o": Out(ReplaySignature(shape)),
                "level": Out(range(2 * depth)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=self.shape, depth=self.depth, init=[])
        read, write = storage.read_port(domain="comb"), storage.write_port()
        produced, pointer, shown = (Signal(range(2 * self.depth), name=n) for n in ("produced", "pointer", "shown"))
        payload = Signal.like(self.o.payload, reset_less=True)
        there, refused = Signal(), Signal()
        m.d.comb += [
            write.en.eq(self.i.valid),
            write.addr.eq(produced),
            write.data.eq(self.i.payload),
            read.addr.eq(pointer),
            there.eq(pointer != produced),
            refused.eq(self.o.valid & ~self.o.ready),
            self.o.payload.eq(payload),
        ]
        m.d.sync += [
            produced.eq(produced + self.i.valid),
            payload.eq(read.data),
            shown.eq(pointer),
            self.o.valid.eq(there & ~refused),
            self.level.eq(produced - shown),
        ]
        with m.If(refused):
            m.d.sync += pointer.eq(shown)
        with m.Elif(there):
            m.d.sync += pointer.eq(pointer + 1)
        return m
