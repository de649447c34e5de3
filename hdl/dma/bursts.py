"""Splits a run into bursts."""

from amaranth import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary import isa
from gemmary.config import Config

MAX_BEATS = 32
"""A burst stays inside one aligned block of this many beats, and so inside 4 KiB. With 16 outstanding bursts 512 cycles of
latency are covered, and an instruction fetch never waits for more than 512 beats of data."""


class BurstSplitter(wiring.Component):
    """Runs of whole beats in, bursts of at most MAX_BEATS out.

    ``i``: the first beat's bus-aligned ``address``, the number of ``beats`` (at least 1), ``bus`` and a ``tag`` of any
    shape. ``o``: ``address`` and ``beats`` of a burst, ``last`` with the last one of the run, and the run's ``bus`` and
    ``tag``. Without ``bus`` the run needs no burst: it leaves as that many bursts of one beat.

    One burst a cycle, also when each run is one burst. Latency 1 cycle. Addresses are modulo 2**address_bits.
    """

    def __init__(self, config: Config, tag):
        self.config = config
        self.block_beats = min(MAX_BEATS, 4096 // config.bus_bytes)
        beats = isa.MAX_LENGTH // config.bus_bytes + 1
        address = unsigned(config.address_bits)
        run = {"address": address, "beats": range(beats + 1), "bus": 1, "tag": tag}
        burst = {"address": address, "beats": range(self.block_beats + 1), "bus": 1, "last": 1, "tag": tag}
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(run))),
                "o": Out(stream.Signature(data.StructLayout(burst))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus_bits = (self.config.bus_bytes - 1).bit_length()
        beat_bits = (self.block_beats - 1).bit_length()
        i, o = self.i.payload, self.o.payload
        valid = Signal()
        block = Signal(self.config.address_bits - bus_bits - beat_bits)
        beat = Signal(beat_bits)
        left = Signal.like(i.beats)
        bus = Signal()
        tag = Signal.like(o.tag)

        room = Signal(range(self.block_beats + 1))
        last = Signal()
        m.d.comb += [
            room.eq(Mux(bus, self.block_beats - beat, 1)),
            self.o.valid.eq(valid),
            o.address.eq(Cat(Const(0, bus_bits), beat, block)),
            last.eq(left <= room),
            o.last.eq(last),
            o.beats.eq(Mux(last, left, room)),
            o.bus.eq(bus),
            o.tag.eq(tag),
            self.i.ready.eq(~valid | (self.o.ready & last)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                valid.eq(1),
                Cat(beat, block).eq(i.address[bus_bits:]),
                left.eq(i.beats),
                bus.eq(i.bus),
                tag.eq(i.tag),
            ]
        with m.Elif(valid & self.o.ready):
            m.d.sync += [valid.eq(~last), block.eq(block + 1), beat.eq(0), left.eq(left - room)]
        return m
