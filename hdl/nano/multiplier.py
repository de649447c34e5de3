"""The multiplier primitive of `nano`: portable, with the registers that an iCE40 DSP block has."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

LATENCY = 2
"""Cycles from ``a`` to ``p``."""


class PairSignature(wiring.Signature):
    """Two products of int8: p[i] = a[i] · w[i], LATENCY cycles after ``a``. ``w`` is kept from the last cycle with ``load``,
    that of ``a`` included."""

    def __init__(self):
        pair = data.ArrayLayout(signed(8), 2)
        super().__init__(
            {"a": In(pair), "w": In(pair), "load": In(1), "p": Out(data.ArrayLayout(signed(16), 2))},
        )


class MultiplierPair(wiring.Component):
    """Runs anywhere; a board may put its own block behind the same Signature."""

    def __init__(self):
        super().__init__(PairSignature())

    def elaborate(self, platform):
        m = Module()
        a, w = (Signal.like(port, reset_less=True, name=f"{name}_1") for name, port in (("a", self.a), ("w", self.w)))
        m.d.sync += a.eq(self.a)
        with m.If(self.load):
            m.d.sync += w.eq(self.w)
        for i in range(2):
            p = Signal(signed(16), name=f"p_{i}", reset_less=True)
            m.d.sync += p.eq(a[i] * w[i])
            m.d.comb += self.p[i].eq(p)
        return m
