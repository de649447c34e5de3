"""Stops a program that hangs, and names the engine that hangs."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.isa import Cause, Engine
from gemmary.registers import State

from ..interfaces import OFFSET_BITS
from .layouts import FRONT, Fault


class Watchdog(wiring.Component):
    """``fault`` for one cycle (valid) after ``limit`` cycles of ``enable`` without ``progress`` (0: never).

    It names the lowest engine that waits for semaphores, or else the lowest that is not idle, with its instruction; or
    the instruction at ``front`` when all are idle.
    """

    enable: In(1)
    progress: In(1)
    limit: In(32)
    states: In(State).array(len(Engine))
    offsets: In(OFFSET_BITS).array(len(Engine))
    front: In(OFFSET_BITS)
    fault: Out(Fault)

    def elaborate(self, platform):
        m = Module()
        waited = Signal(32)
        with m.If(self.progress | ~self.enable):
            m.d.sync += waited.eq(0)
        with m.Else():
            m.d.sync += waited.eq(waited + 1)
        expired, told = Signal(), Signal()
        m.d.comb += [expired.eq((self.limit != 0) & (waited >= self.limit)), self.fault.valid.eq(told & self.enable)]
        m.d.sync += told.eq(expired)
        with m.If(expired & ~told):
            m.d.sync += [
                self.fault.cause.eq(Cause.WATCHDOG),
                self.fault.engine.eq(FRONT),
                self.fault.offset.eq(self.front),
            ]
            # Later assignments win: the lowest engine, and one that waits for semaphores before any other.
            for waits in (False, True):
                for engine in reversed(Engine):
                    state = self.states[engine]
                    hangs = (state == State.WAIT_SEMAPHORE) if waits else (state != State.IDLE)
                    with m.If(hangs):
                        m.d.sync += [self.fault.engine.eq(engine), self.fault.offset.eq(self.offsets[engine])]
        return m
