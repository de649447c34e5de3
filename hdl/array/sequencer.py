"""Walks through the rows of matmul instructions."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import SEMAPHORES, Config
from gemmary.isa import FORMATS, Opcode

from ..interfaces import OFFSET_BITS, instruction_layout
from ..memory.address import Coordinate, LoopNest, Walk, step_fields

LOOPS = FORMATS[Opcode.MATMUL].loops


class Row(data.Struct):
    """One iteration of the nest. ``read``: the activation is in bounds, otherwise it is ``constant``. ``swap``: the first of a
    weight tile. ``beyond``: an address is outside its memory. ``last``: of the instruction."""

    activation: 16
    accumulator: 16
    read: 1
    constant: signed(8)
    overwrite: 1
    swap: 1
    beyond: 1
    last: 1
    signal: SEMAPHORES
    offset: OFFSET_BITS


class RowSequencer(wiring.Component):
    """Instructions in, one row a cycle out: no gap between two instructions if the next one waits at ``i``.

    Latency from ``i`` to its first row: 1 cycle. ``i.ready`` depends on ``o.ready``.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {"i": In(stream.Signature(instruction_layout(Opcode.MATMUL))), "o": Out(stream.Signature(Row))}
        )

    def elaborate(self, platform):
        m = Module()
        active, last = Signal(), Signal()
        current = Signal(self.i.payload.shape(), reset_less=True)
        self.load, self.step = Signal(), Signal()
        m.d.comb += [
            self.o.valid.eq(active),
            self.step.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(~active | (self.step & last)),
            self.load.eq(self.i.valid & self.i.ready),
        ]
        with m.If(self.load):
            m.d.sync += [active.eq(1), current.eq(self.i.payload)]
        with m.Elif(self.step & last):
            m.d.sync += active.eq(0)

        m.submodules.nest = nest = LoopNest(LOOPS)
        m.d.comb += [nest.load.eq(self.load), nest.step.eq(self.step), last.eq(nest.last)]
        # What a load uses at once comes from the new instruction, everything else from the current one.
        fresh = {f"count_{loop}": Signal(16, name=f"count_{loop}") for loop in LOOPS}
        fresh |= {f"{axis}_start": Signal(signed(16), name=f"{axis}_start") for axis in "yx"}
        m.d.comb += [value.eq(Mux(self.load, self.i.payload[name], current[name])) for name, value in fresh.items()]
        m.d.comb += [nest.counts[loop].eq(fresh[f"count_{loop}"]) for loop in LOOPS]

        activation = self._walk(m, nest, current, "activation")
        accumulator = self._walk(m, nest, current, "accumulator")
        in_bounds = [self._coordinate(m, nest, current, axis, fresh[f"{axis}_start"]) for axis in "yx"]
        first = {loop: nest.first[i] for i, loop in enumerate(LOOPS)}
        row = self.o.payload
        m.d.comb += [
            row.activation.eq(activation),
            row.accumulator.eq(accumulator),
            row.read.eq(in_bounds[0] & in_bounds[1]),
            row.constant.eq(current.constant),
            row.overwrite.eq(~current.accumulate & first["k"] & first["ky"] & first["kx"]),
            row.swap.eq(first["y"] & first["x"]),
            row.beyond.eq(
                (row.read & (activation >= self.config.activation_words))
                | (accumulator >= self.config.accumulator_words)
            ),
            row.last.eq(nest.last),
            row.signal.eq(current.signal),
            row.offset.eq(current.offset),
        ]
        return m

    def _walk(self, m, nest, current, name):
        m.submodules[f"{name}_walk"] = walk = Walk(LOOPS, LOOPS)
        m.d.comb += [
            walk.load.eq(self.load),
            walk.start.eq(self.i.payload[f"{name}_address"]),
            walk.steps.eq(step_fields(current, name, LOOPS)),
            walk.step.eq(self.step),
            walk.advance.eq(nest.advance),
        ]
        return walk.address

    def _coordinate(self, m, nest, current, axis, start):
        m.submodules[f"{axis}_coordinate"] = coordinate = Coordinate(LOOPS, f"k{axis}", axis)
        m.d.comb += [
            coordinate.load.eq(self.load),
            coordinate.start.eq(start),
            coordinate.outer_step.eq(current[f"{axis}_dilation"]),
            coordinate.inner_step.eq(current[f"{axis}_stride"]),
            coordinate.limit.eq(current[f"{axis}_limit"]),
            coordinate.step.eq(self.step),
            coordinate.advance.eq(nest.advance),
        ]
        return coordinate.in_bounds
