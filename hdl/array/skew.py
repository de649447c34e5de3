"""Triangles of registers: a different delay for each lane."""

from collections.abc import Sequence

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .delay import Delay


class Skew(wiring.Component):
    """Lane l of ``o`` is lane l of ``i``, ``delays[l]`` cycles later.

    i[0] ──►▯────────► o[0]
    i[1] ──►▯─►▯─────► o[1]        delays = skew(3)
    i[2] ──►▯─►▯─►▯──► o[2]
    """

    def __init__(self, shape, delays: Sequence[int]):
        self.shape, self.delays = shape, tuple(delays)
        super().__init__({"i": In(shape).array(len(self.delays)), "o": Out(shape).array(len(self.delays))})

    def elaborate(self, platform):
        m = Module()
        for lane, cycles in enumerate(self.delays):
            m.submodules[f"lane_{lane}"] = delay = Delay(self.shape, cycles)
            m.d.comb += [delay.i.eq(self.i[lane]), self.o[lane].eq(delay.o)]
        return m


def skew(lanes: int) -> list[int]:
    """Each lane one cycle later than the one before it; the first is registered once."""
    return list(range(1, lanes + 1))


def deskew(lanes: int) -> list[int]:
    """Aligns lanes of which each comes one cycle later than the one before it."""
    return list(reversed(range(lanes)))
