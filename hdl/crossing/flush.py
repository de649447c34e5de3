"""Soft reset across two clocks."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from .queue import FAST

FLUSH_CYCLES = 63
"""Of the fast clock, before the flush is acknowledged: longer than anything that is not in a queue stays on its way."""


class Flush(wiring.Component):
    """``resetting``, a register of ``sync``, as ``flush`` in ``fast``, where it resets and drops; ``flushed``, in ``sync``, answers.

    Four phases: whoever resets waits for ``flushed`` and then for what it waits for; and nothing may go to the fast side while
    ``resetting`` or ``flushed`` is high, since it might be dropped.
    """

    resetting: In(1)
    flush: Out(1)
    flushed: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.to_fast = FFSynchronizer(self.resetting, self.flush, o_domain=FAST)
        for_so_long, acknowledged = Signal(range(FLUSH_CYCLES + 1)), Signal()
        with m.If(~self.flush):
            m.d[FAST] += for_so_long.eq(0)
        with m.Elif(~acknowledged):
            m.d[FAST] += for_so_long.eq(for_so_long + 1)
        m.d[FAST] += acknowledged.eq(self.flush & (acknowledged | for_so_long.all()))
        m.submodules.to_sync = FFSynchronizer(acknowledged, self.flushed, o_domain="sync")
        return m
