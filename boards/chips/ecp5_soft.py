"""Multipliers of look-up tables, for what an FPGA's multipliers do not suffice for."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring

from hdl.array.multiplier import DotSignature


class SoftDotProduct(wiring.Component):
    """`hdl.array.multiplier.DotProduct` of 1, 2 or 4 products without multipliers, ``latency`` cycles of which STAGES are needed.

    A product is a row of x for each bit of y. Two rows are one chain of carries on an ECP5, whose look-up tables have room for the gates before
    both operands; two chains fit between registers (the clock is that of a whole accelerator, not of a bare array).

        x, y ─► rows in pairs, pairs of those ─► one sum, less the sign's row ─► sums of two products ─► their sum ─► p
    """

    STAGES = 4

    def __init__(self, length: int, bits: int = 8, latency: int = STAGES):
        assert length in (1, 2, 4) and 8 <= bits <= 9 and latency >= self.STAGES
        self.length, self.bits, self.latency = length, bits, latency
        super().__init__(DotSignature(length, bits))

    def elaborate(self, platform):
        m = Module()
        terms = [self._product(m, x, y, i) for i, (x, y) in enumerate(zip(self.a, self.w))]
        for level in range(2):
            sums = [low + high for low, high in zip(terms[::2], terms[1::2])] or terms
            terms = [self._stage(m, total, f"sum_{level}_{i}") for i, total in enumerate(sums)]
        result = terms[0]
        for spare in range(self.latency - self.STAGES):
            result = self._stage(m, result, f"result_{spare}")
        m.d.comb += self.p.eq(result)
        return m

    def _stage(self, m, value, name):
        register = Signal(value.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(value)
        return register

    def _product(self, m, x, y, name):
        """x · y after two registers."""

        def row(x, bit):
            return (x.as_unsigned() & bit.replicate(self.bits)).as_signed()

        # The upper bit of y is its sign: the last row is taken away.
        single = self.bits - 1 if self.bits % 2 else None
        pairs = [
            self._added(row(x, y[i]), row(x, y[i + 1]), 1, takes=i + 2 == self.bits) for i in range(0, self.bits - 1, 2)
        ]
        fours = [self._added(low, high, 2) for low, high in zip(pairs[::2], pairs[1::2])]
        low, high = (self._stage(m, four, f"four_{name}_{i}") for i, four in enumerate(fours))
        product = self._added(low, high, 4)
        if single:
            held, sign = self._stage(m, x, f"x_{name}"), self._stage(m, y[single], f"sign_{name}")
            product = self._added(product, row(held, sign), single, takes=True)
        return self._stage(m, product[: 2 * self.bits].as_signed(), f"product_{name}")

    def _added(self, low, high, shift, takes=False):
        """low + high · 2**shift, or what is left of low; the lowest bits have no part in the sum."""
        upper = low >> shift
        return Cat(low[:shift], upper - high if takes else upper + high).as_signed()
