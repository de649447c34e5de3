"""The tensor engine: matmul instructions in, rows of partial sums out."""

from amaranth import Cat, ClockDomain, ClockSignal, DomainRenamer, Module, Mux, ResetSignal, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from gemmary.config import SEMAPHORES, Config
from gemmary.isa import Cause, Opcode
from gemmary.registers import State

from ..interfaces import (
    ACCUMULATE_DISTANCE,
    APART_READ_LATENCY,
    OFFSET_BITS,
    READ_LATENCY,
    SUM_LEAD,
    AccumulatePort,
    EngineSignature,
    ReadPort,
)
from ..stream.queue import Queue
from .array import SystolicArray
from .delay import Delay, RamDelay
from .feeder import WeightFeeder
from .issue import Issue
from .line_issue import LineIssue
from .lines import LineSequencer
from .multiplier import DotProduct
from .paced_feeder import PacedFeeder
from .pair import PairArray
from .sequencer import RowSequencer

INJECT = 1
"""Cycles from the activation word to the array: a register behind the choice between the word and the constant."""


class TensorEngine(wiring.Component):
    """Executes matmul instructions (docs/isa.md) in order, one activation word a cycle.

        i ─┬─► slot ──► sequencer ──► issue ──► activation ──► inject ──► array ──► accumulate
           │                            ▲ │                                ▲
           └─► feeder ──────────────────┘ └─► delay (row, overwrite) ──────┼──────► accumulate
                 └─► weight ───────────────────────────────────────────────┘

    A row issued in cycle t is in the accumulator in t + READ_LATENCY + INJECT + array.latency + ACCUMULATE_DISTANCE; that
    of an instruction's last row is the cycle of ``done``. An instruction that comes to an idle engine issues its first row
    ``rows`` cycles after it was taken. With the next instruction at hand and tiles of ``rows`` rows or more, a row is issued in every
    cycle; a tile of fewer takes ``rows`` cycles.

    ``i`` takes an instruction when the feeder has read the last weights of the one before it, and the sequencer has begun
    that one. An address outside its memory is an error ADDRESS when its row would have been issued: rows before it are
    completed, it and all after it are not. ``halt`` stops the issue, and the requests, in the same cycle.

    ``parts``: it has a clock of its own, with memories that never refuse it. Part p of an activation word and the weight of column c come APART_READ_LATENCY +
    p or c cycles after their addresses, sums are skewed too, so that a row is in the accumulator some cycles later. ``halt`` acts 2 cycles late; no tile of
    weights begins 3 cycles after it. A tile of fewer than ``rows`` + 5 rows takes as long as one of those, and instructions have some cycles between them.
    """

    def __init__(self, config: Config, multiplier: type = DotProduct, parts: int | None = None):
        self.config, self.parts, self.apart = config, parts or 1, parts is not None
        array, lead = PairArray if config.multiplier == "pair" else SystolicArray, SUM_LEAD if self.apart else None
        self.array = array(config, multiplier, lead)
        # From its first part until a word goes into the array; weights are to come neither sooner nor later.
        self.first_latency = APART_READ_LATENCY if self.apart else READ_LATENCY
        self.alignment = INJECT + max(part - lag for part, lag in self._pieces())
        self.read_latency = self.first_latency + self.alignment - INJECT
        self.latency = self.read_latency + INJECT + self.array.latency
        # From the accumulate port until every column of a row can be read.
        self.visible = SUM_LEAD + 3 + config.columns if self.apart else ACCUMULATE_DISTANCE
        # The rules of the array and what the feeder promises (a word 1 cycle after a swap at the soonest; all words requested in
        # the cycle of the next swap at the latest) meet without a cycle to spare.
        assert 1 - INJECT >= self.array.WEIGHTS_AFTER_SWAP
        assert INJECT >= self.array.WEIGHTS_BEFORE_SWAP
        super().__init__(
            {
                "engine": Out(EngineSignature(Opcode.MATMUL)),
                "activation": Out(ReadPort(config.activation_words, data.ArrayLayout(signed(8), config.rows))),
                "weight": Out(ReadPort(config.weight_words, data.ArrayLayout(signed(8), config.columns))),
                "accumulate": Out(AccumulatePort(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        feeder = PacedFeeder(self.config, self.read_latency) if self.apart else WeightFeeder(self.config)
        m.submodules.feeder = self.feeder = feeder
        # An array with a window keeps the other ones, which are slower, whatever its clock.
        lines = self.apart and not self.config.window_line
        m.submodules.sequencer = self.sequencer = (LineSequencer if lines else RowSequencer)(self.config)
        m.submodules.issue = self.issue = (LineIssue if lines else Issue)(self.config)
        if self.apart:
            # The array is large: its reset comes from a register of its own, a cycle later.
            late = Signal(init=1)
            m.d.sync += late.eq(0)
            m.domains.array = ClockDomain(local=True)
            m.d.comb += [ClockSignal("array").eq(ClockSignal()), ResetSignal("array").eq(late)]
        m.submodules.array = DomainRenamer("array")(self.array) if self.apart else self.array
        self._take(m)
        self._control(m)
        self._feed_array(m)
        self._accumulate(m)
        self._retire(m)
        self._state(m)
        return m

    def _take(self, m):
        """Instructions go to the feeder at once, and to the sequencer by way of a slot; with a clock of its own, to each when it is ready."""
        i, feeder, sequencer = self.engine.i, self.feeder, self.sequencer
        if self.apart:
            fed, begun = Signal(), Signal()
            m.d.comb += [
                feeder.load.eq(i.valid & ~fed & feeder.ready),
                feeder.instruction.eq(i.payload),
                sequencer.i.valid.eq(i.valid & ~begun),
                sequencer.i.payload.eq(i.payload),
                i.ready.eq(fed & begun),
            ]
            with m.If(i.ready):
                m.d.sync += [fed.eq(0), begun.eq(0)]
            with m.Elif(i.valid):
                m.d.sync += [fed.eq(fed | feeder.load), begun.eq(begun | sequencer.i.ready)]
            return
        waiting = Signal()
        slot = Signal(i.payload.shape(), reset_less=True)
        m.d.comb += [
            i.ready.eq(~waiting & feeder.ready & feeder.enable),
            feeder.load.eq(i.valid & i.ready),
            feeder.instruction.eq(i.payload),
            sequencer.i.valid.eq(waiting),
            sequencer.i.payload.eq(slot),
        ]
        with m.If(feeder.load):
            m.d.sync += [waiting.eq(1), slot.eq(i.payload)]
        with m.Elif(sequencer.i.ready):
            m.d.sync += waiting.eq(0)

    def _control(self, m):
        issue, feeder, sequencer, error = self.issue, self.feeder, self.sequencer, self.engine.error
        failed, enable = Signal(), Signal()
        m.d.comb += [
            feeder.enable.eq(enable),
            issue.enable.eq(enable),
            issue.i.valid.eq(sequencer.o.valid),
            issue.i.payload.eq(sequencer.o.payload),
            sequencer.o.ready.eq(issue.i.ready),
            issue.loaded.eq(feeder.loaded),
            issue.weights_beyond.eq(feeder.beyond),
            feeder.swap.eq(issue.swap),
        ]
        # Late by a cycle it does no harm: a row that fails stays where it is.
        m.d["sync" if self.apart else "comb"] += enable.eq(~self.engine.halt & ~failed)
        m.d.comb += error.cause.eq(Cause.ADDRESS)
        m.d.sync += [error.valid.eq(issue.failed & ~failed), error.offset.eq(issue.row.offset)]
        with m.If(issue.failed):
            m.d.sync += failed.eq(1)

    def _feed_array(self, m):
        """Words and weights from the scratchpads into the array."""
        issue, array, weight = self.issue, self.array, self.feeder.port
        m.submodules.valid = valid = Delay(1, self.read_latency + INJECT, reset=True)
        beside = {"swap": 1, "read": 1, "constant": 8}
        if self.config.window_line:
            beside |= {name: getattr(array.i, name).shape() for name in ("window", "position")}
        m.submodules.side = side = Delay(data.StructLayout(beside), self.first_latency)
        m.submodules.later = later = Delay(len(weight.address), self.alignment - INJECT)
        m.submodules.swap = swap = Delay(1, self.alignment)
        m.d.comb += [
            self.activation.valid.eq(issue.request),
            self.activation.address.eq(issue.row.activation),
            issue.ready.eq(self.activation.ready),
            later.i.eq(weight.address),
            self.weight.valid.eq(weight.valid),
            self.weight.address.eq(later.o),
            weight.ready.eq(self.weight.ready),
            weight.data.eq(self.weight.data),
            array.w.valid.eq(self.feeder.w.valid),
            array.w.data.eq(self.feeder.w.data),
            valid.i.eq(issue.issued),
            side.i.swap.eq(issue.issued & issue.row.swap),
            side.i.read.eq(issue.row.read),
            side.i.constant.eq(issue.row.constant),
            array.i.valid.eq(valid.o),
            swap.i.eq(side.o.swap),
            array.i.swap.eq(swap.o),
        ]
        self._inject(m, side.o)
        if self.config.window_line:
            for name in ("window", "position"):
                m.submodules[name] = late = Delay(side.o[name].shape(), self.alignment)
                m.d.comb += [
                    side.i[name].eq(issue.row[name]),
                    late.i.eq(side.o[name]),
                    getattr(array.i, name).eq(late.o),
                ]

    def _pieces(self) -> list[tuple[int, int]]:
        """A word in pieces that are of one part and of one row of cells: the part, and how many cycles after the first row of cells the array
        wants it."""
        array = self.array
        if not array.skewed:
            return [(part, 0) for part in range(self.parts)]
        pieces = max(self.parts, array.blocks)
        return [(i * self.parts // pieces, array.ROW_LAG * (i * array.blocks // pieces)) for i in range(pieces)]

    def _inject(self, m, side):
        """The word or the constant into the array: what decides passes the parts as the word's address has done."""
        pieces, passed = self._pieces(), 0
        bits = 8 * self.config.rows // len(pieces)
        read, constant = side.read, side.constant
        for i, (part, lag) in enumerate(pieces):
            if part > passed:
                m.submodules[f"beside_{passed}"] = later = Delay(data.StructLayout({"read": 1, "constant": 8}), 1)
                m.d.comb += [later.i.read.eq(read), later.i.constant.eq(constant)]
                read, constant, passed = later.o.read, later.o.constant, part
            found, word = (
                signal.as_value().word_select(i, bits) for signal in (self.activation.data, self.array.i.data)
            )
            m.submodules[f"align_{i}"] = align = Delay(bits, self.alignment + lag - part)
            m.d.comb += [align.i.eq(Mux(read, found, constant.replicate(bits // 8))), word.eq(align.o)]

    def _accumulate(self, m):
        """Where a row goes travels beside the array."""
        issue, port = self.issue, self.accumulate
        flags = ("overwrite", "last", "write") if self.config.window_line else ("overwrite", "last")
        layout = data.StructLayout({"row": port.row.shape()} | dict.fromkeys(flags, 1))
        m.submodules.beside = self.beside = beside = RamDelay(layout, self.latency)
        m.d.comb += [
            beside.i.row.eq(issue.row.accumulator),
            *(beside.i[flag].eq(issue.row[flag]) for flag in flags),
            port.valid.eq(self.array.o.valid & (beside.o.write if self.config.window_line else 1)),
            port.row.eq(beside.o.row),
            port.overwrite.eq(beside.o.overwrite),
            port.data.eq(self.array.o.data),
        ]

    def _retire(self, m):
        """Instructions with all rows issued wait for their last row."""
        issue, done = self.issue, self.engine.done
        cycles = self.latency + self.visible
        # Two last rows may be neighbours; a third is `rows` cycles behind the first, because of the weights in between.
        layout = data.StructLayout({"signal": SEMAPHORES, "offset": OFFSET_BITS})
        m.submodules.retiring = self.retiring = retiring = Queue(layout, cycles // self.config.rows + 2)
        visible = Signal(self.visible)
        m.d.sync += visible.eq(Cat(self.array.o.valid & self.beside.o.last, visible))
        m.d["sync" if self.apart else "comb"] += [
            retiring.i.valid.eq(issue.issued & issue.row.last),
            retiring.i.payload.signal.eq(issue.row.signal),
            retiring.i.payload.offset.eq(issue.row.offset),
        ]
        m.d.comb += [
            retiring.o.ready.eq(visible[-1]),
            done.valid.eq(visible[-1]),
            done.signal.eq(retiring.o.payload.signal),
            done.offset.eq(retiring.o.payload.offset),
        ]

    def _state(self, m):
        engine, issue, sequencer = self.engine, self.issue, self.sequencer
        m.d.comb += [engine.offset.eq(issue.row.offset), engine.quiet.eq(1)]
        comes, drains = Signal(), Signal()
        m.d["sync" if self.apart else "comb"] += [  # late as the state of the issue is
            comes.eq(sequencer.o.valid | sequencer.i.valid),
            drains.eq(self.retiring.o.valid | self.retiring.i.valid),
        ]
        with m.If(issue.enable & (issue.state != State.IDLE)):
            m.d.comb += engine.state.eq(issue.state)
        with m.Elif(issue.enable & comes):
            m.d.comb += engine.state.eq(State.STALL_WEIGHTS)
        with m.Elif(drains):
            m.d.comb += engine.state.eq(State.DRAIN)
