"""Soft reset across two clocks."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from .queue import FAST

LEAST_BITS = 6
"""Of the counter of a flush's cycles."""

MARGIN = 8
"""Cycles of the fast clock until the flush has reached what puts things on their way."""


def counter_bits(longest: int) -> int:
    """Of a flush whose answer comes when its counter is full."""
    return max(LEAST_BITS, (longest + MARGIN).bit_length())


class Flush(wiring.Component):
    """``resetting``, a register of ``sync``, as ``flush`` in ``fast``, where it resets and drops; ``flushed``, in ``sync``, answers.

    Four phases: whoever resets waits for ``flushed`` and then for what it waits for; and nothing may go to the fast side while
    ``resetting`` or ``flushed`` is high, since it might be dropped. The answer comes when what is ``longest`` on its way, in cycles of the fast clock,
    has arrived: pipelines without a reset run empty.
    """

    resetting: In(1)
    flush: Out(1)
    flushed: Out(1)

    def __init__(self, longest: int = 0):
        self.bits = counter_bits(longest)
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.to_fast = FFSynchronizer(self.resetting, self.flush, o_domain=FAST)
        for_so_long, acknowledged = Signal(self.bits), Signal()
        with m.If(~self.flush):
            m.d[FAST] += for_so_long.eq(0)
        with m.Elif(~acknowledged):
            m.d[FAST] += for_so_long.eq(for_so_long + 1)
        m.d[FAST] += acknowledged.eq(self.flush & (acknowledged | for_so_long.all()))
        m.submodules.to_sync = FFSynchronizer(acknowledged, self.flushed, o_domain="sync")
        return m
