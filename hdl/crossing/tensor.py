"""All that crosses between the tensor engine in ``fast`` and everything else in ``sync``, but for the memories."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.isa import Engine, Opcode

from ..interfaces import EngineSignature
from .engine import EngineCrossing
from .flush import Flush
from .queue import FAST
from .write import SingleWrite

ENGINES = (Engine.TENSOR,)
"""The engines in the fast domain."""


class TensorCrossing(wiring.Component):
    """Members without prefix are in ``sync``, those with ``fast_`` in ``fast``. ``resetting`` and ``counting`` come straight from registers.
    ``writes``: to those of the accumulator; ``longest``: cycles that these are on their way there. ``tensor.quiet`` says, while ``resetting``, that nothing is left on its way."""

    resetting: In(1)
    counting: In(1)
    fast_flush: Out(1)
    tensor: Out(EngineSignature(Opcode.MATMUL, crossed=True))
    fast_tensor: In(EngineSignature(Opcode.MATMUL))
    writes: Out(SingleWrite.control())

    def __init__(self, longest: int = 0):
        self.longest = longest
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.flush = flush = Flush(self.longest)
        m.submodules.tensor = crossing = EngineCrossing(Opcode.MATMUL)
        m.submodules.counting = FFSynchronizer(self.counting, crossing.counting, o_domain=FAST)
        connect(m, flipped(self.fast_tensor), crossing.inner)
        connect(m, crossing.outer, flipped(self.tensor))
        m.d.comb += [
            flush.resetting.eq(self.resetting),
            self.fast_flush.eq(flush.flush),
            self.writes.flush.eq(flush.flush),
            self.writes.closed.eq(self.resetting | flush.flushed),
            crossing.resetting.eq(self.resetting),
            crossing.flushed.eq(flush.flushed),
            crossing.flush.eq(flush.flush),
        ]
        with m.If(self.resetting & ~self.writes.empty):
            m.d.comb += self.tensor.quiet.eq(0)
        return m
