"""The systolic array."""

from amaranth import Cat, Const, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config

from .cell import Cell
from .multiplier import WORD, DotProduct
from .skew import Skew, Sums, skew, sums_latency
from .window import Window


class ActivationSignature(wiring.Signature):
    """A word of ``rows`` activations; ``swap`` with the first of a tile. In an array with a window, ``window`` says that the word
    belongs to a depthwise matmul, and ``position`` where in its line."""

    def __init__(self, config: Config):
        members = {"valid": Out(1), "swap": Out(1), "data": Out(data.ArrayLayout(signed(8), config.rows))}
        if config.window_line:
            members |= {"window": Out(1), "position": Out(range(config.window_line))}
        super().__init__(members)


class WeightSignature(wiring.Signature):
    """The weights of one row, for every column."""

    def __init__(self, config: Config):
        super().__init__({"valid": Out(1), "data": Out(data.ArrayLayout(signed(8), config.columns))})


class SumSignature(wiring.Signature):
    """A row of exact sums, one a column."""

    def __init__(self, config: Config):
        row = data.ArrayLayout(signed(config.psum_bits), config.columns)
        super().__init__({"valid": Out(1), "data": Out(row)})


class SystolicArray(wiring.Component):
    """Weight-stationary: rows = K, columns = N. o[n] = sum over k of i[k] · w[k][n].

                  w ──► skew over columns
                         │      │      │
              ┌──────┐   ▼      ▼      ▼
        i ──► │ skew │─► cell ─ cell ─ cell ─      a cell is `dot` rows x 1 column
              │ over │   │      │      │
              │ rows │─► cell ─ cell ─ cell ─      B = rows / dot rows of cells
              └──────┘   ▼      ▼      ▼
                         deskew over columns ──► o

    ``o`` follows ``i`` by ``latency`` = B + columns + multiplier latency + 1 cycles, ``valid`` with it. Throughput: one word
    a cycle; nothing stalls. ``i.swap`` and ``w`` act whether ``i.valid`` is high or not.

    Weights: words of a tile come in order of k, ``rows`` of them, with or without gaps; they are counted from reset. The tile
    becomes active with the activation word that carries ``swap``. With a swap in cycle t,

    * the last word of its tile comes in cycle t − WEIGHTS_BEFORE_SWAP or earlier,
    * the first word of the tile after it in cycle t + WEIGHTS_AFTER_SWAP or later.

    So tiles of ``rows`` activation words follow each other without a gap.

    With ``lead`` neither weights nor sums are aligned: the weight of column c comes c cycles after ``w.valid``, its sum ``lead`` + c cycles
    after ``o.valid``. Nor are activations, but in an array with a window: those of row of cells r come ROW_LAG · r cycles after ``i.valid``
    (``skewed``).

    ``i.window``: column c sums channel c alone, over the words of the window that ends with this one (`Window`), times rows 0 to 8
    of the tile. Latency and throughput are the same.
    """

    ROW_LAG = 1
    WEIGHTS_BEFORE_SWAP = 1
    WEIGHTS_AFTER_SWAP = 0

    def __init__(self, config: Config, multiplier: type = DotProduct, lead: int | None = None):
        self.config, self.multiplier = config, multiplier
        self.blocks = config.rows // config.dot
        self.lead, self.skewed = lead, lead is not None and not config.window_line
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
        buses, loads = self._weights(m)
        beats = self._activations(m)
        sums = [Const(0, signed(WORD))] * self.config.columns
        taps = self._taps(m) if self.config.window_line else None
        for r, (beat, load) in enumerate(zip(beats, loads)):
            bits = 8 * self.config.dot
            activations, swap, window = beat[:bits], beat[bits], beat[bits + 1 :]
            for c in range(self.config.columns):
                m.submodules[f"cell_{r}_{c}"] = cell = Cell(self.config.dot, self.multiplier, bool(taps))
                m.d.comb += [
                    cell.i.data.eq(activations),
                    cell.i.swap.eq(swap),
                    cell.i.load.eq(load),
                    cell.weight.eq(buses[c]),
                    cell.above.eq(sums[c]),
                ]
                activations, swap, load, sums[c] = cell.o.data, cell.o.swap, cell.o.load, cell.below
                if taps:
                    m.d.comb += [cell.i.window.eq(window), cell.taps.eq(taps[c][r] if r < len(taps[c]) else 0)]
                    window = cell.o.window
        self._sums(m, sums)
        return m

    def _weights(self, m):
        """The buses of the columns, each a cycle later than the one before it, and the load flags that enter on the left."""
        m.submodules.weight_skew = buses = Skew(
            signed(8), skew(self.config.columns) if self.lead is None else [1] * self.config.columns
        )
        m.d.comb += [bus.eq(weight) for bus, weight in zip(buses.i, self.w.data)]
        row = Signal(range(self.config.rows))
        with m.If(self.w.valid):
            m.d.sync += row.eq(row + 1)
        loads = [Signal(name=f"load_{r}", reset_less=True) for r in range(self.blocks)]
        block = row[(self.config.dot - 1).bit_length() :]
        m.d.sync += [load.eq(self.w.valid & (block == r)) for r, load in enumerate(loads)]
        return buses.o, loads

    def _activations(self, m):
        """Activations and flags of each row of cells, each a cycle later than the one above it."""
        bits = 8 * self.config.dot
        flags = Cat(self.i.swap, self.i.window) if self.config.window_line else self.i.swap
        words = self.i.data.as_value()
        if self.skewed:
            m.submodules.skew = beats = Skew(bits, [1] * self.blocks)
            m.submodules.flags = late = Skew(len(flags), skew(self.blocks))
            m.d.comb += [beat.eq(words.word_select(r, bits)) for r, beat in enumerate(beats.i)]
            m.d.comb += [flag.eq(flags) for flag in late.i]
            return [Cat(beat, flag) for beat, flag in zip(beats.o, late.o)]
        m.submodules.skew = beats = Skew(bits + len(flags), skew(self.blocks))
        m.d.comb += [beat.eq(Cat(words.word_select(r, bits), flags)) for r, beat in enumerate(beats.i)]
        return beats.o

    def _taps(self, m):
        m.submodules.window = window = Window(self.config)
        m.d.comb += [
            window.take.eq(self.i.valid & self.i.window),
            window.position.eq(self.i.position),
            window.word.eq(self.i.data),
        ]
        return window.taps

    def _sums(self, m, sums):
        config = self.config
        m.submodules.sums = end = Sums(self.o.signature, config.psum_bits, config.columns, self.latency, self.lead)
        m.d.comb += [end.valid.eq(self.i.valid), *(lane.eq(column) for lane, column in zip(end.sums, sums))]
        connect(m, end.o, flipped(self.o))
