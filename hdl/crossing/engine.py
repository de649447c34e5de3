"""An engine in the fast domain, as the control in ``sync`` sees it."""

from amaranth import Cat, DomainRenamer, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from gemmary.config import SEMAPHORES
from gemmary.isa import Opcode
from gemmary.registers import State

from ..interfaces import OFFSET_BITS, Counted, Done, EngineSignature, instruction_layout
from .meter import StateMeter
from .queue import FAST, LUT_RAM_WORDS, AsyncQueue

PIECES, STATUSES = 8, 8
"""Of an instruction; depth of a queue."""

REPORTS = LUT_RAM_WORDS - 1
"""Instructions between being issued and being heard of again: so many reports always find their queue ready."""


class EngineCrossing(wiring.Component):
    """``outer`` stands for the engine in ``sync``, ``inner`` for the control in ``fast``.

    Instructions cross in a queue in PIECES pieces, one a cycle: a queue as wide as an instruction is too wide to be fast. Their ends and the error come back through one queue in the
    order in which they happened, one a cycle; none is lost, since no more instructions are let through than it can hold reports. State
    and offset are those of one and the same cycle of the engine, some cycles ago. ``halt`` comes a few cycles late.

        outer.i ──► queue ──► inner.i        inner.done, error ──► queue ──► outer
        halt, waiting ──► synchronisers      state, offset, counted ──► queue ──► registers
    """

    def __init__(self, opcode: Opcode):
        self.opcode = opcode
        super().__init__(
            {
                "outer": Out(EngineSignature(opcode, crossed=True)),
                "inner": In(EngineSignature(opcode)),
                "resetting": In(1),
                "flushed": In(1),
                "flush": In(1),
                "counting": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._instructions(m)
        self._reports(m)
        self._status(m)
        for name in ("halt", "waiting"):
            level = Signal(name=f"{name}_level")
            m.d.sync += level.eq(getattr(self.outer, name))
            arrived = self.inner.halt if name == "halt" else self.waiting
            m.submodules[name] = FFSynchronizer(level, arrived, o_domain=FAST)
        return m

    def _instructions(self, m):
        """Into the queue while every one in flight has room for its report."""
        width = -(-Shape.cast(instruction_layout(self.opcode)).width // PIECES)
        m.submodules.instructions = queue = AsyncQueue(width, LUT_RAM_WORDS, "sync", FAST)
        piece, whole = Signal(range(PIECES)), Signal()
        outer, inner = self.outer, self.inner
        closed, allowed = Signal(), Signal()
        self.in_flight = in_flight = Signal(range(REPORTS + 1))
        put, self.heard = Signal(), Signal()
        m.d.comb += [
            closed.eq(self.resetting | self.flushed),
            allowed.eq((in_flight != REPORTS) & ~closed),
            queue.i.valid.eq(outer.i.valid & allowed),
            queue.i.payload.eq(Value.cast(outer.i.payload).word_select(piece, width)),
            whole.eq(piece == PIECES - 1),
            outer.i.ready.eq(queue.i.ready & allowed & whole),
            put.eq(outer.i.valid & outer.i.ready),
            outer.quiet.eq(~self.resetting | (self.flushed & (queue.level == 0))),
        ]
        with m.If(closed):
            m.d.sync += [in_flight.eq(0), piece.eq(0)]
        with m.Else():
            m.d.sync += [in_flight.eq(in_flight + put - self.heard), piece.eq(piece + (queue.i.valid & queue.i.ready))]

        # One of the pieces is loaded in every cycle until it has come, from a register that leaves a cycle for the way.
        offered, turn = Signal(), Signal(PIECES + 1, init=1)
        coming, loads = Signal(width, reset_less=True), Signal(PIECES, reset_less=True)
        m.d[FAST] += [coming.eq(queue.o.payload), loads.eq(turn)]
        pieces = [Signal(width, name=f"piece_{i}", reset_less=True) for i in range(PIECES)]
        m.d.comb += [
            inner.i.valid.eq(offered),
            Value.cast(inner.i.payload).eq(Cat(pieces)),
            queue.o.ready.eq(~(offered | turn[-1]) | self.flush),
        ]
        with m.If(self.flush):
            m.d[FAST] += [offered.eq(0), turn.eq(1)]
        with m.Elif(offered):
            m.d[FAST] += [offered.eq(~inner.i.ready), turn.eq(inner.i.ready)]
        with m.Elif(turn[-1]):
            m.d[FAST] += offered.eq(1)
        with m.Elif(queue.o.valid):
            m.d[FAST] += turn.eq(turn << 1)
        for i, register in enumerate(pieces):
            with m.If(loads[i]):
                m.d[FAST] += register.eq(coming)

    def _reports(self, m):
        """Ends and the error; an error in the cycle of an end waits behind it. Both are a cycle old."""
        report = data.StructLayout({"error": 1, "value": SEMAPHORES, "offset": OFFSET_BITS})
        m.submodules.reports = queue = AsyncQueue(report, LUT_RAM_WORDS, FAST, "sync")
        done, error, failed = Signal(Done), self.inner.error, Signal()
        m.d[FAST] += done.eq(self.inner.done)  # from a queue of the engine, which is a path long enough
        cause, offset = Signal(len(error.cause), reset_less=True), Signal(OFFSET_BITS, reset_less=True)
        with m.If(self.flush):
            m.d[FAST] += failed.eq(0)
        with m.Elif(error.valid):
            m.d[FAST] += [failed.eq(1), cause.eq(error.cause), offset.eq(error.offset)]
        with m.Elif(~done.valid):
            m.d[FAST] += failed.eq(0)
        m.d.comb += [
            queue.i.valid.eq(done.valid | failed),
            queue.i.payload.error.eq(~done.valid),
            queue.i.payload.value.eq(Mux(done.valid, done.signal, cause)),
            queue.i.payload.offset.eq(Mux(done.valid, done.offset, offset)),
        ]
        heard, outer = queue.o.payload, self.outer
        m.d.comb += [
            queue.o.ready.eq(1),
            self.heard.eq(queue.o.valid),
            outer.done.valid.eq(queue.o.valid & ~heard.error),
            outer.done.signal.eq(heard.value),
            outer.done.offset.eq(heard.offset),
            outer.error.valid.eq(queue.o.valid & heard.error),
            outer.error.cause.eq(heard.value),
            outer.error.offset.eq(heard.offset),
        ]

    def _status(self, m):
        """What the engine does, as often as the queue has room; and what it has done, without loss. Paths through its state are
        long, so all of this is a cycle old."""
        status = data.StructLayout({"state": State, "offset": OFFSET_BITS, "counted": Counted})
        m.submodules.statuses = queue = AsyncQueue(status, STATUSES, FAST, "sync")
        m.submodules.meter = meter = DomainRenamer(FAST)(StateMeter())
        outer = self.outer
        self.waiting = Signal()
        sample = Signal(status, reset_less=True)
        state, offset, counting = Signal(State), Signal(OFFSET_BITS), Signal()
        m.d[FAST] += [state.eq(self.inner.state), offset.eq(self.inner.offset), counting.eq(self.counting)]
        put, told = Signal(), Signal(2)  # in every fourth cycle, so that there is still the room that was seen
        m.d[FAST] += [put.eq(queue.i.ready & ~put & ~told.any()), told.eq(Cat(put, told))]
        resting = (state == State.IDLE) | (state == State.DRAIN)
        m.d.comb += [
            meter.state.eq(Mux(self.waiting & resting, State.WAIT_SEMAPHORE, state)),
            meter.counting.eq(counting),
            meter.take.eq(put),
            queue.i.valid.eq(told[0]),
            queue.i.payload.eq(sample),
            queue.o.ready.eq(1),
        ]
        m.d[FAST] += [sample.state.eq(state), sample.offset.eq(offset), sample.counted.eq(meter.o)]
        with m.If(queue.o.valid):
            m.d.sync += [outer.state.eq(queue.o.payload.state), outer.offset.eq(queue.o.payload.offset)]
            m.d.comb += outer.counted.eq(queue.o.payload.counted)
