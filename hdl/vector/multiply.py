"""Exact product of an int32 and a mantissa."""

from amaranth import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Multiply(wiring.Component):
    """``p = a · b``, exact. LATENCY 2 cycles, one product a cycle; ``enable[k]``: stage k takes what lies before it.

    a, b ─► a · low half of b, a · high half of b ─► sum ─► p
                        enable[0]                enable[1]
    """

    LATENCY = 2

    def __init__(self):
        super().__init__({"a": In(signed(32)), "b": In(24), "enable": In(self.LATENCY), "p": Out(signed(56))})

    def elaborate(self, platform):
        m = Module()
        low, high, product = (
            Signal(signed(bits), name=name, reset_less=True)
            for bits, name in ((44, "low"), (44, "high"), (56, "product"))
        )
        with m.If(self.enable[0]):
            m.d.sync += [low.eq(self.a * self.b[:12]), high.eq(self.a * self.b[12:])]
        with m.If(self.enable[1]):
            m.d.sync += product.eq(low + (high << 12))
        m.d.comb += self.p.eq(product)
        return m
