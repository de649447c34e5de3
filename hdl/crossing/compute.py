"""All that crosses between control and DMA in ``sync`` and the compute part in ``fast``."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config
from gemmary.isa import Engine

from ..control.layouts import opcodes
from ..interfaces import EngineSignature, OnchipReadPort, OnchipWritePort
from .engine import EngineCrossing
from .flush import Flush
from .memory import ReadCrossing, WriteCrossing
from .queue import FAST

ENGINES = (Engine.TENSOR, Engine.VECTOR)
"""The engines in the fast domain."""


class ComputeCrossing(wiring.Component):
    """Members without prefix are in ``sync``, those with ``fast_`` in ``fast``. ``resetting`` and ``counting`` come straight from registers.
    The ``quiet`` of the engines says, while ``resetting``, that nothing is left on its way."""

    def __init__(self, config: Config):
        self.config = config
        members = {
            "resetting": In(1),
            "counting": In(1),
            "write": In(OnchipWritePort(config, crossed=True)),
            "read": In(OnchipReadPort(config, crossed=True)),
            "fast_write": Out(OnchipWritePort(config)),
            "fast_read": Out(OnchipReadPort(config)),
            "fast_flush": Out(1),
        }
        for engine in ENGINES:
            name, opcode = engine.name.lower(), opcodes()[engine]
            members |= {name: Out(EngineSignature(opcode, crossed=True)), f"fast_{name}": In(EngineSignature(opcode))}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.flush = flush = Flush()
        m.submodules.write = write = WriteCrossing(self.config)
        m.submodules.read = read = ReadCrossing(self.config)
        counting = Signal()
        m.submodules.counting = FFSynchronizer(self.counting, counting, o_domain=FAST)
        m.d.comb += [flush.resetting.eq(self.resetting), self.fast_flush.eq(flush.flush)]
        for port, crossing in ((self.write, write), (self.read, read)):
            connect(m, flipped(port), crossing.outer)
            m.d.comb += [crossing.flush.eq(flush.flush), crossing.closed.eq(self.resetting | flush.flushed)]
        connect(m, write.inner, flipped(self.fast_write))
        connect(m, read.inner, flipped(self.fast_read))
        for engine in ENGINES:
            name = engine.name.lower()
            m.submodules[name] = crossing = EngineCrossing(opcodes()[engine])
            connect(m, flipped(getattr(self, f"fast_{name}")), crossing.inner)
            connect(m, crossing.outer, flipped(getattr(self, name)))
            m.d.comb += [
                crossing.resetting.eq(self.resetting),
                crossing.flushed.eq(flush.flushed),
                crossing.flush.eq(flush.flush),
                crossing.counting.eq(counting),
            ]
        tensor = getattr(self, ENGINES[0].name.lower())
        with m.If(self.resetting & ~(write.empty & read.empty)):
            m.d.comb += tensor.quiet.eq(0)
        return m
