"""An engine's crossing, or those of the memories, with the flush that empties them."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config
from gemmary.isa import Opcode
from hdl.crossing.engine import EngineCrossing
from hdl.crossing.flush import Flush
from hdl.crossing.memory import ReadCrossing, WriteCrossing
from hdl.interfaces import EngineSignature, OnchipReadPort, OnchipWritePort


class Engine(wiring.Component):
    """``outer`` in ``sync``, ``inner`` and ``flush`` in ``fast``."""

    def __init__(self, opcode: Opcode):
        self.opcode = opcode
        engines = {"outer": Out(EngineSignature(opcode, crossed=True)), "inner": In(EngineSignature(opcode))}
        super().__init__(engines | {"resetting": In(1), "counting": In(1), "flush": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.flush_crossing = flush = Flush()
        m.submodules.crossing = crossing = EngineCrossing(self.opcode)
        connect(m, flipped(self.outer), crossing.outer)
        connect(m, crossing.inner, flipped(self.inner))
        m.d.comb += [
            flush.resetting.eq(self.resetting),
            self.flush.eq(flush.flush),
            crossing.resetting.eq(self.resetting),
            crossing.flushed.eq(flush.flushed),
            crossing.flush.eq(flush.flush),
            crossing.counting.eq(self.counting),
        ]
        return m


class Memories(wiring.Component):
    """``write`` and ``read`` in ``sync``, ``inner_write``, ``inner_read`` and ``flush`` in ``fast``. ``quiet``: flushed, and nothing is on its way."""

    def __init__(self, config: Config):
        self.config = config
        ports = {"write": OnchipWritePort, "read": OnchipReadPort}
        outer = {name: In(port(config, crossed=True)) for name, port in ports.items()}
        inner = {f"inner_{name}": Out(port(config)) for name, port in ports.items()}
        super().__init__(outer | inner | {"resetting": In(1), "flush": Out(1), "quiet": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.flush_crossing = flush = Flush()
        m.submodules.writes = writes = WriteCrossing(self.config)
        m.submodules.reads = reads = ReadCrossing(self.config)
        for crossing, outer, inner in ((writes, self.write, self.inner_write), (reads, self.read, self.inner_read)):
            connect(m, flipped(outer), crossing.outer)
            connect(m, crossing.inner, flipped(inner))
            m.d.comb += [crossing.closed.eq(self.resetting | flush.flushed), crossing.flush.eq(flush.flush)]
        m.d.comb += [
            flush.resetting.eq(self.resetting),
            self.flush.eq(flush.flush),
            self.quiet.eq(flush.flushed & writes.empty & reads.empty),
        ]
        return m


SETTLE_CYCLES = 8
"""Of quiet, as hdl.control.supervisor waits for."""


async def soft_reset(dut, edge, quiet) -> None:
    """What the supervisor does: waits until it has been ``quiet`` for so long, and ends the reset."""
    dut.resetting.value = 1
    settled = 0
    for _ in range(500):
        await edge
        settled = settled + 1 if quiet.value == 1 else 0
        if settled == SETTLE_CYCLES:
            dut.resetting.value = 0
            return
    raise AssertionError("it never gets quiet")
