"""The vector engine: everything between the accumulator and the activation scratchpad."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary import isa
from gemmary.config import TABLE_ENTRIES, TABLES, Config
from gemmary.registers import State

from ..interfaces import EngineSignature, WritePort
from . import requantize, table
from .fetch import Fetch
from .issue import read_ports
from .layouts import delayed
from .reduce import Reduce
from .requantize import Requantize
from .retire import Retire
from .settings import Settings
from .table import Table
from .write import Write, write_ports

OPERAND = Fetch.LATENCY
REDUCED = OPERAND + Reduce.LATENCY
CLIPPED = REDUCED + Requantize.LATENCY
LATENCY = CLIPPED + Table.LATENCY + 1
"""Cycles from the issue of an int8 result to its write, if no port refuses (and one more with one lane)."""
WIDE_LATENCY = REDUCED + Requantize.WIDE_LATENCY + 1
"""The same for an int32 result."""

STAGES = {
    "constant": OPERAND - 1,
    "reduction": OPERAND,
    **{name: REDUCED + stage for name, stage in requantize.SETTINGS.items()},
    **{name: CLIPPED + stage for name, stage in table.SETTINGS.items()},
}
"""In which stage of the pipeline (cycles after the issue) each setting is used."""


class VectorEngine(wiring.Component):
    """Reduces, biases, scales, adds a residual, rounds, clips and looks up, ``lanes`` elements a cycle (docs/numerics.md).

                              residual, parameter ─────┐
        i ─► Fetch ─► accumulator / source ─► Reduce ─►Requantize ─► Table ─► Write ─► result
               │ cycle 0                 3         4 │           12      13  ▲   14
               └─► order, credit ────────────────────┼───────────────────────┤
                                                     └─ int32 (cycle 5) ─────┘──► accumulator_result

    Throughput: a row takes lane_groups = columns / lanes cycles for each element of its window; 1 cycle is lost between
    instructions that have at least LATENCY lane groups, shorter ones take about that long. At most two instructions are on
    their way, complete in order, and an instruction sees what the one before it wrote: it waits where its reads may meet
    writes that are still on their way. Nothing behind the issue stalls; the issue waits while ``write.depth`` results are on their way.

    Ports as in ``read_ports`` and ``write_ports``; ``table`` takes granules of the two tables, table 0 first. Residual and table
    are ignored for int32 results. An address outside its memory (of an operand that is used) is Error ADDRESS, and nothing
    is issued after it until a reset.
    """

    def __init__(self, config: Config):
        self.config = config
        granules = TABLES * TABLE_ENTRIES // config.bus_bytes
        super().__init__(
            {name: Out(port) for name, port in (read_ports(config) | write_ports(config)).items()}
            | {
                "engine": Out(EngineSignature(isa.Opcode.VECTOR)),
                "table": In(WritePort(granules, 8 * config.bus_bytes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetch = fetch = Fetch(self.config)
        m.submodules.settings = settings = Settings(STAGES)
        m.submodules.retire = retire = Retire()
        m.submodules.write = write = Write(self.config)
        connect(m, flipped(self.engine.i), fetch.i)
        for name in read_ports(self.config):
            connect(m, getattr(fetch, name), flipped(getattr(self, name)))
        for name in write_ports(self.config):
            connect(m, getattr(write, name), flipped(getattr(self, name)))
        m.d.comb += [
            settings.instruction.eq(fetch.instruction),
            settings.taken.eq(fetch.taken),
            settings.first.eq(fetch.first),
            fetch.settled.eq(settings.settled),
            fetch.constant.eq(settings.o.constant),
            fetch.ready.eq(retire.ready),
            fetch.parity.eq(retire.parity),
            fetch.oldest.eq(retire.oldest),
            fetch.credit.eq(write.credit),
            retire.start.eq(fetch.start),
            retire.signal.eq(fetch.instruction.signal),
            retire.offset.eq(fetch.instruction.offset),
            retire.finish.eq(write.finish),
            write.ordered.eq(fetch.ordered),
            write.order.eq(fetch.order),
        ]
        self.datapath(m, fetch, settings.o, write)
        self.report(m, fetch, retire, write)
        return m

    def datapath(self, m, fetch, settings, write):
        m.submodules.reduce = reduce = Reduce(self.config)
        m.submodules.requantize = requantizer = Requantize(self.config)
        m.submodules.table = lookup = Table(self.config)
        connect(m, flipped(self.table), lookup.write)
        m.d.comb += [
            reduce.valid.eq(fetch.beat.valid),
            reduce.start.eq(fetch.beat.start),
            reduce.maximum.eq(settings.reduction == isa.Reduction.MAX),
            reduce.i.eq(fetch.operand),
            requantizer.valid.eq(delayed(m, fetch.beat.result, Reduce.LATENCY, "result_reduced")[-1]),
            requantizer.fresh.eq(delayed(m, fetch.beat.fresh, Reduce.LATENCY, "fresh_reduced")[-1]),
            requantizer.i.eq(reduce.o),
            requantizer.residual.eq(fetch.residual_operand),
            requantizer.parameter.eq(fetch.parameter_operand),
            *(requantizer.settings[name].eq(settings[name]) for name in requantize.SETTINGS),
            lookup.valid.eq(requantizer.o_valid),
            lookup.i.eq(requantizer.o),
            *(lookup.settings[name].eq(settings[name]) for name in table.SETTINGS),
            write.narrow_valid.eq(lookup.o_valid),
            write.narrow.eq(lookup.o),
            write.wide_valid.eq(requantizer.wide_valid),
            write.wide.eq(requantizer.wide),
        ]

    def report(self, m, fetch, retire, write):
        """State, errors, completion."""
        engine, stopped = self.engine, Signal()
        m.d.comb += [
            fetch.halt.eq(engine.halt | stopped),
            engine.done.eq(retire.done),
            engine.offset.eq(fetch.instruction.offset),
            engine.quiet.eq(1),
        ]
        m.d.sync += engine.error.valid.eq(fetch.failed & ~fetch.halt)
        with m.If(fetch.failed & ~fetch.halt):
            m.d.sync += [
                stopped.eq(1),
                engine.error.cause.eq(isa.Cause.ADDRESS),
                engine.error.offset.eq(retire.offsets[fetch.failed_parity]),
            ]
        moving = write.busy | engine.done.valid
        with m.If(~fetch.busy | fetch.halt | fetch.waiting):
            m.d.comb += engine.state.eq(Mux(moving, State.DRAIN, State.IDLE))
        with m.Elif(fetch.issued | fetch.hungry):
            m.d.comb += engine.state.eq(State.BUSY)
        with m.Elif(fetch.hazard):
            m.d.comb += engine.state.eq(State.STALL_HAZARD)
        with m.Else():
            m.d.comb += engine.state.eq(State.STALL_MEMORY)
