"""The dot-product primitive: the multipliers of one cell."""

from amaranth import Const, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

WORD = 32
"""Width of sums inside the array. They fit ``config.psum_bits``; simulators are fastest on whole machine words, and synthesis
removes the upper bits, which nothing reads."""


class DotSignature(wiring.Signature):
    """Seen from the multiplier: ``p`` is the exact dot product of the ``length`` signed numbers of ``bits`` in ``a`` and ``w``.

    Every implementation takes new operands each cycle, and has an attribute ``latency``: cycles from operands to ``p``.
    """

    def __init__(self, length: int, bits: int = 8):
        vector = data.ArrayLayout(signed(bits), length)
        super().__init__({"a": In(vector), "w": In(vector), "p": Out(signed(WORD))})


class DotProduct(wiring.Component):
    """The portable implementation: ``length`` multipliers, an adder tree and one register."""

    latency = 1

    def __init__(self, length: int, bits: int = 8):
        super().__init__(DotSignature(length, bits))

    def elaborate(self, platform):
        m = Module()
        total = Const(0, signed(WORD))
        for i, operands in enumerate(zip(self.a, self.w)):
            # 16 bits each, so that the product has a whole word: a simulator then extends no sign twice, and synthesis still
            # finds a multiplier of ``bits`` by ``bits``.
            a, w = (Signal(signed(WORD // 2), name=f"{name}_{i}") for name in "aw")
            m.d.comb += [a.eq(operands[0]), w.eq(operands[1])]
            total = (total + a * w)[:WORD].as_signed()
        p = Signal(signed(WORD), reset_less=True)
        m.d.sync += p.eq(total)
        m.d.comb += self.p.eq(p)
        return m
