"""The store engine: on-chip memory to external memory."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out, connect, flipped

from gemmary.config import Config
from gemmary.isa import Cause, Opcode
from gemmary.registers import State

from ..interfaces import BurstWriteSignature, EngineSignature, OnchipReadPort
from ..stream.queue import Queue
from .bursts import BurstSplitter
from .hold import offered
from .reader import GranuleReader
from .retire import Retirement
from .runs import RunGenerator
from .scatter import Scatter, burst_layout


class StoreEngine(wiring.Component):
    """Executes STORE (gemmary/isa.py).

    Runs are split into bursts inside aligned blocks of BURST_BEATS beats; up to config.outstanding bursts await their
    response, also of several runs and instructions. One request a cycle, one granule a cycle, one beat a cycle: a run whose
    bytes touch n bus words takes n cycles for every alignment, and n = 1 is no exception. Behind the last run of an
    instruction 2 cycles pass without a request. Latency from an accepted ``onchip`` request to its beat on ``bus.data``: 5 cycles.

    An instruction is done one cycle after its last OKAY. ADDRESS: a run's granules are not all in the space; nothing of it
    is read or written, and earlier runs are. BUS_WRITE: a response was an error; later bursts may have been written.
    After an error or ``halt`` the data that accepted requests are still owed is sent without strobes.

        engine.i ─► runs ─┬► reader ─► onchip ┄► granules ─► scatter ─► bus.data
                          └► splitter ─┬► bursts ───────────────┘
                                       ├► bus.request
                                       └► pending ◄─ bus.response ─► engine.done
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "engine": Out(EngineSignature(Opcode.STORE)),
                "bus": Out(BurstWriteSignature(config)),
                "onchip": Out(OnchipReadPort(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, size = self.config, self.config.bus_bytes
        tag = data.StructLayout({"shift": range(size), "tail": range(size), "extra": 1, "end": 1})
        m.submodules.runs = self.runs = RunGenerator(config, Opcode.STORE)
        m.submodules.splitter = self.splitter = BurstSplitter(config, tag)
        m.submodules.reader = self.reader = GranuleReader(config)
        beats = range(self.splitter.block_beats)
        m.submodules.bursts = self.bursts = Queue(burst_layout(config, beats), config.outstanding)
        m.submodules.scatter = self.scatter = Scatter(config, beats)
        m.submodules.pending = self.pending = Queue(data.StructLayout({"bus": 1, "end": 1}), config.outstanding)
        m.submodules.retirement = self.retirement = Retirement()
        self.stop = self.retirement.stop

        connect(m, self.bursts.o, self.scatter.burst)
        connect(m, self.reader.o, self.scatter.i)
        connect(m, self.scatter.o, flipped(self.bus.data))
        connect(m, self.reader.onchip, flipped(self.onchip))
        m.d.comb += [self.reader.stop.eq(self.stop), self.scatter.stop.eq(self.stop)]
        self._take(m)
        self._split(m)
        self._request(m)
        self._respond(m)
        self._state(m)
        return m

    def _take(self, m):
        engine, runs, retirement = self.engine, self.runs, self.retirement
        room = retirement.i.ready & ~self.stop
        m.d.comb += [
            engine.i.ready.eq(runs.i.ready & room),
            runs.i.valid.eq(engine.i.valid & room),
            runs.i.payload.eq(engine.i.payload),
            retirement.i.valid.eq(engine.i.valid & engine.i.ready),
            retirement.i.payload.signal.eq(engine.i.payload.signal),
            retirement.i.payload.offset.eq(engine.i.payload.offset),
        ]

    def _split(self, m):
        """A run goes to the reader and the splitter; one outside its space, as an error, to the splitter alone."""
        runs, splitter, reader, size = self.runs, self.splitter, self.reader, self.config.bus_bytes
        run, instruction = runs.o.payload, runs.instruction
        tag, bits = splitter.i.payload.tag, (size - 1).bit_length()
        shift = Signal(bits)
        end = Signal(bits + 1)
        failed, valid = Signal(), Signal()
        m.d.comb += [
            shift.eq(run.external),
            end.eq(runs.tail + shift),
            splitter.i.payload.address.eq(run.external),
            splitter.i.payload.bus.eq(~run.outside),
            splitter.i.payload.beats.eq(Mux(run.outside, 1, runs.granules + end[bits])),
            tag.shift.eq(shift),
            tag.tail.eq(end),
            tag.extra.eq(end[bits]),
            tag.end.eq(run.last),
            reader.i.payload.address.eq(run.onchip),
            reader.i.payload.space.eq(instruction.space),
            reader.i.payload.granules.eq(runs.granules),
            valid.eq(runs.o.valid & ~failed & ~self.stop),
            splitter.i.valid.eq(valid & (reader.i.ready | run.outside)),
            reader.i.valid.eq(valid & splitter.i.ready & ~run.outside),
            runs.o.ready.eq(splitter.i.valid & splitter.i.ready),
        ]
        with m.If(runs.o.ready):
            m.d.sync += failed.eq(run.outside)

    def _request(self, m):
        """A burst goes to the bus and into both queues in the same cycle."""
        burst, request = self.splitter.o.payload, self.bus.request
        bursts, pending = self.bursts, self.pending
        wanted = self.splitter.o.valid & burst.bus & bursts.i.ready & pending.i.ready
        valid = offered(m, wanted, ~self.stop, request.ready, "request")
        m.d.comb += [
            request.valid.eq(valid),
            request.payload.address.eq(burst.address),
            request.payload.beats.eq(burst.beats),
            bursts.i.valid.eq(valid & request.ready),
            bursts.i.payload.length.eq(burst.beats - 1),
            bursts.i.payload.last.eq(burst.last),
            pending.i.valid.eq(Mux(burst.bus, valid & request.ready, self.splitter.o.valid & ~self.stop)),
            pending.i.payload.bus.eq(burst.bus),
            pending.i.payload.end.eq(burst.last & burst.tag.end),
            self.splitter.o.ready.eq(pending.i.valid & pending.i.ready),
        ]
        m.d.comb += [bursts.i.payload[name].eq(burst.tag[name]) for name in ("shift", "tail", "extra")]

    def _respond(self, m):
        pending, response, retirement = self.pending.o, self.bus.response, self.retirement
        ended, bad = Signal(), Signal()
        m.d.comb += [
            response.ready.eq(pending.valid & pending.payload.bus),
            ended.eq(pending.valid & (response.valid | ~pending.payload.bus)),
            pending.ready.eq(ended),
            bad.eq(response.payload.error | ~pending.payload.bus),
            retirement.halt.eq(self.engine.halt),
            retirement.finished.eq(ended & ~bad & pending.payload.end),
            retirement.failed.eq(ended & bad),
            retirement.cause.eq(Mux(pending.payload.bus, Cause.BUS_WRITE, Cause.ADDRESS)),
            self.engine.done.eq(retirement.done),
            self.engine.error.eq(retirement.error),
            self.engine.offset.eq(retirement.offset),
        ]

    def _state(self, m):
        engine, request, beat, onchip = self.engine, self.bus.request, self.bus.data, self.onchip
        m.d.comb += engine.quiet.eq((self.pending.level == 0) & ~request.valid)
        moved = (request.valid & request.ready) | (beat.valid & beat.ready) | (onchip.valid & onchip.ready)
        with m.If(self.stop):
            m.d.comb += engine.state.eq(Mux(engine.quiet, State.IDLE, State.DRAIN))
        with m.Elif(moved):
            m.d.comb += engine.state.eq(State.BUSY)
        with m.Elif(onchip.valid):
            m.d.comb += engine.state.eq(State.STALL_MEMORY)
        with m.Elif(request.valid | beat.valid | (self.splitter.o.valid & ~self.pending.i.ready)):
            m.d.comb += engine.state.eq(State.STALL_BUS)
        with m.Elif(self.runs.o.valid | ~self.runs.i.ready):
            m.d.comb += engine.state.eq(State.BUSY)
        with m.Elif(self.retirement.held):
            m.d.comb += engine.state.eq(State.DRAIN)
