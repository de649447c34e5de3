"""Two tables of 256 int8, looked up by every lane."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import TABLE_ENTRIES, TABLES, Config

from ..interfaces import WritePort
from ..memory.ram import NO_CHECK
from .layouts import delayed, settings_layout

SETTINGS = {"table": 0, "table_index": 0}
"""The fields of the instruction that matter here: those of the element that comes in."""

WORD_BYTES = 4
"""Entries of a word of storage (fewer only if a granule has fewer): what is written in a cycle."""


class Table(wiring.Component):
    """``o`` = entry ``i + 128`` of table ``table_index``, or ``i`` itself without ``table``. LATENCY 1 cycle, one a cycle.

    ``write`` takes granules of ``bus_bytes`` entries, table 0 first, in bus_bytes / WORD_BYTES cycles each: ``ready`` comes in the
    last of them, and the granule must be held until then. Elements that come in later see it. One RAM with a read port a lane,
    which becomes one copy a lane where RAMs have only one.
    """

    LATENCY = 1

    def __init__(self, config: Config):
        self.config = config
        row = data.ArrayLayout(signed(8), config.lanes)
        depth = TABLES * TABLE_ENTRIES // config.bus_bytes
        super().__init__(
            {
                "valid": In(1),
                "i": In(row),
                "settings": In(settings_layout(SETTINGS)),
                "o_valid": Out(1),
                "o": Out(row),
                "write": In(WritePort(depth, 8 * config.bus_bytes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        word = min(WORD_BYTES, self.config.bus_bytes)
        m.submodules.storage = storage = memory.Memory(
            shape=data.ArrayLayout(signed(8), word), depth=TABLES * TABLE_ENTRIES // word, init=[], attrs=NO_CHECK
        )
        self.writes(m, storage.write_port(), self.config.bus_bytes // word)

        m.d.comb += self.o_valid.eq(delayed(m, self.valid, self.LATENCY, "valid_in")[-1])
        looked_up = Signal()
        with m.If(self.valid):
            m.d.sync += looked_up.eq(self.settings.table)
        for i in range(self.config.lanes):
            read = storage.read_port()
            plain = Signal(signed(8), name=f"plain_{i}", reset_less=True)
            byte = plain.as_unsigned()[: (word - 1).bit_length()]
            entry = Cat(self.i[i] ^ 0x80)[:8]
            m.d.comb += [
                read.en.eq(self.valid & self.settings.table),
                read.addr.eq(Cat(entry, self.settings.table_index)[len(byte) :]),
                self.o[i].eq(plain),
            ]
            with m.If(looked_up):
                m.d.comb += self.o[i].eq(read.data[byte])
            with m.If(self.valid):
                m.d.sync += plain.eq(self.i[i])
        return m

    def writes(self, m, port, words):
        """Writes the granule word by word."""
        write = self.write
        index = Signal(range(words))
        m.d.comb += [
            port.addr.eq(Cat(index, write.address)),
            port.data.eq(write.data.word_select(index, len(write.data) // words)),
            port.en.eq(write.valid & write.mask),
            write.ready.eq(index == words - 1),
        ]
        if words > 1:
            with m.If(write.valid):
                m.d.sync += index.eq(index + 1)
