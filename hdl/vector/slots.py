"""The loop nest of a vector instruction: one slot an iteration, with addresses, checks and hazards."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from gemmary import isa
from gemmary.config import Config

from ..interfaces import instruction_layout
from ..memory.address import Coordinate, LoopNest, Walk, step_fields
from ..stream.queue import Queue
from .layouts import FORMAT, slot_layout

NEST = FORMAT.loops


class Slots(wiring.Component):
    """Takes instructions from ``i`` and gives one slot for each iteration of their nests.

    ``instruction`` is the one that the nest is at; it stays until the next one is taken, which waits for ``settled`` and for the
    end of the nest. It then waits for ``ready`` and answers with ``start``, one cycle. Throughput: one slot a cycle, and 1 cycle
    lost between instructions. Latency: 3 cycles from ``i`` to ``o``.

        i ─► instruction ─► nest, walks, coordinates ─► checks ─► queue of 2 ─► o

    ``bad``: an address that is used lies outside its memory. ``hazard``: a row that is read lies between the lowest and the
    highest row that the instruction before writes, so it has to be complete. ``parity`` tells instructions apart: it is that of
    ``Retire`` after the start. ``taken``: a transfer on ``i``. ``busy``: slots are still to come.
    """

    def __init__(self, config: Config):
        self.config = config
        layout = instruction_layout(isa.Opcode.VECTOR)
        super().__init__(
            {
                "i": In(stream.Signature(layout)),
                "halt": In(1),
                "settled": In(1),
                "ready": In(1),
                "parity": In(1),
                "start": Out(1),
                "taken": Out(1),
                "busy": Out(1),
                "waiting": Out(1),
                "instruction": Out(layout),
                "o": Out(stream.Signature(slot_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = Queue(slot_layout(self.config), 2)
        connect(m, queue.o, wiring.flipped(self.o))
        instruction = Signal(self.instruction.shape(), reset_less=True)
        pending, loaded, step = Signal(), Signal(), Signal()
        nest = self.nest(m, instruction, pending, step)
        ending = Signal()
        m.d.comb += [
            self.instruction.eq(instruction),
            step.eq(loaded & queue.i.ready),
            queue.i.valid.eq(loaded),
            ending.eq(step & nest.last),
            self.i.ready.eq(~pending & self.settled & (~loaded | ending) & ~self.halt),
            self.taken.eq(self.i.valid & self.i.ready),
            self.waiting.eq(pending & ~self.ready),
            self.start.eq(pending & self.ready & ~self.halt),
            self.busy.eq(pending | loaded),
        ]
        with m.If(self.taken):
            m.d.sync += [instruction.eq(self.i.payload), pending.eq(1)]
        with m.Elif(self.start):
            m.d.sync += pending.eq(0)
        with m.If(self.start):
            m.d.sync += loaded.eq(1)
        with m.Elif(ending):
            m.d.sync += loaded.eq(0)
        self.fill(m, instruction, nest, step, queue.i.payload)
        return m

    def nest(self, m, instruction, load, step):
        """The nest and what follows it. They are loaded in every cycle of ``load``, of which the start is the last one: so no path
        leads from what a start waits for through all of them."""
        m.submodules.nest = nest = LoopNest(NEST)
        m.d.comb += [nest.load.eq(load), nest.step.eq(step)]
        m.d.comb += [nest.counts[loop].eq(instruction[f"count_{loop}"]) for loop in NEST]
        self.walks, self.bounds = {}, {}
        for operand in FORMAT.walks:
            m.submodules[f"{operand.name}_walk"] = walk = Walk(NEST, operand.loops)
            m.d.comb += [
                walk.start.eq(instruction[f"{operand.name}_address"]),
                walk.steps.eq(step_fields(instruction, operand.name, operand.loops)),
            ]
            self.walks[operand.name] = walk
        for axis in "yx":
            m.submodules[f"{axis}_bounds"] = bounds = Coordinate(NEST, axis, f"k{axis}")
            m.d.comb += [
                bounds.start.eq(instruction[f"{axis}_start"]),
                bounds.outer_step.eq(instruction[f"{axis}_stride"]),
                bounds.inner_step.eq(instruction[f"{axis}_dilation"]),
                bounds.limit.eq(instruction[f"{axis}_limit"]),
            ]
            self.bounds[axis] = bounds
        for follower in (*self.walks.values(), *self.bounds.values()):
            m.d.comb += [follower.load.eq(load), follower.step.eq(step), follower.advance.eq(nest.advance)]
        return nest

    def fill(self, m, instruction, nest, step, slot):
        """Fills the slot of the iteration that the nest is at."""
        loop = {name: i for i, name in enumerate(NEST)}
        address = {name: walk.address for name, walk in self.walks.items()}
        inside, result, wide_source, wide = Signal(), Signal(), Signal(), Signal()
        fresh_row = nest.first[loop["y"]] & nest.first[loop["x"]] if self.config.lane_groups == 1 else 1
        m.d.comb += [
            inside.eq(self.bounds["y"].in_bounds & self.bounds["x"].in_bounds),
            result.eq(~nest.advance[loop["ky"]] & ~nest.advance[loop["kx"]]),
            wide_source.eq(instruction.source_dtype == isa.DType.INT32),
            wide.eq(instruction.result_dtype == isa.DType.INT32),
            *(slot[f"{name}_address"].eq(value) for name, value in address.items()),
            slot.accumulator.eq(inside & wide_source),
            slot.source.eq(inside & ~wide_source),
            slot.residual.eq(result & instruction.residual & ~wide),
            slot.parameter.eq(result & instruction.per_channel & fresh_row),
            slot.first.eq(nest.first.all()),
            slot.start.eq(nest.first[loop["ky"]] & nest.first[loop["kx"]]),
            slot.result.eq(result),
            slot.last.eq(nest.last),
            slot.wide.eq(wide),
            slot.parity.eq(self.parity),
            slot.bad.eq(self.outside(slot, address)),
        ]
        self.hazards(m, slot, address, step)

    def outside(self, slot, address):
        """Whether an address that is used lies outside its memory."""

        def beyond(name, words):
            return address[name][(words - 1).bit_length() :].any()

        accumulator, activation = self.config.accumulator_words, self.config.vector_words
        return (
            slot.accumulator & beyond("source", accumulator)
            | slot.source & beyond("source", activation)
            | slot.residual & beyond("residual", activation)
            | slot.parameter & beyond("parameter", self.config.parameter_rows)
            | slot.result & Mux(slot.wide, beyond("result", accumulator), beyond("result", activation))
        )

    def hazards(self, m, slot, address, step):
        """Keeps the range of rows that this instruction writes, and compares with that of the one before."""
        span = data.StructLayout({"low": 16, "high": 16, "wide": 1})
        written, before = Signal(span, reset_less=True), Signal(span, reset_less=True)
        with m.If(self.start):
            m.d.sync += [before.eq(written), written.low.eq(0xFFFF), written.high.eq(0)]
        with m.Elif(step & slot.result):
            m.d.sync += written.wide.eq(slot.wide)
            with m.If(address["result"] < written.low):
                m.d.sync += written.low.eq(address["result"])
            with m.If(address["result"] > written.high):
                m.d.sync += written.high.eq(address["result"])

        def within(name):
            return (before.low <= address[name]) & (address[name] <= before.high)

        m.d.comb += slot.hazard.eq(
            (Mux(before.wide, slot.accumulator, slot.source) & within("source"))
            | (slot.residual & ~before.wide & within("residual"))
        )
