"""The host link as a whole: two wires to a register bus."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.runtime.link import GAP_BITS
from hdl.interfaces import RegisterBus

from .frames import Frames
from .uart import Receiver, Transmitter


class Link(wiring.Component):
    """Accesses of ``bus`` for a host at the other end of ``rx`` and ``tx``; a bit takes ``divisor`` cycles. A
    silence of ``gap_bits`` ends a frame."""

    def __init__(self, divisor: int, gap_bits: int = GAP_BITS):
        self.divisor, self.gap_bits = divisor, gap_bits
        super().__init__({"rx": In(1), "tx": Out(1, init=1), "bus": Out(RegisterBus())})

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = Receiver(self.divisor)
        m.submodules.transmitter = transmitter = Transmitter(self.divisor)
        m.submodules.frames = frames = Frames(self.gap_bits)
        connect(m, frames.o, transmitter.i)
        connect(m, frames.bus, flipped(self.bus))
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            frames.data.eq(receiver.data),
            frames.valid.eq(receiver.valid),
            frames.active.eq(receiver.active),
            frames.received.value.eq(receiver.bit),
            frames.received.strobe.eq(receiver.strobe),
            frames.sent.value.eq(transmitter.bit),
            frames.sent.strobe.eq(transmitter.strobe),
            frames.tick.eq(transmitter.tick),
        ]
        return m
