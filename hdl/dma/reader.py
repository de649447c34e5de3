"""Reads the granules of runs from on-chip memory into a queue."""

from amaranth import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary import isa
from gemmary.config import Config
from gemmary.isa import Space

from ..interfaces import READ_LATENCY, OnchipReadPort
from ..stream.queue import Queue
from .hold import offered
from .runs import ONCHIP_BITS

BUFFER = 8
"""Granules: at least the 5 cycles from a request to the return of its credit; and a cushion for the on-chip port."""


class GranuleReader(wiring.Component):
    """Runs in, their granules out.

    ``i``: ``granules`` (at least 1) consecutive ones from ``address`` in ``space``. One granule a cycle, also when each run
    is one granule. Requests only what ``o`` has room for, since data on ``onchip`` may not be stalled. With ``stop`` no
    new request is offered. Latency from ``i`` to ``o``: 5 cycles. ``i`` and ``o`` are queues: nothing is combinational from
    them to ``onchip``.

        i ─► queue ─► address ─► onchip ┄ 2 cycles ┄► queue ─► o
                         ▲ credits ◄───────────────────────┘
    """

    def __init__(self, config: Config):
        self.config = config
        count = range(isa.MAX_LENGTH // config.bus_bytes + 1)
        run = data.StructLayout({"address": unsigned(ONCHIP_BITS), "space": Space, "granules": count})
        super().__init__(
            {
                "i": In(stream.Signature(run)),
                "o": Out(stream.Signature(unsigned(8 * config.bus_bytes))),
                "onchip": Out(OnchipReadPort(config)),
                "stop": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        onchip = self.onchip
        m.submodules.buffer = buffer = Queue(unsigned(8 * self.config.bus_bytes), BUFFER)
        connect(m, buffer.o, flipped(self.o))
        m.submodules.runs = runs = Queue(self.i.payload.shape(), 2)
        connect(m, flipped(self.i), runs.i)
        run = Signal(self.i.payload.shape(), reset_less=True)
        valid, last = Signal(), Signal()
        credits = Signal(range(BUFFER + 1), init=BUFFER)

        asked = onchip.valid & onchip.ready
        m.d.comb += [
            last.eq(run.granules == 1),
            onchip.valid.eq(offered(m, valid & (credits != 0), ~self.stop, onchip.ready, "asked")),
            onchip.space.eq(run.space),
            onchip.address.eq(run.address),
            runs.o.ready.eq(~valid | (asked & last)),
        ]
        with m.If(runs.o.valid & runs.o.ready):
            m.d.sync += [valid.eq(1), run.eq(runs.o.payload)]
        with m.Elif(asked):
            m.d.sync += [valid.eq(~last), run.address.eq(run.address + 1), run.granules.eq(run.granules - 1)]

        arriving = Signal(READ_LATENCY)
        m.d.sync += arriving.eq(arriving << 1 | asked)
        m.d.comb += [buffer.i.valid.eq(arriving[-1]), buffer.i.payload.eq(onchip.data)]

        taken = self.o.valid & self.o.ready
        with m.If(asked & ~taken):
            m.d.sync += credits.eq(credits - 1)
        with m.Elif(taken & ~asked):
            m.d.sync += credits.eq(credits + 1)
        return m
