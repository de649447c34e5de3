"""Writes and reads of on-chip memories in the fast domain, from ``sync``."""

from amaranth import DomainRenamer, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect

from gemmary.config import Config
from gemmary.isa import Space

from ..interfaces import CROSSED_READS, CROSSED_WRITES, READ_LATENCY, OnchipReadPort, OnchipWritePort
from ..stream.queue import Queue
from .queue import FAST, AsyncQueue


def _sides(port: type[wiring.Signature], config: Config) -> dict:
    """Members of a crossing of ``port``, by name."""
    sides = {"outer": In(port(config, crossed=True)), "inner": Out(port(config))}
    return sides | {"closed": In(1), "flush": In(1), "empty": Out(1)}


class WriteCrossing(wiring.Component):
    """``outer`` in ``sync`` to ``inner`` in ``fast``, in order. A write that ``outer`` accepts is on its way; ``outer.written`` says, for
    one after the other, that a memory has taken it. While ``flush`` is high they are dropped instead. ``empty``: none is on its way.

        outer ──► queue ──► register slice ──► inner
        written ◄── queue of acknowledgements ◄──┘
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(_sides(OnchipWritePort, config))

    def elaborate(self, platform):
        m = Module()
        outer, inner = self.outer, self.inner
        names = {"space": Space, "address": unsigned(len(outer.address)), "data": unsigned(8 * self.config.bus_bytes)}
        write = data.StructLayout(names)
        m.submodules.writes = writes = AsyncQueue(write, CROSSED_WRITES, "sync", FAST)
        m.submodules.acknowledged = acknowledged = AsyncQueue(unsigned(1), CROSSED_WRITES, FAST, "sync")
        m.submodules.slice = register_slice = DomainRenamer(FAST)(Queue(write, 2))
        connect(m, writes.o, register_slice.i)

        on_the_way, allowed = Signal(range(CROSSED_WRITES + 1)), Signal()
        accepted = outer.valid & outer.ready
        m.d.comb += [
            allowed.eq((on_the_way != CROSSED_WRITES) & ~self.closed),
            writes.i.valid.eq(outer.valid & allowed),
            outer.ready.eq(writes.i.ready & allowed),
            acknowledged.o.ready.eq(1),
            outer.written.eq(acknowledged.o.valid),
            self.empty.eq(on_the_way == 0),
        ]
        m.d.comb += [writes.i.payload[name].eq(getattr(outer, name)) for name in names]
        m.d.sync += on_the_way.eq(on_the_way + accepted - outer.written)

        head = register_slice.o
        m.d.comb += [
            inner.valid.eq(head.valid & ~self.flush),
            head.ready.eq(inner.ready | self.flush),
            acknowledged.i.valid.eq(head.valid & head.ready),
        ]
        m.d.comb += [getattr(inner, name).eq(head.payload[name]) for name in names]
        return m


class ReadCrossing(wiring.Component):
    """``outer`` in ``sync`` to ``inner`` in ``fast``. The data of accepted requests come in order, each in a cycle of ``outer.arrived``; they
    must be taken, and the client has at most CROSSED_READS of them on their way. While ``flush`` is high requests are dropped.
    ``empty``: no request is on its way (its data may be).

        outer ──► queue ──► register slice ──► inner ┄ READ_LATENCY ┄► queue ──► outer.data
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(_sides(OnchipReadPort, config))

    def elaborate(self, platform):
        m = Module()
        outer, inner = self.outer, self.inner
        request = data.StructLayout({"space": Space, "address": unsigned(len(outer.address))})
        word = unsigned(8 * self.config.bus_bytes)
        m.submodules.requests = requests = AsyncQueue(request, CROSSED_READS, "sync", FAST)
        m.submodules.slice = register_slice = DomainRenamer(FAST)(Queue(request, 2))
        m.submodules.replies = replies = AsyncQueue(word, CROSSED_READS, FAST, "sync")
        connect(m, requests.o, register_slice.i)
        head, arriving = register_slice.o, Signal(READ_LATENCY)
        m.d.comb += [
            requests.i.valid.eq(outer.valid & ~self.closed),
            requests.i.payload.space.eq(outer.space),
            requests.i.payload.address.eq(outer.address),
            outer.ready.eq(requests.i.ready & ~self.closed),
            self.empty.eq(requests.level == 0),
            inner.valid.eq(head.valid & ~self.flush),
            inner.space.eq(head.payload.space),
            inner.address.eq(head.payload.address),
            head.ready.eq(inner.ready | self.flush),
            replies.i.valid.eq(arriving[-1]),
            replies.i.payload.eq(inner.data),
            replies.o.ready.eq(1),
            outer.arrived.eq(replies.o.valid),
            outer.data.eq(replies.o.payload),
        ]
        m.d[FAST] += arriving.eq(arriving << 1 | (inner.valid & inner.ready))
        return m
