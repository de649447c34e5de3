"""Exact product of an int32 and a mantissa."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Multiply(wiring.Component):
    """``p = a · b``, exact. LATENCY 2 cycles, one product a cycle; ``enable[k]``: stage k takes what lies before it.

    Four products of at most 16 x 16 bits, the size of a DSP multiplier, and their sum:

        a, b ─► products ─► sum ─► p
                enable[0]   enable[1]
    """

    LATENCY = 2

    def __init__(self):
        super().__init__({"a": In(signed(32)), "b": In(24), "enable": In(self.LATENCY), "p": Out(signed(56))})

    def elaborate(self, platform):
        m = Module()
        a_low, a_high = self.a[:16], self.a[16:].as_signed()
        b_low, b_high = self.b[:16], self.b[16:]
        low_low, high_high = Signal(32, reset_less=True), Signal(signed(24), reset_less=True)
        low_high, high_low = Signal(24, reset_less=True), Signal(signed(32), reset_less=True)
        product = Signal(signed(56), reset_less=True)
        with m.If(self.enable[0]):
            m.d.sync += [
                low_low.eq(a_low * b_low),
                low_high.eq(a_low * b_high),
                high_low.eq(a_high * b_low),
                high_high.eq(a_high * b_high),
            ]
        with m.If(self.enable[1]):
            m.d.sync += product.eq(Cat(low_low, high_high).as_signed() + ((low_high + high_low) << 16))
        m.d.comb += self.p.eq(product)
        return m
