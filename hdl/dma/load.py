"""The load engine: external memory to on-chip memory."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out, connect, flipped

from gemmary.config import Config
from gemmary.isa import Cause, Opcode
from gemmary.registers import State

from ..interfaces import BurstReadSignature, EngineSignature, OnchipWritePort
from ..stream.queue import Queue
from .bursts import BurstSplitter
from .gather import Gather
from .hold import offered
from .retire import INSTRUCTIONS, Retirement
from .runs import RunGenerator
from .sequence import LoadSequencer, format_layout, transfer_layout
from .transpose import Transposer


class LoadEngine(wiring.Component):
    """Executes LOAD (gemmary/isa.py).

    Runs are split into bursts inside aligned blocks of BURST_BEATS beats; up to config.outstanding bursts are in flight, also
    of several runs and instructions. One request a cycle, one beat a cycle, one granule a cycle: a run whose bytes touch n
    bus words takes n cycles for every alignment, and n = 1 is no exception. A transposed block of r rows and c columns
    takes its beats + c + 5 cycles. Behind the last run of an instruction 2 cycles pass without a request.
    Latency from a beat to its granule on ``onchip``: 3 cycles.

    Errors are precise: earlier runs are written, the failing granule and all after it are not. ADDRESS: a run's granules
    are not all in the space (nothing of the run is requested), a transposed block has more than bus_bytes rows or columns
    (likewise), or one of its columns is not in the space. BUS_READ: a beat came with an error.

        engine.i ─┬► retirement ◄──────────────────────── finished or failed ─┐
                  ├► formats ──────────────────────────┐                      │
                  └► runs ─► splitter ─┬► transfers ─► sequencer ─► gather ─┬─┴► onchip
                                       │                ▲  ▲                └──► transposer ─┐
                                       └► bus.request   │  └─────────────────────────────────┘
                                                        └── bus.response
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "engine": Out(EngineSignature(Opcode.LOAD)),
                "bus": Out(BurstReadSignature(config)),
                "onchip": Out(OnchipWritePort(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.runs = self.runs = RunGenerator(config, Opcode.LOAD)
        m.submodules.splitter = self.splitter = BurstSplitter(config, self._tag())
        m.submodules.transfers = self.transfers = Queue(transfer_layout(config), config.outstanding)
        m.submodules.formats = self.formats = Queue(format_layout(config), INSTRUCTIONS)
        m.submodules.retirement = self.retirement = Retirement()
        m.submodules.sequencer = self.sequencer = LoadSequencer(config)
        m.submodules.gather = self.gather = Gather(config)
        m.submodules.transposer = self.transposer = Transposer(config)

        self.stop = self.retirement.stop
        self._take(m)
        self._split(m)
        self._request(m)
        self._collect(m)
        self._write(m)
        self._state(m)
        return m

    def _tag(self):
        members = dict(transfer_layout(self.config).members)
        return data.StructLayout({name: members[name] for name in members if name not in ("bus", "last")})

    def _take(self, m):
        """An instruction goes to the run generator and to the two queues that accompany its data."""
        engine, runs, formats, retirement = self.engine, self.runs, self.formats, self.retirement
        instruction, format_ = engine.i.payload, formats.i.payload
        transpose = instruction.transpose & ~instruction.fill_only
        room = formats.i.ready & retirement.i.ready & ~self.stop
        take = Signal()
        m.d.comb += [
            engine.i.ready.eq(runs.i.ready & room),
            runs.i.valid.eq(engine.i.valid & room),
            runs.i.payload.eq(instruction),
            take.eq(engine.i.valid & engine.i.ready),
            formats.i.valid.eq(take),
            retirement.i.valid.eq(take),
            retirement.i.payload.signal.eq(instruction.signal),
            retirement.i.payload.offset.eq(instruction.offset),
            format_.fill.eq(instruction.fill),
            format_.space.eq(instruction.space),
            format_.transpose.eq(transpose),
            format_.columns.eq(instruction.length - 1),
            format_.step.eq(instruction.onchip_step_x),
        ]
        with m.If(transpose):
            m.d.comb += format_.kept.eq(instruction.count_x)
        with m.Elif(~instruction.fill_only):
            m.d.comb += format_.kept.eq((instruction.length - 1)[: len(format_.columns)] + 1)

    def _split(self, m):
        """A run becomes beats: from the bus, of fill, or one that stands for the error of a run outside its space."""
        runs, splitter, size = self.runs, self.splitter, self.config.bus_bytes
        run, instruction = runs.o.payload, runs.instruction
        run_beats, tag = splitter.i.payload, splitter.i.payload.tag
        bits = (size - 1).bit_length()
        transpose, too_large, outside, bus = Signal(), Signal(), Signal(), Signal()
        shift, row = Signal(bits), Signal(bits)
        extra, failed = Signal(), Signal()
        m.d.comb += [
            transpose.eq(instruction.transpose & ~instruction.fill_only),
            runs.hold_onchip.eq(transpose),
            too_large.eq((instruction.length > size) | (instruction.count_x > size)),
            outside.eq(Mux(transpose, too_large, run.outside)),
            shift.eq(run.external),
            extra.eq((runs.tail + shift)[bits] & bus),
            run_beats.address.eq(run.external),
            bus.eq(~instruction.fill_only & ~outside),
            run_beats.bus.eq(bus),
            run_beats.beats.eq(Mux(outside, 1, runs.granules + extra)),
            tag.extra.eq(extra),
            tag.outside.eq(outside),
            tag.onchip.eq(run.onchip),
            tag.row_last.eq(run.row_last),
            tag.end.eq(run.last),
            splitter.i.valid.eq(runs.o.valid & ~failed & ~self.stop),
            runs.o.ready.eq(splitter.i.ready & ~failed & ~self.stop),
        ]
        with m.If(bus):
            m.d.comb += [tag.row.eq(row), tag.rotate.eq(shift - row)]
        with m.If(splitter.i.valid & splitter.i.ready):
            m.d.sync += failed.eq(outside)
            with m.If(transpose):
                m.d.sync += row.eq(Mux(run.row_last, 0, row + 1))

    def _request(self, m):
        """A burst goes to the bus and into the queue of those whose data is awaited, in the same cycle."""
        burst, request, transfers = self.splitter.o.payload, self.bus.request, self.transfers
        transfer = transfers.i.payload
        wanted = self.splitter.o.valid & burst.bus & transfers.i.ready
        valid = offered(m, wanted, ~self.stop, request.ready, "request")
        m.d.comb += [
            request.valid.eq(valid),
            request.payload.address.eq(burst.address),
            request.payload.beats.eq(burst.beats),
            transfers.i.valid.eq(Mux(burst.bus, valid & request.ready, self.splitter.o.valid & ~self.stop)),
            self.splitter.o.ready.eq(transfers.i.valid & transfers.i.ready),
            transfer.bus.eq(burst.bus),
            transfer.last.eq(burst.last),
        ]
        m.d.comb += [transfer[name].eq(burst.tag[name]) for name in self._tag().members]

    def _collect(self, m):
        connect(m, self.transfers.o, self.sequencer.transfer)
        connect(m, self.formats.o, self.sequencer.format)
        connect(m, flipped(self.bus.response), self.sequencer.response)
        connect(m, self.sequencer.o, self.gather.i)
        connect(m, self.transposer.o, self.sequencer.column)
        m.d.comb += [
            self.sequencer.stop.eq(self.stop),
            self.sequencer.empty.eq(self.gather.empty),
            self.gather.clear.eq(self.stop | self.retirement.failed),
            self.transposer.start.eq(self.sequencer.start),
            self.transposer.columns.eq(self.formats.o.payload.columns),
        ]

    def _write(self, m):
        """A granule goes on the chip, to the transposer, or nowhere if it failed."""
        granule, onchip, transposer, retirement = self.gather.o.payload, self.onchip, self.transposer, self.retirement
        good = Signal()
        m.d.comb += [
            good.eq(self.gather.o.valid & ~granule.bus_error & ~granule.outside),
            onchip.valid.eq(good & ~granule.to_rows),
            onchip.space.eq(granule.space),
            onchip.address.eq(granule.address),
            onchip.data.eq(granule.data),
            transposer.write.eq(good & granule.to_rows),
            transposer.row.eq(granule.row),
            transposer.row_data.eq(granule.data),
            self.gather.o.ready.eq(onchip.ready | ~onchip.valid),
            retirement.halt.eq(self.engine.halt),
            retirement.finished.eq(onchip.valid & onchip.ready & granule.end),
            retirement.failed.eq(self.gather.o.valid & ~good),
            retirement.cause.eq(Mux(granule.outside, Cause.ADDRESS, Cause.BUS_READ)),
            self.engine.done.eq(retirement.done),
            self.engine.error.eq(retirement.error),
            self.engine.offset.eq(retirement.offset),
        ]

    def _state(self, m):
        engine, request, beat, onchip = self.engine, self.bus.request, self.sequencer.o, self.onchip
        m.d.comb += engine.quiet.eq((self.transfers.level == 0) & ~request.valid)
        moved = (request.valid & request.ready) | (beat.valid & beat.ready) | (onchip.valid & onchip.ready)
        awaited = self.transfers.o.valid & self.transfers.o.payload.bus & ~self.bus.response.valid
        with m.If(self.stop):
            m.d.comb += engine.state.eq(Mux(engine.quiet, State.IDLE, State.DRAIN))
        with m.Elif(moved):
            m.d.comb += engine.state.eq(State.BUSY)
        with m.Elif(onchip.valid):
            m.d.comb += engine.state.eq(State.STALL_MEMORY)
        with m.Elif(request.valid | awaited):
            m.d.comb += engine.state.eq(State.STALL_BUS)
        with m.Elif(self.runs.o.valid | ~self.runs.i.ready):
            m.d.comb += engine.state.eq(State.BUSY)
        with m.Elif(self.retirement.held):
            m.d.comb += engine.state.eq(State.DRAIN)
