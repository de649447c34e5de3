"""Splits a run into bursts."""

from amaranth import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary import isa
from gemmary.config import Config

from ..stream.queue import Queue

MAX_BEATS = 32
"""A burst stays inside one aligned block of this many beats, and so inside 4 KiB. With 16 outstanding bursts 512 cycles of
latency are covered, and an instruction fetch never waits for more than 512 beats of data."""


class BurstSplitter(wiring.Component):
    """Runs of whole beats in, bursts of at most MAX_BEATS out.

    ``i``: the first beat's bus-aligned ``address``, the number of ``beats`` (at least 1), ``bus`` and a ``tag`` of any
    shape. ``o``: ``address`` and ``beats`` of a burst, ``last`` with the last one of the run, and the run's ``bus`` and
    ``tag``. Without ``bus`` the run needs no burst: it leaves as that many bursts of one beat.

    One burst a cycle, also when each run is one burst. Latency 2 cycles. Addresses are modulo 2**address_bits. Both ends are
    register slices: ``o`` and ``i.ready`` do not depend on the other end.

        i ─► run (block, beat, left) ─► length ─► queue of two ─► o
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
        i = self.i.payload
        m.submodules.queue = queue = Queue(self.o.payload.shape(), 2)
        connect(m, queue.o, flipped(self.o))
        valid, bus, last = Signal(), Signal(), Signal()
        block = Signal(self.config.address_bits - bus_bits - beat_bits)
        beat = Signal(beat_bits)  # where in the block; without bus always the last one
        left = Signal.like(i.beats)
        tag = Signal.like(i.tag)

        # A run ends in this block if beat + left <= block_beats; if not, what is beyond is left. `last` is known in advance.
        first_beat = i.address[bus_bits : bus_bits + beat_bits] | (~i.bus).replicate(beat_bits)
        end, first_end = Signal(len(left) + 1), Signal(len(left) + 1)
        burst = queue.i.payload
        m.d.comb += [
            end.eq(left + beat),
            first_end.eq(i.beats + first_beat),
            burst.address.eq(Cat(Const(0, bus_bits), beat, block)),
            burst.beats.eq(Mux(last, left, self.block_beats - beat)),
            burst.last.eq(last),
            burst.bus.eq(bus),
            burst.tag.eq(tag),
            queue.i.valid.eq(valid),
            self.i.ready.eq(~valid | (queue.i.ready & last)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                valid.eq(1),
                block.eq(i.address[bus_bits + beat_bits :]),
                beat.eq(first_beat),
                left.eq(i.beats),
                last.eq(first_end <= self.block_beats),
                bus.eq(i.bus),
                tag.eq(i.tag),
            ]
        with m.Elif(valid & queue.i.ready):
            m.d.sync += [
                valid.eq(~last),
                block.eq(block + 1),
                beat.eq((~bus).replicate(beat_bits)),
                left.eq(end - self.block_beats),
                last.eq(end <= Mux(bus, 2 * self.block_beats, self.block_beats + 1)),
            ]
        return m
