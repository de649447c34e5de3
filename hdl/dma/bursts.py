"""Splits a run into bursts."""

from amaranth import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary import isa
from gemmary.config import BURST_BEATS, Config


class BurstSplitter(wiring.Component):
    """Runs of whole beats in, bursts of at most BURST_BEATS out.

    ``i``: the first beat's bus-aligned ``address``, the number of ``beats`` (at least 1), ``bus`` and a ``tag`` of any
    shape. ``o``: ``address`` and ``beats`` of a burst, ``last`` with the last one of the run, and the run's ``bus`` and
    ``tag``. Without ``bus`` the run needs no burst: it leaves as that many bursts of one beat.

    One burst a cycle, also when each run is one burst. Latency 2 cycles. Addresses are modulo 2**address_bits.

        i ─► run ─► block, beat, left, last ─► o
    """

    def __init__(self, config: Config, tag):
        self.config = config
        self.block_beats = BURST_BEATS
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
        run = Signal(self.i.payload.shape(), reset_less=True)
        have_run, valid, free = Signal(), Signal(), Signal()
        bus, last = Signal(reset_less=True), Signal(reset_less=True)
        m.d.comb += [free.eq(~valid | (self.o.ready & last)), self.i.ready.eq(~have_run | free)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [have_run.eq(1), run.eq(self.i.payload)]
        with m.Elif(free):
            m.d.sync += have_run.eq(0)

        # A run ends in this block if beat + left <= block_beats; if not, what is beyond is left. `last` is known in advance.
        block = Signal(self.config.address_bits - bus_bits - beat_bits, reset_less=True)
        beat = Signal(beat_bits, reset_less=True)  # where in the block; without bus always the last one
        left = Signal.like(run.beats, reset_less=True)
        tag = Signal(run.tag.shape(), reset_less=True)
        end, first_end = Signal(len(left) + 1), Signal(len(left) + 1)
        first_beat = run.address[bus_bits : bus_bits + beat_bits] | (~run.bus).replicate(beat_bits)
        burst = self.o.payload
        m.d.comb += [
            end.eq(left + beat),
            first_end.eq(run.beats + first_beat),
            burst.address.eq(Cat(Const(0, bus_bits), beat, block)),
            burst.beats.eq(Mux(last, left, self.block_beats - beat)),
            burst.last.eq(last),
            burst.bus.eq(bus),
            burst.tag.eq(tag),
            self.o.valid.eq(valid),
        ]
        with m.If(have_run & free):
            m.d.sync += [
                valid.eq(1),
                block.eq(run.address[bus_bits + beat_bits :]),
                beat.eq(first_beat),
                left.eq(run.beats),
                last.eq(first_end <= self.block_beats),
                bus.eq(run.bus),
                tag.eq(run.tag),
            ]
        with m.Elif(valid & self.o.ready):
            m.d.sync += [
                valid.eq(~last),
                block.eq(block + 1),
                beat.eq((~bus).replicate(beat_bits)),
                left.eq(end - self.block_beats),
                last.eq(end <= Mux(bus, 2 * self.block_beats, self.block_beats + 1)),
            ]
        return m
