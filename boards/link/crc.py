"""CRC-16 with a bit a cycle."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

POLYNOMIAL = 0xA001  # x¹⁶ + x¹⁵ + x² + 1, bits reversed
INITIAL = 0xFFFF


class Crc16(wiring.Component):
    """CRC-16/MODBUS of the bits that came with ``strobe`` since ``clear``; a byte comes least significant bit first.

    0 once the two bytes of ``value``, lower one first, have come too. A byte that is the lower one of ``value`` shifts the
    upper one down.
    """

    bit: In(1)
    strobe: In(1)
    clear: In(1)
    value: Out(16, init=INITIAL)

    def elaborate(self, platform):
        m = Module()
        feedback = Signal()
        m.d.comb += feedback.eq(self.value[0] ^ self.bit)
        with m.If(self.strobe):
            taps = (feedback & (POLYNOMIAL >> i & 1) for i in range(16))
            m.d.sync += self.value.eq(Cat(self.value[1:], 0) ^ Cat(taps))
        with m.If(self.clear):
            m.d.sync += self.value.eq(INITIAL)
        return m
