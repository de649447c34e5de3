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


class WeightFeeder(wiring.Component):
    """One tile after another: reads its ``rows`` words and sends them to the array, ``read_latency`` cycles after the request.

    An instruction is taken in a cycle with ``load`` and ``ready``; ``ready`` is high while the feeder has nothing left to read
    or (not ``paced``) is accepted its last word. Its first request follows 1 cycle later; then one word a cycle, as long as the port accepts,
    also across tiles and instructions. The array has room for one tile beside the active one, so a tile is begun the cycle
    after the ``swap`` to the one before it, or later.

    ``loaded``: the tile may be swapped in by a row that is issued in this cycle. ``swap``: it is. ``beyond``: the tile that
    would be read next is not inside the memory; it is not read, and the feeder stays where it is. Nothing is requested while
    ``enable`` is low. ``paced``: addresses are made in several cycles, while a tile is read, for a fast clock.
    """

    def __init__(self, config: Config, read_latency: int = READ_LATENCY, paced: bool = False):
        self.config, self.read_latency, self.paced = config, read_latency, paced
        assert not paced or config.rows >= 4, "a step of paced addresses takes 3 cycles"
        super().__init__(
            {
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
        )

    def elaborate(self, platform):
        m = Module()
        active, full, final, beyond = Signal(), Signal(), Signal(), Signal()
        row = Signal(range(self.config.rows))
        address = Signal(16)
        accepted, complete, at_last, loaded = Signal(), Signal(), Signal(), Signal()
        load = Signal()  # paced, a cycle late: the instruction stays for as long
        m.d.comb += [
            self.port.valid.eq(active & ~full & ~beyond & self.enable),
            self.port.address.eq(address),
            accepted.eq(self.port.valid & self.port.ready),
            complete.eq(accepted & at_last),
            loaded.eq(full | complete),
            self.loaded.eq(full if self.paced else loaded),
            self.beyond.eq(active & ~full & beyond),
            self.ready.eq(~active & ~load if self.paced else ~active | (complete & final)),
        ]
        m.d["sync" if self.paced else "comb"] += load.eq(self.load)
        m.d.sync += full.eq(loaded & ~self.swap)

        # Paced, the loops advance a cycle later, and what they have done is known 3 cycles after that.
        known = 1 if self.paced else 0
        begun = accepted & (row == known)
        if self.paced:
            begun = Signal()
            m.d.sync += begun.eq(accepted & (row == known))
        next_address, last = self._tiles(m, load, begun)
        with m.If(accepted):
            m.d.sync += [row.eq(row + 1), address.eq(address + 1), at_last.eq(row == self.config.rows - 2)]
            with m.If(row == known):
                m.d.sync += final.eq(last)
        with m.If(load | (complete & ~final)):
            first = Mux(load, self.instruction.weight_address, next_address)
            m.d.sync += [active.eq(1), address.eq(first), beyond.eq(self._is_beyond(first))]
        with m.Elif(complete):
            m.d.sync += active.eq(0)
        self._words(m, accepted)
        return m

    def _tiles(self, m, load, begun):
        """Address of the tile after the one being read, which is ``begun`` with its first word; and whether the latter is the
        last one."""
        instruction = self.instruction
        fields = data.StructLayout(dict.fromkeys(LOOPS, 16))
        counts, steps = Signal(fields, reset_less=True), Signal(fields, reset_less=True)
        m.submodules.nest = nest = LoopNest(LOOPS, apart=True, paced=self.paced)
        m.submodules.walk = walk = Walk(LOOPS, LOOPS, paced=self.paced)
        m.d.comb += [
            [nest.new_counts[loop].eq(instruction[f"count_{loop}"]) for loop in LOOPS],
            nest.load.eq(load),
            nest.counts.eq(counts),
            nest.step.eq(begun),
            walk.load.eq(load),
            walk.start.eq(instruction.weight_address),
            walk.steps.eq(steps),
            walk.step.eq(begun),
            walk.advance.eq(nest.advance),
        ]
        with m.If(load):
            m.d.sync += [counts.eq(nest.new_counts), steps.eq(step_fields(instruction, "weight", LOOPS))]
        return walk.address, nest.last

    def _is_beyond(self, address):
        """Some word of the tile is outside the memory. In one of 2**16 words none can be: addresses wrap around."""
        words = self.config.weight_words
        return address > words - self.config.rows if words < 1 << 16 else 0

    def _words(self, m, accepted):
        m.submodules.valid = valid = Delay(1, self.read_latency, reset=True)
        m.d.comb += [valid.i.eq(accepted), self.w.valid.eq(valid.o), self.w.data.eq(self.port.data)]
