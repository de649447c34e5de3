"""The runs of a load or store instruction."""

from amaranth import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary import isa
from gemmary.config import Config

from ..interfaces import granules, instruction_layout
from ..memory.address import LoopNest, Walk, step_fields

ONCHIP_BITS = 16


def run_layout(config: Config) -> data.StructLayout:
    """One run: where it starts on both sides. ``outside``: its granules are not all inside the space; ``row_last``: loop x
    is at its last iteration; ``last``: so is the instruction."""
    return data.StructLayout(
        {
            "external": unsigned(config.address_bits),
            "onchip": unsigned(ONCHIP_BITS),
            "outside": 1,
            "row_last": 1,
            "last": 1,
        }
    )


class RunGenerator(wiring.Component):
    """Instructions in, their runs out, in the order of the nest.

    ``instruction`` holds the fields of the instruction whose runs are offered; each run has ``granules``, and of the last one
    the bytes 0 to ``tail``. With ``hold_onchip`` the on-chip address does not move with loop x.

    One run a cycle; the first is offered 2 cycles after the instruction is taken, the next instruction is taken in the
    cycle after the last run. External addresses are modulo 2**address_bits, on-chip ones modulo 2**16.

        i ──► instruction ──► loop nest ──► walks ──► o
    """

    def __init__(self, config: Config, opcode: isa.Opcode):
        self.config, self.format = config, isa.FORMATS[opcode]
        layout = instruction_layout(opcode)
        super().__init__(
            {
                "i": In(stream.Signature(layout)),
                "o": Out(stream.Signature(run_layout(config))),
                "instruction": Out(layout),
                "granules": Out(range(isa.MAX_LENGTH // config.bus_bytes + 1)),
                "tail": Out(range(config.bus_bytes)),
                "hold_onchip": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        loops = self.format.loops
        instruction = Signal(self.instruction.shape(), reset_less=True)
        taken, running = Signal(), Signal()
        m.submodules.nest = nest = LoopNest(loops)
        m.submodules.external = external = Walk(loops, loops, self.config.address_bits, 32)
        m.submodules.onchip = onchip = Walk(loops, loops)

        m.d.comb += [self.instruction.eq(instruction), self.i.ready.eq(~taken & ~running)]
        m.d.sync += taken.eq(self.i.valid & self.i.ready)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += instruction.eq(self.i.payload)
        step = self.o.valid & self.o.ready
        with m.If(taken):
            m.d.sync += running.eq(1)
        with m.Elif(step & nest.last):
            m.d.sync += running.eq(0)

        m.d.comb += nest.counts.as_value().eq(Cat(instruction[f"count_{loop}"] for loop in loops))
        for name, walk in (("external", external), ("onchip", onchip)):
            m.d.comb += [
                walk.start.eq(instruction[f"{name}_address"]),
                walk.steps.as_value().eq(step_fields(instruction, name, loops)),
            ]
        with m.If(self.hold_onchip):
            m.d.comb += onchip.steps.x.eq(0)
        for part in (nest, external, onchip):
            m.d.comb += [part.load.eq(taken), part.step.eq(step)]
        m.d.comb += [external.advance.eq(nest.advance), onchip.advance.eq(nest.advance)]

        m.d.comb += [
            self.o.valid.eq(running),
            self.o.payload.external.eq(external.address),
            self.o.payload.onchip.eq(onchip.address),
            self.o.payload.row_last.eq(~nest.advance[loops.index("x")]),
            self.o.payload.last.eq(nest.last),
        ]
        self._check(m, taken, onchip.address)
        return m

    def _check(self, m, taken, address):
        """A run fits when it starts no higher than ``highest`` = depth of the space − granules of a run. A space that takes
        all 2**16 addresses has no outside."""
        bits = (self.config.bus_bytes - 1).bit_length()
        last_byte, last_granule = Signal(range(isa.MAX_LENGTH)), Signal(range(isa.MAX_LENGTH >> bits))
        deepest = Signal(ONCHIP_BITS)
        highest, granule_count, tail = (Signal.like(s, reset_less=True) for s in (deepest, self.granules, self.tail))
        never = Signal(reset_less=True)
        m.d.comb += [
            last_byte.eq(self.instruction.length - 1),
            last_granule.eq(last_byte >> bits),
            self.granules.eq(granule_count),
            self.tail.eq(tail),
            self.o.payload.outside.eq(never | (address > highest)),
        ]
        with m.Switch(self.instruction.space):
            for space in map(isa.Space, self.format["space"].allowed):
                with m.Case(space):
                    m.d.comb += deepest.eq(min(granules(self.config, space), 1 << ONCHIP_BITS) - 1)
        with m.If(taken):
            m.d.sync += [
                granule_count.eq(last_granule + 1),
                tail.eq(last_byte),
                highest.eq(deepest - last_granule),
                never.eq(deepest < last_granule),
            ]
            with m.If(deepest.all()):
                m.d.sync += highest.eq(-1)
