"""The systolic array with two multiply-accumulates a multiplier."""

from amaranth import Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config

from .array import ActivationSignature, SumSignature, WeightSignature
from .delay import Delay
from .multiplier import WORD, DotProduct
from .pair_cell import PairCell, SideCell
from .pair_term import TermBeats, WeightTerm
from .skew import Skew, Sums, skew, sums_latency


class PairArray(wiring.Component):
    """SystolicArray with half its multipliers: the same ports and rules, exact sums, another ``latency``.

    For a pair of rows, a[0]·w[0] + a[1]·w[1] = (a[0] + w[1])·(a[1] + w[0]) − a[0]·a[1] − w[0]·w[1] (Winograd 1968).

                         w ──► skew over columns
                 0       │      │      │
              ┌──────┐   ▼      ▼      ▼      ▲ −sum of w[0]·w[1], once a tile: a multiplier for 2 columns
        i ──► │ skew │─► cell ─ cell ─ cell ─      a cell is `dot` rows x 1 column, `dot` / 2 multipliers
              │ over │   │      │      │
              │ rows │─► cell ─ cell ─ cell ─      B = rows / dot rows of cells
              └──────┘   ▼      ▼      ▼
                 └─► side ─► − ── ► − ── ► −       sum of a[0]·a[1]: one more column, which every column subtracts
                         deskew over columns ──► o

    ``latency`` = 2 B + columns + multiplier latency + 2 cycles: from one row of cells to the next it is 2, of which one is for the way. ``multiplier(length, bits)`` makes a component with a DotSignature:
    of ``dot`` / 2 and 9 for a cell; of ``dot`` / 2 for a cell of the side column; of 1 for the weights of two columns. All
    have the latency ``multiplier.latency``. Sums wrap around inside at ``psum_bits``, which the results fit; the terms, of half
    as many products, need 2 bits (−w·w) and 1 bit (a·a) less.
    """

    ROW_LAG = 2
    WEIGHTS_BEFORE_SWAP = 1
    WEIGHTS_AFTER_SWAP = 0

    def __init__(self, config: Config, multiplier: type = DotProduct, lead: int | None = None):
        assert config.dot % 2 == config.columns % 2 == 0, "pairs of rows, and of columns"
        self.config, self.multiplier = config, multiplier
        self.blocks = config.rows // config.dot
        self.lead, self.skewed = lead, lead is not None
        self.latency = sums_latency(config, config.array_depth + multiplier.latency + 1, lead)
        super().__init__(
            {
                "i": In(ActivationSignature(config)),
                "w": In(WeightSignature(config)),
                "o": Out(SumSignature(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        buses, loads, sums = self._weights(m)
        beats = self._activations(m)
        for r, ((activations, swap), load) in enumerate(zip(beats, loads)):
            if r:
                buses, load = self._downwards(m, r, buses, load)
            for c in range(self.config.columns):
                m.submodules[f"cell_{r}_{c}"] = cell = PairCell(self.config.dot, self.multiplier)
                m.d.comb += [
                    cell.i.data.eq(activations),
                    cell.i.swap.eq(swap),
                    cell.i.load.eq(load),
                    cell.weight.eq(buses[c]),
                    cell.above.eq(sums[c]),
                ]
                activations, swap, load, sums[c] = cell.o.data, cell.o.swap, cell.o.load, cell.below
            if r < self.blocks - 1:
                sums = [self._way(m, total, f"way_{r}_{c}") for c, total in enumerate(sums)]
        self._sums(m, sums, self._side(m, beats))
        return m

    def _weights(self, m):
        """The buses of the columns, each a cycle later than the one before it; the load flags that enter on the left; and what
        the sums of a column begin with."""
        columns, latency = self.config.columns, self.multiplier.latency
        m.submodules.weight_skew = buses = Skew(signed(8), [1] * columns if self.skewed else skew(columns))
        m.d.comb += [bus.eq(weight) for bus, weight in zip(buses.i, self.w.data)]
        row = Signal(range(self.config.rows))
        with m.If(self.w.valid):
            m.d.sync += row.eq(row + 1)
        loads = [Signal(name=f"load_{r}", reset_less=True) for r in range(self.blocks)]
        block = row[(self.config.dot - 1).bit_length() :]
        m.d.sync += [load.eq(self.w.valid & (block == r)) for r, load in enumerate(loads)]

        m.submodules.beats = beats = TermBeats(latency)
        m.d.comb += [
            beats.load.eq(self.w.valid),
            beats.pair.eq(row[0]),
            beats.swap.eq(self.i.swap),
        ]
        beat, terms = beats.o, []
        for c in range(0, columns, 2):
            m.submodules[f"term_{c}"] = term = WeightTerm(self.config.psum_bits - 2, self.multiplier)
            m.d.comb += [term.i.eq(beat), *(to.eq(bus) for to, bus in zip(term.weights, buses.o[c:]))]
            beat, terms = term.o, [*terms, *term.terms]
        return buses.o, loads, terms

    def _downwards(self, m, r, buses, load):
        """The buses for the next row of cells, and its load flag, as much later as its activations."""
        m.submodules[f"weights_{r}"] = ways = Skew(signed(8), [2] * len(buses))
        m.submodules[f"load_{r}"] = flag = Delay(1, 2 * r)
        m.d.comb += [flag.i.eq(load), *(way.eq(bus) for way, bus in zip(ways.i, buses))]
        return ways.o, flag.o

    def _activations(self, m):
        """Activations and swap flag of each row of cells, each 2 cycles later than the one above it."""
        bits = 8 * self.config.dot
        delays = [self.ROW_LAG * r + 1 for r in range(self.blocks)]
        m.submodules.skew = beats = Skew(bits, [1] * self.blocks if self.skewed else delays)
        words = self.i.data.as_value()
        m.d.comb += [beat.eq(words.word_select(r, bits)) for r, beat in enumerate(beats.i)]
        # The flag is the same in a cell of a row and one of the next row further left. With a reset here and none in cells synthesis does not
        # find that out, and each row keeps flags of its own, where they are needed.
        swaps = []
        for r, cycles in enumerate(delays):
            m.submodules[f"swap_{r}"] = delay = Delay(1, cycles, reset=True)
            m.d.comb += delay.i.eq(self.i.swap)
            swaps.append(delay.o)
        return list(zip(beats.o, swaps))

    def _side(self, m, beats):
        """The activations' own term, a cycle before the sums of the first column."""
        above = Const(0, signed(WORD))
        for r, (activations, _) in enumerate(beats):
            m.submodules[f"side_{r}"] = side = SideCell(self.config.dot, self.multiplier)
            m.d.comb += [side.i.eq(activations), side.above.eq(above)]
            above = side.below if r == self.blocks - 1 else self._way(m, side.below, f"way_{r}_side")
        return above

    def _way(self, m, total, name):
        """``total`` a cycle later: on a chip the next row of cells may be far away."""
        register = Signal(total.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(total)
        return register

    def _sums(self, m, sums, side):
        """The terms of the activations taken away, the columns aligned again."""
        bits, columns = self.config.psum_bits, self.config.columns
        m.submodules.sums = end = Sums(self.o.signature, bits, columns, self.latency, self.lead)
        m.d.comb += end.valid.eq(self.i.valid)
        connect(m, end.o, flipped(self.o))
        for c, (column, lane) in enumerate(zip(sums, end.sums)):
            total = Signal(signed(bits), name=f"sum_{c}", reset_less=True)
            term = Signal(signed(bits - 1), name=f"side_term_{c}", reset_less=True)
            m.d.sync += [term.eq(side), total.eq(column - term)]
            m.d.comb += lane.eq(total)
            side = term
