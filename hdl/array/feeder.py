"""Streams weight tiles from the weight scratchpad into the array."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import Opcode

from ..interfaces import READ_LATENCY, ReadPort, instruction_layout
from ..memory.address import LoopNest, Walk, step_fields
from .array import WeightSignature
from .delay import Delay

LOOPS = ("n", "k", "ky", "kx")
"""One weight tile for each iteration of these."""


def feeder_members(config: Config) -> dict:
    """Of a feeder: from the sequencer, to the weight scratchpad, to the array, with the issue."""
    return {
        "load": In(1),
        "instruction": In(instruction_layout(Opcode.MATMUL)),
        "ready": Out(1),
        "enable": In(1),
        "port": Out(ReadPort(config.weight_words, data.ArrayLayout(signed(8), config.columns))),
        "w": Out(WeightSignature(config)),
        "swap": In(1),
        "loaded": Out(1),
        "beyond": Out(1),
    }


class WeightFeeder(wiring.Component):
    """One tile after another: reads its ``rows`` words and sends them to the array, READ_LATENCY cycles after the request.

    An instruction is taken in a cycle with ``load`` and ``ready``; ``ready`` is high while the feeder has nothing left to read
    or is accepted its last word. Its first request follows 1 cycle later; then one word a cycle, as long as the port accepts,
    also across tiles and instructions. The array has room for one tile beside the active one, so a tile is begun the cycle
    after the ``swap`` to the one before it, or later.

    ``loaded``: the tile may be swapped in by a row that is issued in this cycle. ``swap``: it is. ``beyond``: the tile that
    would be read next is not inside the memory; it is not read, and the feeder stays where it is. Nothing is requested while
    ``enable`` is low.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(feeder_members(config))

    def elaborate(self, platform):
        m = Module()
        active, full, final, beyond = Signal(), Signal(), Signal(), Signal()
        row = Signal(range(self.config.rows))
        address = Signal(16)
        accepted, complete = Signal(), Signal()
        m.d.comb += [
            self.port.valid.eq(active & ~full & ~beyond & self.enable),
            self.port.address.eq(address),
            accepted.eq(self.port.valid & self.port.ready),
            complete.eq(accepted & (row == self.config.rows - 1)),
            self.loaded.eq(full | complete),
            self.beyond.eq(active & ~full & beyond),
            self.ready.eq(~active | (complete & final)),
        ]
        m.d.sync += full.eq(self.loaded & ~self.swap)

        next_address, last = self._tiles(m, accepted & (row == 0))
        with m.If(accepted):
            m.d.sync += [row.eq(row + 1), address.eq(address + 1)]
            with m.If(row == 0):
                m.d.sync += final.eq(last)
        with m.If(self.load | (complete & ~final)):
            first = Mux(self.load, self.instruction.weight_address, next_address)
            m.d.sync += [active.eq(1), address.eq(first), beyond.eq(self._is_beyond(first))]
        with m.Elif(complete):
            m.d.sync += active.eq(0)
        self._words(m, accepted)
        return m

    def _tiles(self, m, begun):
        """Address of the tile after the one being read, which is ``begun`` with its first word; and whether the latter is the
        last one."""
        instruction = self.instruction
        fields = data.StructLayout(dict.fromkeys(LOOPS, 16))
        counts, steps = Signal(fields, reset_less=True), Signal(fields, reset_less=True)
        m.submodules.nest = nest = LoopNest(LOOPS, apart=True)
        m.submodules.walk = walk = Walk(LOOPS, LOOPS)
        m.d.comb += [
            [nest.new_counts[loop].eq(instruction[f"count_{loop}"]) for loop in LOOPS],
            nest.load.eq(self.load),
            nest.counts.eq(counts),
            nest.step.eq(begun),
            walk.load.eq(self.load),
            walk.start.eq(instruction.weight_address),
            walk.steps.eq(steps),
            walk.step.eq(begun),
            walk.advance.eq(nest.advance),
        ]
        with m.If(self.load):
            m.d.sync += [counts.eq(nest.new_counts), steps.eq(step_fields(instruction, "weight", LOOPS))]
        return walk.address, nest.last

    def _is_beyond(self, address):
        """Some word of the tile is outside the memory. In one of 2**16 words none can be: addresses wrap around."""
        words = self.config.weight_words
        return address > words - self.config.rows if words < 1 << 16 else 0

    def _words(self, m, accepted):
        m.submodules.valid = valid = Delay(1, READ_LATENCY, reset=True)
        m.d.comb += [valid.i.eq(accepted), self.w.valid.eq(valid.o), self.w.data.eq(self.port.data)]
