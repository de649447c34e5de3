"""An engine's crossing, with the flush that empties it."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.isa import Opcode
from hdl.crossing.engine import EngineCrossing
from hdl.crossing.flush import Flush
from hdl.interfaces import EngineSignature


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
