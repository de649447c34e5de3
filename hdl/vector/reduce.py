"""Sum or maximum over a window."""

from itertools import pairwise

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config


class Reduce(wiring.Component):
    """``o`` = sum modulo 2**32, or signed maximum with ``maximum``, of the operands from the one with ``start`` to this one.

    The lane groups of a row follow each other in order, from one ``valid`` to the next; each has a state of its own.
    LATENCY 1 cycle, one lane group a cycle. ``o`` stays until the next ``valid``.

        i ─► (+ or max) ─► state ─► o
               ▲             └─ … lane_groups deep ─┐
               └────────────────────────────────────┘
    """

    LATENCY = 1

    def __init__(self, config: Config):
        self.config = config
        row = data.ArrayLayout(signed(32), config.lanes)
        super().__init__({"valid": In(1), "start": In(1), "maximum": In(1), "i": In(row), "o": Out(row)})

    def elaborate(self, platform):
        m = Module()
        for i in range(self.config.lanes):
            states = [
                Signal(signed(32), name=f"state_{i}_{g}", reset_less=True) for g in range(self.config.lane_groups)
            ]
            held, new = states[-1], self.i[i]
            m.d.comb += self.o[i].eq(states[0])
            # One adder for both: for a maximum it tells the sign of held - new, the carry coming in through the lowest bit.
            total = Signal(signed(34), name=f"total_{i}")
            m.d.comb += total.eq(
                Cat(self.maximum, held).as_signed()
                + Cat(self.maximum, new.as_unsigned() ^ self.maximum.replicate(32)).as_signed()
            )
            with m.If(self.valid):
                is_less = total[33]
                new_wins = self.start | (self.maximum & is_less)
                m.d.sync += states[0].eq(Mux(new_wins, new, Mux(self.maximum, held, total[1:33].as_signed())))
                m.d.sync += [after.eq(before) for before, after in pairwise(states)]
        return m
