"""Everything between the register file and the engines: one component of wires."""

from amaranth import Cat, Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config
from gemmary.isa import Cause
from gemmary.registers import State

from ..interfaces import BurstReadSignature, EngineSignature
from .counters import Counters
from .dispatch import Dispatch
from .fetch import Fetch
from .issue import Issue
from .layouts import FRONT, ControlSignature, opcodes, traffic_layout
from .semaphores import Semaphores
from .supervisor import Supervisor
from .watchdog import Watchdog


class Sequencer(wiring.Component):
    """Fetches a program, checks its instructions and issues them to the engines (``load``, ``tensor``, ``vector``, ``store``),
    until its end or the first error.

    ``begin``: the cycle in which a program starts. ``clear``, the last cycle of a soft reset, is to reset the engines too. ``traffic`` tells counters and watchdog what moves
    on the memory bus.

        fetch ─► dispatch ─┬► issue ─► engine     supervisor: start, end, errors, soft reset
                           ├► issue ─► engine     watchdog, counters
                           └► …   ◄─► semaphores
    """

    def __init__(self, config: Config):
        self.config = config
        self.engines = opcodes()
        super().__init__(
            {e.name.lower(): In(EngineSignature(opcode)) for e, opcode in self.engines.items()}
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
        m.submodules.counters = self.counters = clearable(Counters(self.config))
        m.submodules.watchdog = self.watchdog = clearable(Watchdog())
        self.issues = {}
        for engine, opcode in self.engines.items():
            m.submodules[f"issue_{engine.name.lower()}"] = self.issues[engine] = clearable(Issue(self.config, opcode))
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
            m.d.comb += [fault.valid.eq(error.valid), fault.cause.eq(error.cause), fault.engine.eq(engine)]
            m.d.comb += fault.offset.eq(error.offset)
        for i, engine in enumerate(engines):
            with m.If(self.semaphores.overflow[i] & ~engine.error.valid):
                m.d.comb += supervisor.faults[i].valid.eq(1)
                m.d.comb += supervisor.faults[i].cause.eq(Cause.SEMAPHORE_OVERFLOW)
                m.d.comb += supervisor.faults[i].offset.eq(engine.done.offset)
        host = supervisor.faults[len(sources)]
        m.d.comb += [
            host.valid.eq(self.semaphores.overflow[-1]),
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
        """What the host sees, counters and watchdog."""
        control, status = self.control, self.supervisor.status
        for engine, issue in self.issues.items():
            connect(m, issue.status, flipped(getattr(control, engine.name.lower())))
            m.d.comb += [
                self.counters.states[engine].eq(issue.status.state),
                self.watchdog.states[engine].eq(issue.status.state),
                self.watchdog.offsets[engine].eq(issue.status.offset),
            ]
        busy = Cat(issue.status.state == State.BUSY for issue in self.issues.values()).any()
        moved = self.traffic.read | self.traffic.write | self.traffic.response
        connect(m, status, flipped(control.status))
        m.d.comb += [shown.eq(count) for shown, count in zip(control.semaphores, self.semaphores.counts)]
        m.d.comb += [
            control.clear.eq(self.clear),
            self.semaphores.host_signal.eq(control.semaphore_signal),
            self.semaphores.host_take.eq(control.semaphore_take),
            self.watchdog.enable.eq(status.busy),
            self.watchdog.progress.eq(busy | moved | self.dispatch.dispatched),
            self.watchdog.limit.eq(control.watchdog_limit),
            self.watchdog.front.eq(self.dispatch.i.payload.offset),
            self.counters.clear.eq(self.supervisor.begin),
            self.counters.traffic.eq(self.traffic),
            self.counters.enable.eq(status.busy),
            self.counters.dispatched.eq(self.dispatch.dispatched),
            self.counters.index.eq(control.counter_index),
            control.counter.eq(self.counters.value),
        ]
