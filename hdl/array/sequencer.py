"""Walks through the rows of matmul instructions."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import SEMAPHORES, Config
from gemmary.isa import FORMATS, WINDOW, Opcode

from ..interfaces import OFFSET_BITS, instruction_layout
from ..memory.address import Coordinate, LoopNest, Walk, step_fields

LOOPS = FORMATS[Opcode.MATMUL].loops


def row_layout(config: Config) -> data.StructLayout:
    """One iteration of the nest. ``read``: the activation is in bounds, otherwise it is ``constant``. ``swap``: the first of a
    weight tile. ``beyond``: an address is outside its memory. ``last``: of the instruction. In an array with a window: whether
    the row belongs to a ``window`` matmul, at which ``position`` of a line, and whether it is to ``write`` its sums."""
    fields = {
        "activation": 16,
        "accumulator": 16,
        "read": 1,
        "constant": signed(8),
        "overwrite": 1,
        "swap": 1,
        "beyond": 1,
        "last": 1,
        "signal": SEMAPHORES,
        "offset": OFFSET_BITS,
    }
    if config.window_line:
        fields |= {"window": 1, "position": range(config.window_line), "write": 1}
    return data.StructLayout(fields)


class RowSequencer(wiring.Component):
    """Instructions in, one row a cycle out: no gap between two instructions if the next one waits at ``i``.

    Latency from ``i`` to its first row: 1 cycle. ``i.ready`` depends on ``o.ready``.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(instruction_layout(Opcode.MATMUL))),
                "o": Out(stream.Signature(row_layout(config))),
            }
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

        m.submodules.nest = nest = LoopNest(LOOPS, apart=True)
        m.d.comb += [nest.load.eq(self.load), nest.step.eq(self.step), last.eq(nest.last)]
        # What a load uses at once comes from the new instruction, everything else from the current one.
        fresh = {f"{axis}_start": Signal(signed(16), name=f"{axis}_start") for axis in "yx"}
        m.d.comb += [value.eq(Mux(self.load, self.i.payload[name], current[name])) for name, value in fresh.items()]
        for counts, instruction in ((nest.new_counts, self.i.payload), (nest.counts, current)):
            m.d.comb += [counts[loop].eq(instruction[f"count_{loop}"]) for loop in LOOPS]

        refused, write = self._window(m, nest, current) if self.config.window_line else (current.window, 1)
        activation = self._walk(m, nest, current, "activation", self.step)
        accumulator = self._walk(m, nest, current, "accumulator", self.step & write)
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
                | (write & (accumulator >= self.config.accumulator_words))
                | refused
            ),
            row.last.eq(nest.last),
            row.signal.eq(current.signal),
            row.offset.eq(current.offset),
        ]
        return m

    def _window(self, m, nest, current):
        """Whether the instruction is a window matmul that cannot be, and whether the row at hand writes its sums."""
        i, row, inner = self.i.payload, self.o.payload, nest.advance[-1]
        next_line, next_tile = nest.advance[-2], nest.advance[:-2].any()
        refused = Signal()
        position = Signal(range(self.config.window_line))
        lead, odd_line = Signal(2), Signal()
        with m.If(self.load):
            unfit = (i.count_x < WINDOW) | (i.count_x > self.config.window_line)
            m.d.sync += refused.eq(i.window & unfit)
        with m.If(self.load | self.step):
            m.d.sync += position.eq(Mux(self.load | ~inner, 0, position + 1))
        with m.If(self.load | (self.step & next_tile)):
            m.d.sync += [lead.eq(Mux(self.load, i.window_lead, current.window_lead)), odd_line.eq(0)]
        with m.Elif(self.step & next_line):
            m.d.sync += [lead.eq(lead - (lead != 0)), odd_line.eq((lead == 0) & ~odd_line)]
        write = Signal()
        skipped = (odd_line & current.window_skip_y) | (position[0] & current.window_skip_x)
        whole = (lead == 0) & (position >= WINDOW - 1)
        m.d.comb += [
            write.eq(~current.window | (whole & ~skipped)),
            row.window.eq(current.window),
            row.position.eq(position),
            row.write.eq(write),
        ]
        return refused, write

    def _walk(self, m, nest, current, name, step):
        m.submodules[f"{name}_walk"] = walk = Walk(LOOPS, LOOPS)
        m.d.comb += [
            walk.load.eq(self.load),
            walk.start.eq(self.i.payload[f"{name}_address"]),
            walk.steps.eq(step_fields(current, name, LOOPS)),
            walk.step.eq(step),
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
