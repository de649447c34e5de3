"""The dot-product primitive: the multipliers of one cell."""

from amaranth import Const, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

WORD = 32
"""Width of sums inside the array. They fit ``config.psum_bits``; simulators are fastest on whole machine words, and synthesis
removes the upper bits, which nothing reads."""


class DotSignature(wiring.Signature):
    """Seen from the multiplier: ``p`` is the exact dot product of the ``length`` int8 in ``a`` and ``w``.

    Every implementation takes new operands each cycle, and has an attribute ``latency``: cycles from operands to ``p``.
    """

    def __init__(self, length: int):
        vector = data.ArrayLayout(signed(8), length)
        super().__init__({"a": In(vector), "w": In(vector), "p": Out(signed(WORD))})


class DotProduct(wiring.Component):
    """The portable implementation: ``length`` multipliers, an adder tree and one register."""

    latency = 1

    def __init__(self, length: int):
        super().__init__(DotSignature(length))

    def elaborate(self, platform):
        m = Module()
        total = Const(0, signed(WORD))
        for a, w in zip(self.a, self.w):
            total = _word(total + _word(_extend(m, a) * _extend(m, w)))
        p = Signal(signed(WORD), reset_less=True)
        m.d.sync += p.eq(total)
        m.d.comb += self.p.eq(p)
        return m


def _extend(m, value):
    """``value`` as a word. The addition of 0 is how Amaranth writes `$signed(value)` in a wider context: in a simulation it is
    half the price of the concatenation of copies of the sign that an assignment would give."""
    word = Signal(signed(WORD))
    m.d.comb += word.eq(value + Const(0, signed(WORD - 1)))
    return word


def _word(value):
    """``value`` modulo 2**WORD: 8-bit operands in, so synthesis still finds 8-bit multipliers."""
    return value[:WORD].as_signed()
