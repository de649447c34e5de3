"""Decides in which cycle a row goes into the array."""

from amaranth import Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.registers import State

from ..interfaces import ACCUMULATE_DISTANCE
from .sequencer import row_layout


def issue_members(config: Config) -> dict:
    """Of an issue, besides the rows that come: towards the activation scratchpad, the feeder and the array."""
    return {
        "row": Out(row_layout(config)),
        "enable": In(1),
        "request": Out(1),
        "ready": In(1),
        "loaded": In(1),
        "weights_beyond": In(1),
        "issued": Out(1),
        "swap": Out(1),
        "failed": Out(1),
        "state": Out(State),
    }


class Issue(wiring.Component):
    """Holds the next row until it can go: ``issued``, together with ``request`` accepted if it reads an activation;
    ``swap``, if it is the first of a tile.

    It waits for the memory (``request`` / ``ready``), for its weight tile (``loaded``, with the first row of a tile) and until
    ACCUMULATE_DISTANCE cycles have passed since a row for the same accumulator row. ``failed``: the row, or its weight tile
    (``weights_beyond``), is outside a memory; it is never issued. Nothing happens while ``enable`` is low. ``state``: BUSY or
    what a row waits for; IDLE without a row. Latency 1 cycle, throughput one row a cycle.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__({"i": In(stream.Signature(row_layout(config)))} | issue_members(config))

    def elaborate(self, platform):
        m = Module()
        valid = Signal()
        row = Signal(row_layout(self.config), reset_less=True)
        has_weights, possible = Signal(), Signal()
        hazard = self._hazard(m, row)
        m.d.comb += [
            self.row.eq(row),
            has_weights.eq(~row.swap | self.loaded),
            possible.eq(valid & ~row.beyond & ~hazard & has_weights & self.enable),
            self.request.eq(possible & row.read),
            self.issued.eq(possible & (self.ready | ~row.read)),
            self.swap.eq(self.issued & row.swap),
            self.failed.eq(valid & self.enable & (row.beyond | (row.swap & self.weights_beyond))),
            self.i.ready.eq(~valid | self.issued),
        ]
        with m.If(self.i.ready):
            m.d.sync += [valid.eq(self.i.valid), row.eq(self.i.payload)]

        with m.If(self.issued):
            m.d.comb += self.state.eq(State.BUSY)
        with m.Elif(valid & ~has_weights):
            m.d.comb += self.state.eq(State.STALL_WEIGHTS)
        with m.Elif(valid & hazard):
            m.d.comb += self.state.eq(State.STALL_HAZARD)
        with m.Elif(valid):
            m.d.comb += self.state.eq(State.STALL_MEMORY)
        return m

    def _hazard(self, m, row):
        """Whether the row must still wait for its accumulator row. The comparison is made as the row comes in, and gives the
        number of cycles: what holds back an issue is a counter."""
        bits = (self.config.accumulator_words - 1).bit_length()
        waiting = Signal(range(ACCUMULATE_DISTANCE))
        with m.If(waiting != 0):
            m.d.sync += waiting.eq(waiting - 1)
        issued, accumulator = self._writes(row, self.issued), row.accumulator[:bits]
        matches = []
        for age in range(ACCUMULATE_DISTANCE - 1):
            matches.append(issued & (accumulator == self.i.payload.accumulator[:bits]))
            earlier_issued = Signal(name=f"issued_{age + 1}")
            earlier_accumulator = Signal(bits, name=f"accumulator_{age + 1}", reset_less=True)
            m.d.sync += [earlier_issued.eq(issued), earlier_accumulator.eq(accumulator)]
            issued, accumulator = earlier_issued, earlier_accumulator
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += waiting.eq(0)
            for age, match in reversed(list(enumerate(matches))):
                with m.If(self._writes(self.i.payload, match)):
                    m.d.sync += waiting.eq(Const(ACCUMULATE_DISTANCE - 1 - age))
        return waiting != 0

    def _writes(self, row, condition):
        """``condition``, for a row that writes its sums."""
        return condition & row.write if self.config.window_line else condition
