"""The window of a depthwise matmul: nine words at a time, each column's bytes down its own column of the array."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import WINDOW

from ..memory.ram import NO_CHECK
from .delay import Delay
from .skew import Skew, skew

TAPS = WINDOW * WINDOW


class Window(wiring.Component):
    """``taps[c][r]``: what row r of cells in column c multiplies, when the word that came last ends the window.

        word ──────────────────────────┐ line 2
          └──► lower line ──┬──────────┤ line 1 ──► skew over columns ──► 3 columns of the window ──► taps of row 0
                            └─► upper ─┘ line 0                            └─► register ───────────► taps of row 1 …

    A word comes with ``take`` and its ``position`` in the line; consecutive words have different positions. Latency r + c + 1
    cycles from the word to ``taps[c][r]``, one word a cycle, gaps as they come. The line memories hold the words of each position
    that came last (lower) and before it (upper); docs/isa-semantics.md says what that computes.
    """

    def __init__(self, config: Config):
        self.config = config
        self.rows = -(-TAPS // config.dot)
        taps = data.ArrayLayout(signed(8), config.dot)
        super().__init__(
            {
                "take": In(1),
                "position": In(range(config.window_line)),
                "word": In(8 * config.columns),
                "taps": Out(taps).array(config.columns, self.rows),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.skew = lanes = Skew(8 * WINDOW + 1, [delay - 1 for delay in skew(self.config.columns)])
        lines, taken = self._lines(m)
        for c, lane in enumerate(lanes.i):
            m.d.comb += lane.eq(Cat(*(line.word_select(c, 8) for line in lines), taken))
        for c, lane in enumerate(lanes.o):
            self._column(m, c, lane[:-1], lane[-1])
        return m

    def _lines(self, m):
        """The words of the three lines at the position that came a cycle ago, uppermost first, and whether one came."""
        width = 8 * self.config.columns
        attributes = NO_CHECK  # a position is read again long after it was written
        m.submodules.memory = memory = Memory(shape=2 * width, depth=self.config.window_line, init=[], attrs=attributes)
        read, write = memory.read_port(), memory.write_port()
        word, taken = Signal(width, reset_less=True), Signal()
        position = Signal.like(self.position, reset_less=True)
        m.d.sync += [word.eq(self.word), position.eq(self.position), taken.eq(self.take)]
        upper, lower = read.data[:width], read.data[width:]
        m.d.comb += [
            read.addr.eq(self.position),
            read.en.eq(self.take),
            write.addr.eq(position),
            write.data.eq(Cat(lower, word)),
            write.en.eq(taken),
        ]
        return (upper, lower, word), taken

    def _column(self, m, c, latest, taken):
        """The last columns of the window of channel ``c``, oldest first, and their bytes in the order of the weight tile's rows."""
        columns = [latest]
        for j in range(1, WINDOW):
            before = Signal(8 * WINDOW, name=f"column_{c}_{j}", reset_less=True)
            m.d.sync += before.eq(Mux(taken, columns[0], before))
            columns.insert(0, before)
        taps = Cat(column.word_select(i, 8) for i in range(WINDOW) for column in columns)
        bits = 8 * self.config.dot
        for r in range(self.rows):
            m.submodules[f"tap_{c}_{r}"] = delay = Delay(bits, r)
            m.d.comb += [delay.i.eq(taps[r * bits : (r + 1) * bits]), self.taps[c][r].eq(delay.o)]
