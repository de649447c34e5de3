"""Decides in which cycle a row goes into the array, for a fast clock."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.registers import State

from .lines import held_layout
from .sequencer import row_layout


class LineIssue(wiring.Component):
    """`Issue` for memories that are always ready, with everything that leaves it in registers.

    A row waits for ``hold`` cycles after the one before it, and the first of a tile for its weights (``loaded``, which a swap takes away 2 cycles after its
    row was issued). ``row`` goes with ``issued`` and ``failed``. Latency 2 cycles, throughput one row a cycle.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(held_layout(config))),
                "row": Out(row_layout(config)),
                "enable": In(1),
                "request": Out(1),
                "ready": In(1),
                "loaded": In(1),
                "weights_beyond": In(1),
                "issued": Out(1),
                "failed": Out(1),
                "state": Out(State),
            }
        )

    def elaborate(self, platform):
        m = Module()
        valid, bad, held = Signal(), Signal(reset_less=True), Signal()
        row, out = (Signal(row_layout(self.config), name=name, reset_less=True) for name in ("row", "out"))
        hold = Signal.like(self.i.payload.hold)
        issued, failed, swapped = Signal(), Signal(), Signal()
        loaded, goes = Signal(), Signal()
        m.d.comb += [
            swapped.eq(issued & out.swap),
            loaded.eq(~row.swap | (self.loaded & ~swapped)),
            goes.eq(valid & ~bad & ~held & loaded & self.enable),
            self.i.ready.eq(~valid | goes),
            self.row.eq(out),
            self.request.eq(issued & out.read),
            self.issued.eq(issued),
            self.failed.eq(failed),
        ]
        m.d.sync += [
            issued.eq(goes),
            failed.eq(valid & self.enable & (bad | (row.swap & self.weights_beyond)) & ~failed),
            out.eq(row),
        ]
        with m.If(self.i.ready):
            m.d.sync += [valid.eq(self.i.valid), bad.eq(self.i.payload.beyond)]
            m.d.sync += [row[name].eq(self.i.payload[name]) for name, _ in row.shape()]
            m.d.sync += [hold.eq(self.i.payload.hold), held.eq(self.i.valid & (self.i.payload.hold != 0))]
        with m.Elif(held):
            m.d.sync += [hold.eq(hold - 1), held.eq(hold != 1)]

        with m.If(issued):
            m.d.comb += self.state.eq(State.BUSY)
        with m.Elif(valid & row.swap & ~self.loaded):
            m.d.comb += self.state.eq(State.STALL_WEIGHTS)
        with m.Elif(valid & held):
            m.d.comb += self.state.eq(State.STALL_HAZARD)
        with m.Elif(valid):
            m.d.comb += self.state.eq(State.STALL_MEMORY)
        return m
