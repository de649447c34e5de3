"""The accumulator: two banks of int32 rows, accumulated in place."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from gemmary.config import Config

from ..interfaces import READ_LATENCY, AccumulatePort, ReadPort, WritePort
from .ram import Ram


class AccumulatorBank(wiring.Component):
    """One bank: a RAM of 32 bits for each column, one read and one write of a row a cycle."""

    def __init__(self, config: Config):
        self.config = config
        row = data.ArrayLayout(signed(32), config.columns)
        super().__init__(
            {
                "read": In(ReadPort(config.accumulator_rows, row)),
                "write": In(WritePort(config.accumulator_rows, row, config.columns)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.read.ready.eq(1), self.write.ready.eq(1)]
        for c in range(self.config.columns):
            m.submodules[f"column_{c}"] = ram = Ram(self.config.accumulator_rows, 32)
            m.d.comb += [
                ram.read_enable.eq(self.read.valid),
                ram.read_address.eq(self.read.address),
                self.read.data[c].eq(ram.read_data),
                ram.write_enable.eq(self.write.valid & self.write.mask[c]),
                ram.write_address.eq(self.write.address),
                ram.write_data.eq(self.write.data[c]),
            ]
        return m


def accumulator_members(config: Config) -> dict:
    """Of an accumulator: the array's port, and those of the vector engine and of DMA."""
    row = data.ArrayLayout(signed(32), config.columns)
    granules = config.accumulator_words * config.accumulator_row_bytes // config.bus_bytes
    return {
        "accumulate": In(AccumulatePort(config)),
        "vector_read": In(ReadPort(config.accumulator_words, row)),
        "store": In(ReadPort(granules, 8 * config.bus_bytes)),
        "vector_write": In(WritePort(config.accumulator_words, row, config.lane_groups)),
        "load": In(WritePort(granules, 8 * config.bus_bytes)),
    }


class Accumulator(wiring.Component):
    """Rows of ``columns`` int32, bank 0 first.

    ``accumulate`` always wins its bank: read in the cycle of the request, sum registered two cycles later, written in the
    third, so the row may be used again after ACCUMULATE_DISTANCE cycles:

        request ─► RAM ─► output register ─► (+ psum) ─► register ─► RAM
        cycle 0           1                  2           3

    ``vector_read`` or else ``store`` (granules) takes the other bank, one of them a cycle; ``vector_write`` or else ``load``
    (granules) likewise. They wait for a bank that is taken; one that is overwritten can still be read. One read and one write
    beside ``accumulate`` are enough, and both banks get by with one bus each way for all four.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(accumulator_members(config))

    def elaborate(self, platform):
        m = Module()
        self.parts = self.config.accumulator_row_bytes // self.config.bus_bytes
        part_bits = (self.parts - 1).bit_length()
        self.row_bits = (self.config.accumulator_rows - 1).bit_length()
        store_row, load_row = self.store.address[part_bits:], self.load.address[part_bits:]

        self.reads = self.accumulate.valid & ~self.accumulate.overwrite
        self.sum = self.sums(m)
        self.read = self.other_read(m, store_row)
        self.write = self.other_write(m, load_row)
        bank_read = self.delayed(m, self.bank(self.read.row), "read_bank")
        store_part = self.delayed(m, self.store.address[:part_bits], "store_part")
        for b in range(2):
            m.submodules[f"bank_{b}"] = bank = AccumulatorBank(self.config)
            self.drive_read(m, bank, b)
            self.drive_write(m, bank, b)
            with m.If(self.bank_2 == b):
                m.d.comb += self.previous.eq(bank.read.data)
            with m.If(bank_read == b):
                m.d.comb += self.vector_read.data.eq(bank.read.data)
        row = self.vector_read.data.as_value()
        m.d.comb += self.store.data.eq(row.word_select(store_part, 8 * self.config.bus_bytes))
        return m

    def bank(self, row):
        return row[self.row_bits]

    def delayed(self, m, value, name):
        for stage in range(READ_LATENCY):
            following = Signal(len(value), name=f"{name}_{stage + 1}", reset_less=True)
            m.d.sync += following.eq(value)
            value = following
        return value

    def sums(self, m):
        """The pipeline of the accumulate port; returns the write of its last stage."""
        request, columns = self.accumulate, self.config.columns
        psums, valid, row, overwrite = request.data, request.valid, request.row, request.overwrite
        for stage in range(1, READ_LATENCY + 1):
            stage_psums = Signal(request.data.shape(), name=f"psums_{stage}", reset_less=True)
            stage_valid = Signal(name=f"valid_{stage}")
            stage_row = Signal.like(request.row, name=f"row_{stage}", reset_less=True)
            stage_overwrite = Signal(name=f"overwrite_{stage}", reset_less=True)
            m.d.sync += stage_valid.eq(valid)
            with m.If(valid):
                m.d.sync += [stage_psums.eq(psums), stage_row.eq(row), stage_overwrite.eq(overwrite)]
            psums, valid, row, overwrite = stage_psums, stage_valid, stage_row, stage_overwrite
        self.bank_2 = self.bank(row)
        self.previous = Signal(data.ArrayLayout(signed(32), columns))
        write = Signal(data.StructLayout({"valid": 1, "row": request.row.shape(), "data": self.previous.shape()}))
        m.d.sync += write.valid.eq(valid)
        with m.If(valid):
            m.d.sync += write.row.eq(row)
            m.d.sync += [write.data[c].eq(Mux(overwrite, 0, self.previous[c]) + psums[c]) for c in range(columns)]
        return write

    def other_read(self, m, store_row):
        """The read beside ``accumulate``: of the vector engine unless its bank is taken, else of the store."""
        read = Signal(data.StructLayout({"valid": 1, "row": len(store_row)}))

        def free(row):
            return ~(self.reads & (self.bank(self.accumulate.row) == self.bank(row)))

        m.d.comb += [
            self.vector_read.ready.eq(free(self.vector_read.address)),
            self.store.ready.eq(free(store_row) & ~(self.vector_read.valid & self.vector_read.ready)),
            read.valid.eq(self.vector_read.valid & self.vector_read.ready | self.store.valid & self.store.ready),
            read.row.eq(Mux(self.vector_read.valid & self.vector_read.ready, self.vector_read.address, store_row)),
        ]
        return read

    def other_write(self, m, load_row):
        """The write beside ``accumulate``: of the vector engine unless its bank is taken, else of the load."""
        vector, load = self.vector_write, self.load
        columns, lanes, part = self.config.columns, self.config.lanes, self.config.columns // self.parts
        layout = {"valid": 1, "row": len(load_row), "data": self.previous.shape(), "mask": columns}
        write = Signal(data.StructLayout(layout))
        part_index = load.address[: (self.parts - 1).bit_length()]

        def free(row):
            return ~(self.sum.valid & (self.bank(self.sum.row) == self.bank(row)))

        m.d.comb += [
            vector.ready.eq(free(vector.address)),
            load.ready.eq(free(load_row) & ~(vector.valid & vector.ready)),
            write.valid.eq(vector.valid & vector.ready | load.valid & load.ready),
        ]
        with m.If(vector.valid & vector.ready):
            m.d.comb += [
                write.row.eq(vector.address),
                write.data.eq(vector.data),
                write.mask.eq(Cat(bit.replicate(lanes) for bit in vector.mask)),
            ]
        with m.Else():
            m.d.comb += [
                write.row.eq(load_row),
                write.data.eq(load.data.replicate(self.parts)),
                write.mask.eq(Cat((part_index == i).replicate(part) for i in range(self.parts))),
            ]
        return write

    def drive_read(self, m, bank, b):
        """Reads of bank ``b``: for the sum, or else for the others."""
        accumulate = self.reads & (self.bank(self.accumulate.row) == b)
        m.d.comb += [
            bank.read.valid.eq(accumulate | (self.read.valid & (self.bank(self.read.row) == b))),
            bank.read.address.eq(Mux(accumulate, self.accumulate.row, self.read.row)),
        ]

    def drive_write(self, m, bank, b):
        """Writes of bank ``b``: of the sum, or else of the others."""
        accumulate = self.sum.valid & (self.bank(self.sum.row) == b)
        m.d.comb += bank.write.valid.eq(accumulate | (self.write.valid & (self.bank(self.write.row) == b)))
        with m.If(accumulate):
            m.d.comb += [bank.write.address.eq(self.sum.row), bank.write.data.eq(self.sum.data), bank.write.mask.eq(~0)]
        with m.Else():
            m.d.comb += [
                bank.write.address.eq(self.write.row),
                bank.write.data.eq(self.write.data),
                bank.write.mask.eq(self.write.mask),
            ]
