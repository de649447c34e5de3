"""Triangles of registers: a different delay for each lane."""

from collections.abc import Sequence

from amaranth import Module, signed
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


class Sums(wiring.Component):
    """The end of an array: ``sums``, each column's a cycle later than that of the one before it, as rows ``o`` that follow ``valid`` by
    ``latency`` cycles. With ``lead`` they stay as they are: ``o.valid`` goes ``lead`` cycles before the sum of the first column."""

    def __init__(self, signature, bits: int, columns: int, latency: int, lead: int | None):
        self.bits, self.columns, self.latency, self.lead = bits, columns, latency, lead
        super().__init__({"valid": In(1), "sums": In(signed(bits)).array(columns), "o": Out(signature)})

    def elaborate(self, platform):
        m = Module()
        aligned = self.sums
        if self.lead is None:
            m.submodules.deskew = lanes = Skew(self.bits, deskew(self.columns))
            m.d.comb += [lane.eq(column) for lane, column in zip(lanes.i, self.sums)]
            aligned = lanes.o
        m.submodules.valid = valid = Delay(1, self.latency, reset=True)
        m.d.comb += [valid.i.eq(self.valid), self.o.valid.eq(valid.o)]
        m.d.comb += [out.eq(lane) for out, lane in zip(self.o.data, aligned)]
        return m


def sums_latency(config, aligned: int, lead: int | None) -> int:
    """Of an array whose rows come ``aligned`` cycles after their activations, from those to ``o.valid``."""
    return aligned if lead is None else aligned - (config.columns - 1) - lead
