"""A queue between two clocks that keeps the layout of its items."""

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.memory import Memory

from ..stream.queue import queue_members

FAST = "fast"
"""The domain of the tensor engine; everything else is in ``sync``."""

LUT_RAM_WORDS = 16
"""Depth that costs no more than a smaller one where queues lie in LUT RAM."""


def gray(counter: Value) -> Value:
    return counter ^ (counter >> 1)


class AsyncQueue(wiring.Component):
    """``depth`` items (a power of two, at least 2) of ``shape`` from stream ``i`` in ``i_domain`` to stream ``o`` in ``o_domain``,
    whatever their clocks are to each other. Gray counters through synchronisers, as in `amaranth.lib.fifo.AsyncFIFO`; other than there the
    address that is read and what comes out are registers, since what stands before them would be the longest path of a fast domain.

    Latency: a cycle of ``i_domain`` and 3 to 4 of ``o_domain``. One item a cycle of the slower clock needs a depth of 16. ``level``, in ``i_domain``: at least as
    many items as are held but for the one at ``o``, of those put in two cycles ago or before. Both domains are reset together.
    """

    def __init__(self, shape, depth: int, i_domain: str, o_domain: str):
        assert depth >= 2 and depth & (depth - 1) == 0, depth
        self.shape, self.depth, self.i_domain, self.o_domain = shape, depth, i_domain, o_domain
        super().__init__(queue_members(shape, depth))

    def elaborate(self, platform):
        m = Module()
        bits = self.depth.bit_length()
        produced, consumed, seen_consumed = (
            Signal(bits, name=name) for name in ("produced", "consumed", "seen_consumed")
        )
        produce_gray, consume_gray = Signal(bits), Signal(bits)
        produce_seen, consume_seen = Signal(bits), Signal(bits)
        m.submodules.produce_cdc = FFSynchronizer(produce_gray, produce_seen, o_domain=self.o_domain)
        m.submodules.consume_cdc = FFSynchronizer(consume_gray, consume_seen, o_domain=self.i_domain)
        m.submodules.storage = storage = Memory(shape=self.shape, depth=self.depth, init=[])
        write, read = storage.write_port(domain=self.i_domain), storage.read_port(domain="comb")

        m.d.comb += [
            write.en.eq(self.i.valid & self.i.ready),
            write.addr.eq(produced),
            write.data.eq(self.i.payload),
        ]
        held = Signal(bits)
        m.d.comb += held.eq(produced - seen_consumed)
        binary = Cat((consume_seen >> bit).xor() for bit in range(bits))
        m.d[self.i_domain] += [
            produced.eq(produced + write.en),
            produce_gray.eq(gray(produced)),
            seen_consumed.eq(binary),
            self.level.eq(held),
            self.i.ready.eq(held <= self.depth - 2),  # a cycle late, in which one more may have come
        ]

        free, there, payload = Signal(), Signal(), Signal.like(self.o.payload, reset_less=True)
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            there.eq(gray(consumed) != produce_seen),
            read.addr.eq(consumed),
            self.o.payload.eq(payload),
        ]
        with m.If(free):
            m.d[self.o_domain] += [self.o.valid.eq(there), payload.eq(read.data)]
        with m.If(free & there):
            m.d[self.o_domain] += consumed.eq(consumed + 1)
        m.d[self.o_domain] += consume_gray.eq(gray(consumed))
        return m
