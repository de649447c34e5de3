"""Walks through the rows of matmul instructions, for a fast clock."""

from amaranth import Module, Mux, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config
from gemmary.isa import Opcode

from ..interfaces import ACCUMULATE_DISTANCE, instruction_layout
from ..memory.address import COORDINATE_BITS, step_fields
from ..stream.replay_queue import ReplayQueue, ReplaySignature
from .paced import PacedCoordinate, PacedNest, merged
from .sequencer import LOOPS, row_layout

OUTER = LOOPS[:-1]
ROWS = 16
"""Depth of the queue of rows."""

AGES = ACCUMULATE_DISTANCE - 1
"""Rows before one that may still be on their way to the accumulator."""

WALKS = ("activation", "accumulator")
KEPT = ("x_stride", "x_limit", "constant", "signal", "offset")
"""Fields of the instruction that its rows need."""


def line_layout(config: Config) -> data.StructLayout:
    """The iterations of x at one place of the other loops. ``begins``: the first line of an instruction, and ``activation`` and ``accumulator`` are
    its addresses; else what leads there from the row before. ``x``: its first coordinate. ``single``, ``double``: it has one row, or two; ``left``: how many
    more than three. ``refused``: it wants a window."""
    fields = instruction_layout(Opcode.MATMUL).members
    flags = ("begins", "inside", "overwrite", "swap", "last", "single", "double", "refused")
    return data.StructLayout(
        dict.fromkeys(flags, 1)
        | {"x": signed(COORDINATE_BITS), "left": signed(Shape.cast(fields["count_x"]).width + 1)}
        | dict.fromkeys(WALKS, 16)
        | {f"{walk}_step": signed(16) for walk in WALKS}
        | {name: fields[name] for name in KEPT}
    )


def held_layout(config: Config) -> data.StructLayout:
    return data.StructLayout(dict(row_layout(config).members) | {"hold": range(ACCUMULATE_DISTANCE)})


class LineWalk(wiring.Component):
    """Instructions in, lines out: one in 3 cycles. Latency from ``i``, whose payload stays a cycle longer, to
    its first line: 6 cycles.

    The loops take a step when an instruction has come, with which they begin again, and when a line goes.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(instruction_layout(Opcode.MATMUL))),
                "o": Out(stream.Signature(line_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        empty, begins, offered, inside = Signal(init=1), Signal(), Signal(), Signal(reset_less=True)
        known, settled, step, settling = (Signal() for _ in range(4))
        current = Signal(self.i.payload.shape(), reset_less=True)
        take, fire = Signal(), Signal()
        m.submodules.nest = nest = PacedNest(OUTER)
        last = nest.last
        m.d.comb += [
            self.i.ready.eq(empty & ~take),
            self.o.valid.eq(offered),
            fire.eq(offered & self.o.ready),
        ]
        m.d.sync += [
            take.eq(self.i.valid & self.i.ready),  # a cycle late: the instruction stays for as long
            known.eq(take),  # two cycles for what the nest works out of its counts
            settled.eq(known),
            step.eq(settled | (fire & ~last)),
            settling.eq(step),
            offered.eq(settling | (offered & ~fire)),
        ]
        # The instruction is wide: two registers tell it to come, which start differently so that synthesis does not make one of them.
        take_too, middle = Signal(init=1, reset_less=True), len(current.as_value()) // 2
        m.d.sync += take_too.eq(self.i.valid & self.i.ready)
        for told, part in ((take, slice(0, middle)), (take_too, slice(middle, None))):
            with m.If(told):
                m.d.sync += current.as_value()[part].eq(self.i.payload.as_value()[part])
        with m.If(take):
            m.d.sync += [empty.eq(0), begins.eq(1)]
        with m.Elif(fire):
            m.d.sync += [empty.eq(last), begins.eq(0)]

        m.d.comb += nest.step.eq(step)
        m.d.comb += [nest.counts[loop].eq(current[f"count_{loop}"]) for loop in OUTER]

        coordinates = {}
        for axis, inner in (("y", "y"), ("x", None)):
            m.submodules[axis] = coordinates[axis] = coordinate = PacedCoordinate(OUTER, f"k{axis}", inner)
            m.d.comb += [
                coordinate.start.eq(current[f"{axis}_start"]),
                coordinate.outer_step.eq(current[f"{axis}_dilation"]),
                coordinate.inner_step.eq(current[f"{axis}_stride"]),
                coordinate.limit.eq(current[f"{axis}_limit"]),
                coordinate.step.eq(step),
                coordinate.ended.eq(nest.ended),
            ]
        m.d.sync += inside.eq(coordinates["y"].in_bounds)

        line = self.o.payload
        first = {loop: nest.first[i] for i, loop in enumerate(OUTER)}
        single, double = Signal(reset_less=True), Signal(reset_less=True)
        left = Signal(line.left.shape(), reset_less=True)
        m.d.sync += [single.eq(current.count_x == 1), double.eq(current.count_x == 2), left.eq(current.count_x - 3)]
        for walk in WALKS:
            m.d.comb += [line[walk].eq(self._move(m, walk, nest, current))]
            m.d.comb += line[f"{walk}_step"].eq(current[f"{walk}_step_x"])
        m.d.comb += [
            line.begins.eq(begins),
            line.inside.eq(inside),
            line.overwrite.eq(~current.accumulate & first["k"] & first["ky"] & first["kx"]),
            line.swap.eq(first["y"]),
            line.last.eq(last),
            line.single.eq(single),
            line.double.eq(double),
            line.left.eq(left),
            line.refused.eq(current.window),
            line.x.eq(coordinates["x"].value),
            *(line[name].eq(current[name]) for name in KEPT),
        ]
        return m

    def _move(self, m, walk, nest, current):
        """The address of an instruction's first line; for others the step of the loop that has advanced."""
        steps = data.View(data.StructLayout(dict.fromkeys(OUTER, 16)), step_fields(current, walk, OUTER))
        move = Signal(16, name=f"{walk}_move", reset_less=True)
        begins = (nest.last, current[f"{walk}_address"])
        chosen = merged(m, walk, begins, *((nest.advance[i], steps[loop]) for i, loop in enumerate(OUTER)))
        with m.If(nest.step):
            m.d.sync += move.eq(chosen)
        return move


class LineSequencer(wiring.Component):
    """`RowSequencer` for a fast clock: every sum and every comparison has a cycle of its own.

    Instructions in, whose payload stays a cycle longer; one row a cycle out as long as lines (the iterations of x) have 3 rows or more; a shorter line takes 3
    cycles, and a new instruction 5 more. Only for arrays without a window. ``hold``: so many cycles must pass between
    the row before and this one, because of the accumulator row that they share with it or one of the two before it.

        i ─► LineWalk ─► line ─► one row after another ─► sums ─► compared ─► ready ─► queue ─► o
    """

    def __init__(self, config: Config):
        assert not config.window_line
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(instruction_layout(Opcode.MATMUL))),
                "o": Out(ReplaySignature(held_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = LineWalk(self.config)
        m.submodules.rows = rows = ReplayQueue(held_layout(self.config), ROWS)
        connect(m, flipped(self.i), walk.i)
        connect(m, rows.o, flipped(self.o))
        # Only what makes rows is held up, a cycle late; there is room for all that are on their way.
        self.go = Signal()
        m.d.sync += self.go.eq(rows.level < ROWS // 2)
        moved = self._moved(m, walk.o)
        summed = self._summed(m, *moved)
        valid, row = self._compared(m, *summed)
        m.d.comb += [rows.i.valid.eq(valid), *(rows.i.payload[name].eq(row[name]) for name, _ in row.shape())]
        return m

    def _stage(self, m, name, valid, fields):
        """Registers behind ``fields`` (by name), and behind ``valid``."""
        layout = data.StructLayout({key: value.shape() for key, value in fields.items()})
        staged, staged_valid = Signal(layout, name=name, reset_less=True), Signal(name=f"{name}_valid")
        m.d.sync += [staged_valid.eq(valid), *(staged[key].eq(value) for key, value in fields.items())]
        return staged_valid, staged

    def _moved(self, m, lines):
        """For each row what its addresses are, or what is added to those of the row before."""
        line, valid = Signal(lines.payload.shape(), reset_less=True), Signal()
        fresh, ends, left = Signal(reset_less=True), Signal(reset_less=True), Signal.like(line.left, reset_less=True)
        m.d.comb += lines.ready.eq(~valid | (self.go & ends))
        with m.If(lines.ready):
            m.d.sync += [valid.eq(lines.valid), line.eq(lines.payload), fresh.eq(1), ends.eq(lines.payload.single)]
        with m.Elif(self.go):
            m.d.sync += [
                fresh.eq(0),
                left.eq(Mux(fresh, line.left, left) - 1),
                ends.eq(Mux(fresh, line.double, left[-1])),  # a sign in place of a comparison
            ]
        moves = {walk: Mux(fresh, line[walk], line[f"{walk}_step"].as_unsigned()) for walk in WALKS}
        stride = line.x_stride.as_signed() if line.x_stride.shape().signed else line.x_stride
        fields = {walk: moves[walk][:16] for walk in WALKS} | {
            "absolute": fresh & line.begins,
            "fresh": fresh,
            "x": Mux(fresh, line.x, stride)[:COORDINATE_BITS].as_signed(),
            "swap": fresh & line.swap,
            "last": ends & line.last,
        }
        same = ("inside", "overwrite", "x_limit", "constant", "signal", "offset", "refused")
        return self._stage(m, "moved", valid & self.go, fields | {name: line[name] for name in same})

    def _summed(self, m, valid, moved):
        """Addresses and coordinate of each row."""
        sums = {walk: Signal(16, name=walk, reset_less=True) for walk in WALKS}
        x = Signal(signed(COORDINATE_BITS), reset_less=True)
        with m.If(valid):
            for walk, total in sums.items():
                m.d.sync += total.eq(Mux(moved.absolute, 0, total) + moved[walk])
            m.d.sync += x.eq(Mux(moved.fresh, 0, x) + moved.x)
        same = ("inside", "overwrite", "x_limit", "constant", "signal", "offset", "refused", "swap", "last")
        staged_valid, staged = self._stage(m, "summed", valid, {name: moved[name] for name in same})
        return staged_valid, staged, sums, x

    def _compared(self, m, valid, summed, sums, x):
        """Whether the row reads, then whether it is outside a memory."""
        same = ("overwrite", "constant", "signal", "offset", "swap", "last")
        outside = {
            "activation": sums["activation"] >= self.config.activation_words,
            "accumulator": summed.refused | (sums["accumulator"] >= self.config.accumulator_words),
        }
        fields = {name: summed[name] for name in same} | dict(sums)
        fields |= {f"{walk}_outside": bit for walk, bit in outside.items()}
        fields["read"] = summed.inside & (x.as_unsigned() < summed.x_limit)
        fields |= self._matches(m, valid, sums["accumulator"])
        valid, compared = self._stage(m, "compared", valid, fields)
        fields = {name: compared[name] for name in (*same, *WALKS, "read")}
        fields["beyond"] = (compared.read & compared.activation_outside) | compared.accumulator_outside
        hold = Signal(range(ACCUMULATE_DISTANCE))
        for age in reversed(range(AGES)):  # the youngest wins
            with m.If(compared[f"low_{age}"] & compared[f"high_{age}"]):
                m.d.comb += hold.eq(AGES - age)
        return self._stage(m, "ready", valid, fields | {"hold": hold})

    def _matches(self, m, valid, accumulator):
        """Whether the row has the accumulator row of the one before it, of the one before that, and so on: the lower halves of their addresses,
        and the others."""
        bits = (self.config.accumulator_words - 1).bit_length()
        found, earlier, earlier_valid = {}, accumulator[:bits], valid
        for age in range(AGES):
            before, before_valid = (
                Signal(bits, name=f"before_{age}", reset_less=True),
                Signal(name=f"before_{age}_valid"),
            )
            with m.If(valid):
                m.d.sync += [before.eq(earlier), before_valid.eq(earlier_valid)]
            same = ~(before ^ accumulator[:bits])
            found |= {f"low_{age}": same[: bits // 2].all(), f"high_{age}": before_valid & same[bits // 2 :].all()}
            earlier, earlier_valid = before, before_valid
        return found
