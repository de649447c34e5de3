"""Start and end of programs, the first error, soft reset."""

from functools import reduce
from operator import or_

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .layouts import Fault, Status

SETTLE_CYCLES = 8
"""Cycles of quiet before a soft reset acts: whatever an engine was about to say at ``halt`` has been said."""


class Supervisor(wiring.Component):
    """Runs a program from ``start`` until nothing is ``active`` or a fault comes.

    ``begin`` for one cycle when a program starts (a ``start`` while busy or after an error is ignored). ``faults``, in order of rank: the first one is kept in ``status``,
    ``halt`` rises and stays until a ``soft_reset``, which waits until all is ``quiet`` and then raises ``clear`` for one cycle.
    """

    def __init__(self, faults: int):
        super().__init__(
            {
                "start": In(1),
                "soft_reset": In(1),
                "active": In(1),
                "quiet": In(1),
                "faults": In(Fault).array(faults),
                "begin": Out(1),
                "halt": Out(1),
                "clear": Out(1),
                "status": Out(Status()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        status, fault, first = self.status, Signal(Fault), Signal(len(self.faults))
        valid = Cat(candidate.valid for candidate in self.faults)
        m.d.comb += [
            first.eq(valid & ~(valid - 1)),
            fault.eq(reduce(or_, (Mux(bit, candidate.as_value(), 0) for bit, candidate in zip(first, self.faults)))),
        ]
        m.d.comb += [status.quiet.eq(self.quiet), self.halt.eq(status.error | status.resetting)]
        m.d.sync += [status.done_event.eq(0), status.error_event.eq(0)]

        with m.If(self.clear):
            m.d.sync += [self.clear.eq(0), status.resetting.eq(0), status.error.eq(0)]
            m.d.sync += [getattr(status, name).eq(0) for name in ("cause", "engine", "offset")]
        with m.Elif(status.resetting):
            self._drain(m)
        with m.Elif(self.soft_reset):
            m.d.sync += [status.resetting.eq(1), status.busy.eq(0), status.done.eq(0)]
        with m.Elif(~status.error):
            with m.If(fault.valid):
                m.d.sync += [status.error.eq(1), status.error_event.eq(1), status.busy.eq(0), status.done.eq(0)]
                m.d.sync += [getattr(status, name).eq(fault[name]) for name in ("cause", "engine", "offset")]
            with m.Elif(status.busy):
                with m.If(~self.active):
                    m.d.sync += [status.busy.eq(0), status.done.eq(1), status.done_event.eq(1)]
            with m.Else():
                m.d.comb += self.begin.eq(self.start)
                with m.If(self.start):
                    m.d.sync += [status.busy.eq(1), status.done.eq(0)]
        return m

    def _drain(self, m):
        settled = Signal(range(SETTLE_CYCLES))
        with m.If(~self.quiet):
            m.d.sync += settled.eq(0)
        with m.Elif(settled == SETTLE_CYCLES - 1):
            m.d.sync += [self.clear.eq(1), settled.eq(0)]
        with m.Else():
            m.d.sync += settled.eq(settled + 1)
