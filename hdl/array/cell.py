"""The processing element."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .multiplier import WORD, DotProduct


class BeatSignature(wiring.Signature):
    """What travels along a row of cells: ``length`` activations, ``swap`` (these are the first of a new weight tile) and
    ``load`` (the weight on the column's bus belongs to this row of cells); in an array with a ``window``, whether the cells take
    their taps of that."""

    def __init__(self, length: int, window: bool = False):
        members = {"data": Out(data.ArrayLayout(signed(8), length)), "swap": Out(1), "load": Out(1)}
        super().__init__(members | ({"window": Out(1)} if window else {}))


class Cell(wiring.Component):
    """``dot`` rows of one column: below = above + activations · weights.

        weight ──► next ──► active                 above
        (load)     (swap)     │                      │
                              ▼                      ▼
        i ──► register ──► multiplier ──────────────(+)──► register ──► below
                 │
                 └──► o

    ``o`` is ``i``, 1 cycle later. ``below`` answers ``i`` ``latency`` cycles later and ``above`` 1 cycle later. A weight
    arrives with ``load``, in order of k: after ``dot`` of them the next weights are complete. They become active with the
    activations that carry ``swap``; a ``load`` in that very cycle already belongs to the tile after it.

    With a ``window`` the activations are ``taps`` instead of ``i.data`` wherever ``i.window`` is high (and so is ``o.data``, which no
    cell uses then).

    Nothing needs a reset: whatever flags a pipeline starts with run out of it ahead of the first real ones.
    """

    def __init__(self, dot: int, multiplier: type = DotProduct, window: bool = False):
        self.dot, self.multiplier, self.window = dot, multiplier, window
        self.latency = multiplier.latency + 2
        super().__init__(
            {
                "i": In(BeatSignature(dot, window)),
                "o": Out(BeatSignature(dot, window)),
                "weight": In(signed(8)),
                "above": In(signed(WORD)),
                "below": Out(signed(WORD)),
            }
            | ({"taps": In(data.ArrayLayout(signed(8), dot))} if window else {})
        )

    def elaborate(self, platform):
        m = Module()
        vector = self.i.data.shape()
        activations = Signal(vector, reset_less=True)
        swap, load = Signal(reset_less=True), Signal(reset_less=True)
        taken = self.i.data
        if self.window:
            window = Signal(reset_less=True)
            taken = Mux(self.i.window, self.taps, self.i.data)
            m.d.sync += window.eq(self.i.window)
            m.d.comb += self.o.window.eq(window)
        m.d.sync += [activations.eq(taken), swap.eq(self.i.swap), load.eq(self.i.load)]
        m.d.comb += [self.o.data.eq(activations), self.o.swap.eq(swap), self.o.load.eq(load)]

        following, active = Signal(vector, reset_less=True), Signal(vector, reset_less=True)
        with m.If(self.i.load):
            m.d.sync += following.eq(Cat(following.as_value()[8:], self.weight))
        with m.If(self.i.swap):
            m.d.sync += active.eq(following)

        m.submodules.multiplier = multiplier = self.multiplier(self.dot)
        below = Signal(signed(WORD), reset_less=True)
        m.d.comb += [multiplier.a.eq(activations), multiplier.w.eq(active), self.below.eq(below)]
        m.d.sync += below.eq(self.above + multiplier.p)
        return m
