"""UART, 8 data bits, no parity, 1 stop bit. Both ends show the data bits one by one, for a serial CRC."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out


class Receiver(wiring.Component):
    """Bytes from ``rx``, a bit every ``divisor`` (at least 4) cycles.

    ``strobe``: one cycle for each data bit, ``bit``, least significant first, in the middle of it. ``valid``: one cycle for
    each byte, ``data``, in the cycle after its last strobe. ``active`` from the start bit on, and while the line is low. A
    start bit that is over by its middle is noise. The stop bit is not checked: whoever checks a sum over the bytes need not.
    """

    def __init__(self, divisor: int):
        assert divisor >= 4, divisor
        self.divisor = divisor
        super().__init__(
            {"rx": In(1), "bit": Out(1), "strobe": Out(1), "data": Out(8), "valid": Out(1), "active": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        phase, sample, started = Signal(range(self.divisor)), Signal(), Signal()
        received = Signal(9, init=1 << 8)  # the data bits push a marker out
        complete = received[0]
        m.d.comb += [
            sample.eq(self.active & (phase == self.divisor // 2 - 1)),
            self.bit.eq(line),
            self.strobe.eq(sample & started & ~complete),
            self.data.eq(received[1:]),
        ]
        m.d.sync += [phase.eq(phase + 1), self.valid.eq(self.strobe & received[1])]
        with m.If(~self.active | (phase == self.divisor - 1)):
            m.d.sync += phase.eq(0)
        with m.If(self.strobe):
            m.d.sync += received.eq(Cat(received[1:], line))
        with m.If(sample):
            m.d.sync += started.eq(1)
        with m.If(~self.active):
            m.d.sync += [started.eq(0), received.eq(received.init)]
        with m.If(~self.active | complete | (sample & ~started)):
            m.d.sync += self.active.eq(~line)
        return m


class Transmitter(wiring.Component):
    """Bytes of ``i`` to ``tx``, a bit every ``divisor`` cycles, without pause while there are bytes.

    ``strobe``: one cycle for each data bit, ``bit``; all of a byte before the next one is taken. ``tick``: one cycle every
    ``divisor``, always.
    """

    def __init__(self, divisor: int):
        assert divisor >= 2, divisor
        self.divisor = divisor
        super().__init__(
            {"i": In(stream.Signature(8)), "tx": Out(1, init=1), "bit": Out(1), "strobe": Out(1), "tick": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        phase, busy = Signal(range(self.divisor)), Signal()
        bits = Signal(9, init=0x1FF)
        left = Signal(4)  # 8: start bit, 7 to 0: data bits, 15: stop bit
        m.d.comb += [
            self.tick.eq(phase == self.divisor - 1),
            self.i.ready.eq(self.tick & (~busy | left.all())),
            self.tx.eq(bits[0]),
            self.bit.eq(bits[0]),
            self.strobe.eq(self.tick & busy & ~left[3]),
        ]
        m.d.sync += phase.eq(phase + 1)
        with m.If(self.tick):
            m.d.sync += [phase.eq(0), bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]
        with m.If(self.i.ready):
            m.d.sync += busy.eq(self.i.valid)
            with m.If(self.i.valid):
                m.d.sync += [bits.eq(Cat(0, self.i.payload)), left.eq(8)]
        return m
