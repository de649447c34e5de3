"""Everything between the register file and the engines: one component of wires."""

from collections.abc import Collection

from amaranth import Cat, Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config
from gemmary.isa import Cause, Engine
from gemmary.registers import State

from ..interfaces import BurstReadSignature, EngineSignature
from ..stream.queue import Queue
from ..stream.shift_queue import ShiftQueue
from .counters import Counters
from .dispatch import Dispatch
from .fetch import Fetch
from .issue import Issue
from .layouts import FRONT, ControlSignature, opcodes, traffic_layout
from .semaphores import Semaphores
from .supervisor import Supervisor
from .watchdog import Watchdog

FEW = 4
"""Instructions in a queue that flip-flops may hold."""


class Sequencer(wiring.Component):
    """Fetches a program, checks its instructions and issues them to the engines (``load``, ``tensor``, ``vector``, ``store``),
    until its end or the first error.

    ``crossed``: the engines with another clock. ``begin``: the cycle in which a program starts. ``clear``, the last cycle of a soft reset, is to reset the engines too. ``traffic`` tells counters and watchdog what moves
    on the memory bus.

        fetch ─► dispatch ─┬► issue ─► engine     supervisor: start, end, errors, soft reset
                           ├► issue ─► engine     watchdog, counters
                           └► …   ◄─► semaphores
    """

    def __init__(self, config: Config, crossed: Collection[Engine] = ()):
        self.config, self.crossed = config, crossed
        self.engines = opcodes()
        super().__init__(
            {e.name.lower(): In(EngineSignature(opcode, e in crossed)) for e, opcode in self.engines.items()}
            | {
                "bus": Out(BurstReadSignature(config)),
                "traffic": In(traffic_layout(config)),
                "control": In(ControlSignature(config)),
                "begin": Out(1),
                "clear": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        clearable = ResetInserter(self.clear)
        m.submodules.dispatch = self.dispatch = clearable(Dispatch(self.config))
        m.submodules.semaphores = self.semaphores = clearable(Semaphores(self.config))
        m.submodules.counters = self.counters = clearable(Counters(self.config, self.crossed))
        m.submodules.watchdog = self.watchdog = clearable(Watchdog())
        self.issues = {}
        # 0010: whoever wants two clocks is short of LUTs, and the cycles are no longer those of the model.
        queue = ShiftQueue if self.crossed and self.config.queue_depth <= FEW else Queue
        for engine, opcode in self.engines.items():
            issue = clearable(Issue(self.config, opcode, engine in self.crossed, queue))
            m.submodules[f"issue_{engine.name.lower()}"] = self.issues[engine] = issue
        m.submodules.fetch = self.fetch = clearable(Fetch(self.config))
        # Faults: four engines, dispatch, fetch, the host's signals, watchdog.
        m.submodules.supervisor = self.supervisor = Supervisor(len(self.engines) + 4)
        self._front(m)
        self._engines(m)
        self._supervise(m)
        self._observe(m)
        return m

    def _front(self, m):
        """Where instructions come from."""
        connect(m, self.fetch.o, self.dispatch.i)
        connect(m, self.fetch.bus, flipped(self.bus))
        m.d.comb += [
            self.fetch.start.eq(self.supervisor.begin),
            self.fetch.address.eq(self.control.program_address),
            self.fetch.length.eq(self.control.program_length),
            self.fetch.halt.eq(self.supervisor.halt),
        ]

    def _engines(self, m):
        for engine, issue in self.issues.items():
            name = engine.name.lower()
            connect(m, getattr(self.dispatch, name), issue.i)
            connect(m, issue.engine, flipped(getattr(self, name)))
            connect(m, issue.take, getattr(self.semaphores, f"take_{name}"))
            m.d.comb += [
                getattr(self.semaphores, f"done_{name}").eq(getattr(self, name).done),
                issue.zero.eq(self.semaphores.zero),
                issue.start.eq(self.supervisor.begin),
                issue.halt.eq(self.supervisor.halt),
            ]

    def _supervise(self, m):
        """What the supervisor hears: work, quiet, and faults in order of rank."""
        supervisor, engines = self.supervisor, [getattr(self, e.name.lower()) for e in self.engines]
        working = ~Cat(issue.complete for issue in self.issues.values()).all()
        quiet = Cat(engine.quiet for engine in engines).all()
        sources = [(e, getattr(self, e.name.lower()).error) for e in self.engines]
        sources += [(FRONT, self.dispatch.error), (FRONT, self.fetch.error)]
        for fault, (engine, error) in zip(supervisor.faults, sources):
            # In the next cycle, which ends the path from the semaphores; but a program that is refused is over at once.
            domain = m.d.comb if error is self.fetch.error else m.d.sync
            domain += [fault.valid.eq(error.valid), fault.cause.eq(error.cause), fault.engine.eq(engine)]
            domain += fault.offset.eq(error.offset)
        for i, engine in enumerate(engines):
            with m.If(self.semaphores.overflow[i] & ~engine.error.valid):
                m.d.sync += supervisor.faults[i].valid.eq(1)
                m.d.sync += supervisor.faults[i].cause.eq(Cause.SEMAPHORE_OVERFLOW)
                m.d.sync += supervisor.faults[i].offset.eq(engine.done.offset)
        host = supervisor.faults[len(sources)]
        m.d.sync += host.valid.eq(self.semaphores.overflow[-1])
        m.d.comb += [
            host.cause.eq(Cause.SEMAPHORE_OVERFLOW),
            host.engine.eq(FRONT),
            supervisor.faults[len(sources) + 1].eq(self.watchdog.fault),
            supervisor.start.eq(self.control.start),
            supervisor.soft_reset.eq(self.control.soft_reset),
            supervisor.active.eq(working | self.fetch.active),
            supervisor.quiet.eq(quiet & self.fetch.quiet),
            self.begin.eq(supervisor.begin),
            self.clear.eq(supervisor.clear),
        ]

    def _observe(self, m):
        """What the host sees; counters and watchdog see it a cycle later, as paths through the engines' states are long."""
        control, status, supervisor = self.control, self.supervisor.status, self.supervisor
        counters, watchdog = self.counters, self.watchdog
        for engine, issue in self.issues.items():
            connect(m, issue.status, flipped(getattr(control, engine.name.lower())))
            m.d.sync += [
                counters.states[engine].eq(issue.status.state),
                watchdog.states[engine].eq(issue.status.state),
                watchdog.offsets[engine].eq(issue.status.offset),
            ]
        busy = Cat(self._busy(m, engine, issue) for engine, issue in self.issues.items()).any()
        moved = self.traffic.read | self.traffic.write | self.traffic.response
        connect(m, status, flipped(control.status))
        m.d.comb += [shown.eq(count) for shown, count in zip(control.semaphores, self.semaphores.counts)]
        m.d.sync += [
            counters.clear.eq(supervisor.begin),
            counters.enable.eq(status.busy),
            counters.traffic.eq(self.traffic),
            counters.dispatched.eq(self.dispatch.dispatched),
            watchdog.progress.eq(busy | moved | self.dispatch.dispatched),
        ]
        m.d.comb += [
            control.clear.eq(self.clear),
            self.semaphores.host_signal.eq(control.semaphore_signal),
            self.semaphores.host_take.eq(control.semaphore_take),
            watchdog.enable.eq(status.busy),
            watchdog.limit.eq(control.watchdog_limit),
            watchdog.front.eq(self.dispatch.i.payload.offset),
            counters.index.eq(control.counter_index),
            control.counter.eq(counters.value),
        ]

    def _busy(self, m, engine, issue):
        """Whether an engine gets on. The state of one with another clock is only looked at now and then."""
        if engine not in self.crossed:
            return issue.status.state == State.BUSY
        counted = getattr(self, engine.name.lower()).counted
        m.d.comb += self.counters.counted[engine].eq(counted)
        return (counted.state == State.BUSY) & (counted.cycles != 0)
