"""The block that transposed loads go through."""

from amaranth import Cat, Module, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config


def column_layout(config: Config) -> data.StructLayout:
    """``data``: the column's bytes rotated left by its ``index``; ``last``: of the block."""
    size = config.bus_bytes
    return data.StructLayout({"data": unsigned(8 * size), "index": range(size), "last": 1})


class Transposer(wiring.Component):
    """A block of bus_bytes x bus_bytes bytes, written by rows and read by columns.

    ``write``: row ``row`` becomes ``row_data``, which is the row rotated left by ``row`` bytes. After ``start``, ``o`` gives
    the columns 0 to ``columns``, one a cycle, each rotated left by its index; rows not written hold anything. Not double
    buffered: the next block's rows may be written when ``o`` has given the last column.

    Byte (row, column) is in bank (row + column) mod bus_bytes at address row, so a row and a column both touch every bank
    once. Latency from ``start`` to ``o``: 2 cycles.

        row rotated ──► banks[row] … banks[b − column] ─► register ──► column rotated
    """

    def __init__(self, config: Config):
        self.size = size = config.bus_bytes
        super().__init__(
            {
                "write": In(1),
                "row": In(range(size)),
                "row_data": In(8 * size),
                "start": In(1),
                "columns": In(range(size)),
                "o": Out(stream.Signature(column_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        o = self.o.payload
        active, valid = Signal(), Signal()
        column = Signal(range(self.size))
        read = Signal()
        m.d.comb += [read.eq(active & (~valid | self.o.ready)), self.o.valid.eq(valid)]
        with m.If(self.start):
            m.d.sync += [active.eq(1), column.eq(0)]
        with m.Elif(read):
            m.d.sync += [active.eq(column != self.columns), column.eq(column + 1)]
        with m.If(read):
            m.d.sync += [valid.eq(1), o.index.eq(column), o.last.eq(column == self.columns)]
        with m.Elif(self.o.ready):
            m.d.sync += valid.eq(0)

        outputs = []
        for number in range(self.size):
            m.submodules[f"bank_{number}"] = bank = memory.Memory(shape=8, depth=self.size, init=[])
            write_port, read_port = bank.write_port(), bank.read_port()
            m.d.comb += [
                write_port.en.eq(self.write),
                write_port.addr.eq(self.row),
                write_port.data.eq(self.row_data.word_select(number, 8)),
                read_port.en.eq(read),
                read_port.addr.eq(number - column),
            ]
            outputs.append(read_port.data)
        m.d.comb += o.data.eq(Cat(outputs))
        return m
