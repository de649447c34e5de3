"""The array of `nano`: every activation of a word meets every column in the same cycle."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config

from .multiplier import LATENCY, MultiplierPair


class Array(wiring.Component):
    """``sums``[n] = sum over k of ``word``[k] · weights[k][n], registered LATENCY + 1 cycles after ``word``; 0 without ``valid``
    in the cycle before. ``load``: ``row`` of the weights is ``weights``; the rows of a tile come in order.

    A pair of rows is loaded when its second one comes, for the ``word`` of that cycle and those after it.
    """

    def __init__(self, config: Config, multiplier: type = MultiplierPair):
        self.config, self.multiplier = config, multiplier
        super().__init__(
            {
                "word": In(data.ArrayLayout(signed(8), config.rows)),
                "load": In(1),
                "row": In(range(config.rows)),
                "weights": In(data.ArrayLayout(signed(8), config.columns)),
                "valid": In(1),
                "sums": Out(data.ArrayLayout(signed(config.psum_bits), config.columns)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        even = Signal.like(self.weights, reset_less=True)
        with m.If(self.load & ~self.row[0]):
            m.d.sync += even.eq(self.weights)
        for n in range(self.config.columns):
            products = []
            for pair in range(self.config.rows // 2):
                m.submodules[f"multiplier_{pair}_{n}"] = multiplier = self.multiplier()
                m.d.comb += [
                    multiplier.a[0].eq(self.word[2 * pair]),
                    multiplier.a[1].eq(self.word[2 * pair + 1]),
                    multiplier.w[0].eq(even[n]),
                    multiplier.w[1].eq(self.weights[n]),
                    multiplier.load.eq(self.load & (self.row == 2 * pair + 1)),
                ]
                products.append(multiplier.p[0] + multiplier.p[1])
            total = Signal(signed(self.config.psum_bits), name=f"sum_{n}", reset_less=True)
            m.d.sync += total.eq(0)
            with m.If(self.valid):
                m.d.sync += total.eq(sum(products[1:], products[0]))
            m.d.comb += self.sums[n].eq(total)
        return m


assert LATENCY == 2
