"""Decides in which cycle a row goes into the array, for a fast clock."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from gemmary.config import Config
from gemmary.registers import State

from ..stream.replay_queue import ReplaySignature
from .issue import issue_members
from .lines import held_layout
from .sequencer import row_layout


class LineIssue(wiring.Component):
    """`Issue` for memories that are always ready, with everything that leaves it in registers.

    A row waits for ``hold`` cycles after the one before it, and the first of a tile for its weights (``loaded``, which a swap takes away 2 cycles after its
    row was issued). ``row`` goes with ``issued`` and ``failed``; ``state`` is a cycle late. Latency 1 cycle, throughput one row a
    cycle. A row that waits is looked at in every second cycle.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__({"i": In(ReplaySignature(held_layout(config)))} | issue_members(config))

    def elaborate(self, platform):
        m = Module()
        row, valid = self.i.payload, self.i.valid
        out = Signal(row_layout(self.config), reset_less=True)
        issued, failed, swapped = Signal(), Signal(), Signal()
        since, held, loaded, goes = Signal.like(row.hold), Signal(), Signal(), Signal()
        m.d.comb += [
            self.swap.eq(swapped),
            loaded.eq(~row.swap | (self.loaded & ~swapped)),
            held.eq(since < row.hold),
            goes.eq(valid & ~row.beyond & ~held & loaded & self.enable),
            self.i.ready.eq(goes),
            self.row.eq(out),
            self.request.eq(issued & out.read),
            self.issued.eq(issued),
            self.failed.eq(failed),
        ]
        m.d.sync += [
            issued.eq(goes),
            swapped.eq(goes & row.swap),
            failed.eq(valid & self.enable & ~failed & (row.beyond | (row.swap & self.weights_beyond))),
            *(out[name].eq(row[name]) for name, _ in out.shape() if name != "offset"),
        ]
        with m.If(valid):  # the offset is shown while a row waits too
            m.d.sync += out.offset.eq(row.offset)
        with m.If(goes):
            m.d.sync += since.eq(0)
        with m.Elif(~since.all()):
            m.d.sync += since.eq(since + 1)

        busy, weights, hazard, waits = (Signal(name=f"was_{name}") for name in ("busy", "weights", "hazard", "waiting"))
        again = Signal()  # a row that waits is away in every second cycle
        m.d.sync += [busy.eq(issued), again.eq(valid & ~goes)]
        with m.If(~again):
            m.d.sync += [weights.eq(valid & row.swap & ~self.loaded), hazard.eq(valid & held), waits.eq(valid)]
        with m.If(busy):
            m.d.comb += self.state.eq(State.BUSY)
        with m.Elif(weights):
            m.d.comb += self.state.eq(State.STALL_WEIGHTS)
        with m.Elif(hazard):
            m.d.comb += self.state.eq(State.STALL_HAZARD)
        with m.Elif(waits):
            m.d.comb += self.state.eq(State.STALL_MEMORY)
        return m
