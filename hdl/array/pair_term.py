"""What the weights of a tile add to every sum of the pair array."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .delay import Delay
from .multiplier import DotProduct


class TermBeat(data.Struct):
    """What travels along the columns, beside the weights: ``load``, a weight; ``pair``, it is the second of its pair. When its
    product is there: ``add``. As long after the swap of the activations: ``swap``, the tile is complete."""

    load: 1
    pair: 1
    add: 1
    swap: 1


class WeightTerm(wiring.Component):
    """Of two neighbouring columns: ``term`` = − sum over pairs of rows of w[0] · w[1], which must fit ``bits``.

    The second column's weights come a cycle after those of the first, so that the pairs of both never meet: one multiplier
    serves both. ``i`` goes with the first column, 1 cycle later it goes with the second, and ``o`` is ``i`` 2 cycles later.
    From ``pair`` to ``add`` it is ``multiplier.latency`` + 1 cycles. The term of a tile is there 1 cycle after ``swap`` in the first
    column, 2 in the second, until the same after the next ``swap``; ``swap`` comes between the last ``add`` of its tile and the
    first one of the next.
    """

    def __init__(self, bits: int, multiplier: type = DotProduct):
        self.multiplier = multiplier
        super().__init__(
            {
                "i": In(TermBeat),
                "o": Out(TermBeat),
                "weights": In(signed(8)).array(2),
                "terms": Out(signed(bits)).array(2),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiplier = multiplier = self.multiplier(1)
        beat, pairs = self.i, []
        for column, (weight, term) in enumerate(zip(self.weights, self.terms)):
            held = Signal(signed(8), name=f"held_{column}", reset_less=True)
            total = Signal(term.shape(), name=f"total_{column}", reset_less=True)
            complete = Signal(term.shape(), name=f"complete_{column}", reset_less=True)
            with m.If(beat.load):
                m.d.sync += held.eq(weight)
            with m.If(beat.swap):
                m.d.sync += [complete.eq(total), total.eq(0)]
            with m.Elif(beat.add):
                m.d.sync += total.eq(total - multiplier.p)
            m.d.comb += term.eq(complete)
            pairs.append((held, weight))
            later = Signal(TermBeat, name=f"beat_{column}", reset_less=True)
            m.d.sync += later.eq(beat)
            beat = later
        m.d.comb += self.o.eq(beat)
        for name, operands in zip("aw", zip(*pairs)):
            operand = Signal(signed(8), name=f"operand_{name}", reset_less=True)
            m.d.sync += operand.eq(Mux(self.i.pair, *operands))
            m.d.comb += getattr(multiplier, name)[0].eq(operand)
        return m


class TermBeats(wiring.Component):
    """``o`` for the first column, whose weights come a cycle after ``load``, ``latency`` being that of the multiplier.

    ``pair`` goes with ``load``, ``swap`` with the activations.
    """

    def __init__(self, latency: int):
        self.latency = latency
        super().__init__({"load": In(1), "pair": In(1), "swap": In(1), "o": Out(TermBeat)})

    def elaborate(self, platform):
        m = Module()
        pair = self.load & self.pair
        late = self.latency + 2
        delays = {"load": (self.load, 1), "pair": (pair, 1)}
        delays |= {"add": (pair, late), "swap": (self.swap, late)}
        for name, (flag, cycles) in delays.items():
            # With a reset: see PairArray. It sends a swap along the columns, which is what clears them.
            m.submodules[name] = delay = Delay(1, cycles, reset=True, init=int(name == "swap"))
            m.d.comb += [delay.i.eq(flag), self.o[name].eq(delay.o)]
        return m
