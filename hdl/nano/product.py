"""What requantization needs and the processor would take long for: a product and its shift."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .instructions import WORD_BITS
from .instructions import Out as Port

MULTIPLIER_BITS = 24


class Product(wiring.Component):
    """``product``, signed 64 bits, of which the lowest 16 are ``low``.

    A ``write`` to `Out` ports: PUSH moves it 16 bits down and ``data`` in from above. MULTIPLY makes it ``factor`` (signed 32
    bits) times its own lowest 24 bits, unsigned, in 24 cycles; the bits above must be 0. SHIFT divides by 2**data, rounded
    down, in ``data`` (0 to 63) cycles: ``half`` is the last bit lost, ``sticky`` whether one before it was 1; both 0 where none
    was, and undefined after MULTIPLY. ``busy`` meanwhile, from the cycle after the write on; writes are then ignored.
    """

    port: In(5)
    write: In(1)
    data: In(WORD_BITS)
    low: Out(WORD_BITS)
    busy: Out(1)
    half: Out(1)
    sticky: Out(1)

    def elaborate(self, platform):
        m = Module()
        product, factor = Signal(signed(64), reset_less=True), Signal(signed(32), reset_less=True)
        left, multiplying = Signal(6), Signal(reset_less=True)
        total = Signal(signed(64 - MULTIPLIER_BITS + 1))
        upper = product[MULTIPLIER_BITS:].as_signed()
        m.d.comb += [
            self.low.eq(product),
            self.busy.eq(left != 0),
            total.eq(upper + Mux(multiplying & product[0], factor, 0)),
        ]
        with m.If(self.busy):
            m.d.sync += [
                product.eq(Cat(product[1:MULTIPLIER_BITS], total)),
                left.eq(left - 1),
                self.half.eq(product[0]),
                self.sticky.eq(self.sticky | self.half),
            ]
        with m.Elif(self.write):
            with m.Switch(self.port):
                with m.Case(Port.FACTOR_LOW):
                    m.d.sync += factor[:16].eq(self.data)
                with m.Case(Port.FACTOR_HIGH):
                    m.d.sync += factor[16:].eq(self.data)
                with m.Case(Port.PUSH):
                    m.d.sync += product.eq(Cat(product[WORD_BITS:], self.data))
                with m.Case(Port.MULTIPLY):
                    m.d.sync += [left.eq(MULTIPLIER_BITS), multiplying.eq(1)]
                with m.Case(Port.SHIFT):
                    m.d.sync += [left.eq(self.data), multiplying.eq(0), self.half.eq(0), self.sticky.eq(0)]
        return m
