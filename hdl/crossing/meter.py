"""Counts what an engine does, to be told to another clock."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.registers import State

from ..interfaces import COUNTED_BITS, Counted

MOST = (1 << COUNTED_BITS) - 16
"""Cycles that a count holds."""


class StateMeter(wiring.Component):
    """Cycles in each ``state`` while ``counting``, told piece by piece: ``o`` holds the cycles in one state since it was told last.

    ``take`` takes them; then it is the next state's turn. The sum of all that is taken is exact as long as every state's turn
    comes within MOST cycles; what would be more is lost. Counts are a cycle behind the state.
    """

    state: In(State)
    counting: In(1)
    take: In(1)
    o: Out(Counted)

    def elaborate(self, platform):
        m = Module()
        turn = Signal(len(State), init=1)
        with m.If(self.take):
            m.d.sync += turn.eq(turn.rotate_left(1))
        cycles = 0
        for state in State:
            name = state.name.lower()
            count, hit, full = (
                Signal(COUNTED_BITS, name=f"count_{name}"),
                Signal(name=f"hit_{name}"),
                Signal(name=f"full_{name}"),
            )
            taken, counted = Signal(name=f"taken_{name}"), Signal(name=f"counted_{name}")
            m.d.comb += [taken.eq(self.take & turn[state]), counted.eq(hit & ~full)]
            m.d.sync += [
                hit.eq(self.counting & (self.state == state)),
                full.eq(count >= MOST),  # a cycle late: there is room for one more
                count.eq(Mux(taken, 0, count) + counted),
            ]
            with m.If(turn[state]):
                m.d.comb += self.o.state.eq(state)
            cycles = cycles | (count & turn[state].replicate(COUNTED_BITS))
        m.d.comb += self.o.cycles.eq(cycles)
        return m
