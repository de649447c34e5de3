"""Counts what an engine does, to be told to another clock."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.registers import State

from ..interfaces import COUNTED_BITS, Counted


class StateMeter(wiring.Component):
    """Cycles in each ``state`` while ``counting``, told piece by piece: ``o`` holds the cycles in one state since it was told last.

    ``take`` takes them; then it is the next state's turn. The sum of all that is taken is exact as long as every state's turn
    comes within 2**COUNTED_BITS - 1 cycles; what would not fit is lost.
    """

    state: In(State)
    counting: In(1)
    take: In(1)
    o: Out(Counted)

    def elaborate(self, platform):
        m = Module()
        counts = [Signal(COUNTED_BITS, name=f"count_{state.name.lower()}") for state in State]
        turn = Signal(range(len(State)))
        m.d.comb += self.o.state.eq(turn)
        with m.If(self.take):
            m.d.sync += turn.eq(turn + 1)
        for state, count in zip(State, counts):
            kept, counted = (
                Signal(COUNTED_BITS, name=f"kept_{state.name.lower()}"),
                Signal(name=f"counted_{state.name.lower()}"),
            )
            m.d.comb += [
                kept.eq(Mux(self.take & (turn == state), 0, count)),
                counted.eq(self.counting & (self.state == state) & ~kept.all()),
            ]
            m.d.sync += count.eq(kept + counted)
            with m.If(turn == state):
                m.d.comb += self.o.cycles.eq(count)
        return m
