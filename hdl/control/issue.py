"""One engine's instruction queue, and what stands between its head and the engine."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import SEMAPHORES, Config
from gemmary.isa import Opcode
from gemmary.registers import State

from ..interfaces import EngineSignature, instruction_layout
from ..stream.queue import Queue
from .layouts import EngineStatus, TakeSignature


class Issue(wiring.Component):
    """Queues the instructions of ``i`` and gives each to ``engine`` when its semaphores have been taken, in order.

    The head claims its semaphores (``take``) as soon as they are there, also while the engine still works on the one before;
    a cycle later the engine can take it. ``halt`` stops claims. ``complete``: nothing is queued or in the engine. ``zero`` (which
    semaphores are at 0) shows in ``status`` what the head waits for; an engine that is IDLE or DRAIN meanwhile counts as
    WAIT_SEMAPHORE. ``start`` clears the count of retired instructions. ``crossed``: the engine has another clock. ``queue``: the kind of it.
    """

    def __init__(self, config: Config, opcode: Opcode, crossed: bool = False, queue: type = Queue):
        self.config, self.opcode, self.crossed, self.queue = config, opcode, crossed, queue
        super().__init__(
            {
                "i": In(stream.Signature(instruction_layout(opcode))),
                "engine": In(EngineSignature(opcode, crossed)),
                "take": Out(TakeSignature()),
                "zero": In(SEMAPHORES),
                "start": In(1),
                "halt": In(1),
                "status": Out(EngineStatus()),
                "complete": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self.queue(instruction_layout(self.opcode), self.config.queue_depth)
        connect(m, flipped(self.i), queue.i)
        head, engine, granted = queue.o.payload, self.engine, Signal()
        waiting = queue.o.valid & ~granted
        m.d.comb += [
            self.take.valid.eq(waiting & ~self.halt),
            self.take.mask.eq(head.wait),
            engine.i.valid.eq(queue.o.valid & granted),
            engine.i.payload.eq(head),
            queue.o.ready.eq(engine.i.ready & granted),
            engine.halt.eq(self.halt),
        ]
        with m.If(self.take.grant):
            m.d.sync += granted.eq(1)
        with m.Elif(engine.i.ready):
            m.d.sync += granted.eq(0)

        if self.crossed:
            m.d.comb += engine.waiting.eq(waiting)

        pending = Signal(16)
        put = self.i.valid & self.i.ready
        with m.If(put ^ engine.done.valid):
            m.d.sync += pending.eq(Mux(put, pending + 1, pending - 1))
        with m.If(self.start):
            m.d.sync += self.status.retired.eq(0)
        with m.Elif(engine.done.valid):
            m.d.sync += self.status.retired.eq(self.status.retired + 1)

        resting = (engine.state == State.IDLE) | (engine.state == State.DRAIN)
        m.d.comb += [
            self.complete.eq(pending == 0),
            self.status.state.eq(engine.state),
            self.status.offset.eq(engine.offset),
            self.status.queued.eq(queue.level),
        ]
        with m.If(waiting & resting):
            m.d.comb += [
                self.status.state.eq(State.WAIT_SEMAPHORE),
                self.status.offset.eq(head.offset),
                self.status.blocked.eq(head.wait & self.zero),
            ]
        return m
