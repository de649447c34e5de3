"""The processing elements of the pair array: two multiply-accumulates a multiplier."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .cell import BeatSignature
from .multiplier import WORD, DotProduct

SUM_BITS = 9
"""Of an activation and a weight."""


class PairCell(wiring.Component):
    """``dot`` rows of one column: below = above + sum over pairs of rows of (a[0] + w[1]) · (a[1] + w[0]).

        weight ──► next ──► active              above
        (load)     (swap)     │                   │
                              ▼                   ▼
        i ──► register ─────►(+)──► multiplier ──(+)──► register ──► below
                 └──► o

    It is ``Cell`` with sums in place of operands, ``dot`` / 2 products, and one more register, between sums and multiplier:
    the same ports and rules. Each product is a[0]·w[0] + a[1]·w[1], and a[0]·a[1] and w[0]·w[1] too much, which the array takes
    away.
    """

    def __init__(self, dot: int, multiplier: type = DotProduct):
        self.dot, self.multiplier = dot, multiplier
        self.latency = multiplier.latency + 3
        super().__init__(
            {
                "i": In(BeatSignature(dot)),
                "o": Out(BeatSignature(dot)),
                "weight": In(signed(8)),
                "above": In(signed(WORD)),
                "below": Out(signed(WORD)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        vector = self.i.data.shape()
        activations = Signal(vector, reset_less=True)
        swap, load = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [activations.eq(self.i.data), swap.eq(self.i.swap), load.eq(self.i.load)]
        m.d.comb += [self.o.data.eq(activations), self.o.swap.eq(swap), self.o.load.eq(load)]

        following, active = Signal(vector, reset_less=True), Signal(vector, reset_less=True)
        with m.If(self.i.load):
            m.d.sync += following.eq(Cat(following.as_value()[8:], self.weight))
        with m.If(self.i.swap):
            m.d.sync += active.eq(following)

        m.submodules.multiplier = multiplier = self.multiplier(self.dot // 2, bits=SUM_BITS)
        for pair in range(self.dot // 2):
            for name, port, a in (("x", multiplier.a, 2 * pair), ("y", multiplier.w, 2 * pair + 1)):
                total = Signal(signed(SUM_BITS), name=f"{name}_{pair}", reset_less=True)
                m.d.sync += total.eq(activations[a] + active[a ^ 1])
                m.d.comb += port[pair].eq(total)
        below = Signal(signed(WORD), reset_less=True)
        m.d.comb += self.below.eq(below)
        m.d.sync += below.eq(self.above + multiplier.p)
        return m


class SideCell(wiring.Component):
    """``dot`` rows of the side column: below = above + sum over pairs of rows of a[0] · a[1].

    ``below`` answers ``i`` ``latency`` cycles later, 1 cycle sooner than a PairCell, and ``above`` 1 cycle later.
    """

    def __init__(self, dot: int, multiplier: type = DotProduct):
        self.dot, self.multiplier = dot, multiplier
        self.latency = multiplier.latency + 2
        super().__init__(
            {
                "i": In(data.ArrayLayout(signed(8), dot)),
                "above": In(signed(WORD)),
                "below": Out(signed(WORD)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        activations = Signal(self.i.shape(), reset_less=True)
        below = Signal(signed(WORD), reset_less=True)
        m.submodules.multiplier = multiplier = self.multiplier(self.dot // 2)
        for pair in range(self.dot // 2):
            m.d.comb += [
                multiplier.a[pair].eq(activations[2 * pair]),
                multiplier.w[pair].eq(activations[2 * pair + 1]),
            ]
        m.d.comb += self.below.eq(below)
        m.d.sync += [activations.eq(self.i), below.eq(self.above + multiplier.p)]
        return m
