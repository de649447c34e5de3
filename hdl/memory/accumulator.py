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


class Accumulator(wiring.Component):
    """Rows of ``columns`` int32, bank 0 first.

    ``accumulate`` always wins its bank: read in the cycle of the request, sum registered two cycles later, written in the
    third, so the row may be used again after ACCUMULATE_DISTANCE cycles:

        request ─► RAM ─► output register ─► (+ psum) ─► register ─► RAM
        cycle 0           1                  2           3

    ``vector_read``, ``store`` (granules) and ``vector_write``, ``load`` (granules) wait for a bank that is taken.
    """

    def __init__(self, config: Config):
        self.config = config
        row = data.ArrayLayout(signed(32), config.columns)
        granules = config.accumulator_words * config.accumulator_row_bytes // config.bus_bytes
        super().__init__(
            {
                "accumulate": In(AccumulatePort(config)),
                "vector_read": In(ReadPort(config.accumulator_words, row)),
                "store": In(ReadPort(granules, 8 * config.bus_bytes)),
                "vector_write": In(WritePort(config.accumulator_words, row, config.lane_groups)),
                "load": In(WritePort(granules, 8 * config.bus_bytes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self.parts = self.config.accumulator_row_bytes // self.config.bus_bytes
        part_bits = (self.parts - 1).bit_length()
        self.row_bits = (self.config.accumulator_rows - 1).bit_length()
        store_row, load_row = self.store.address[part_bits:], self.load.address[part_bits:]

        sums = self.sums(m)
        vector_bank = self.delayed(m, self.bank(self.vector_read.address), "vector_bank")
        store_bank = self.delayed(m, self.bank(store_row), "store_bank")
        store_part = self.delayed(m, self.store.address[:part_bits], "store_part")
        reads, writes = [], []
        for b in range(2):
            m.submodules[f"bank_{b}"] = bank = AccumulatorBank(self.config)
            reads.append(self.arbitrate_reads(m, bank, b, store_row))
            writes.append(self.arbitrate_writes(m, bank, b, load_row, sums))
            with m.If(self.bank_2 == b):
                m.d.comb += self.previous.eq(bank.read.data)
            with m.If(vector_bank == b):
                m.d.comb += self.vector_read.data.eq(bank.read.data)
            with m.If(store_bank == b):
                row = bank.read.data.as_value()
                m.d.comb += self.store.data.eq(row.word_select(store_part, 8 * self.config.bus_bytes))
        m.d.comb += [
            self.vector_read.ready.eq(reads[0][0] | reads[1][0]),
            self.store.ready.eq(reads[0][1] | reads[1][1]),
            self.vector_write.ready.eq(writes[0][0] | writes[1][0]),
            self.load.ready.eq(writes[0][1] | writes[1][1]),
        ]
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

    def arbitrate_reads(self, m, bank, b, store_row):
        vector, store = Signal(name=f"read_vector_{b}"), Signal(name=f"read_store_{b}")
        accumulate = self.accumulate.valid & (self.bank(self.accumulate.row) == b)
        m.d.comb += [
            vector.eq(self.vector_read.valid & (self.bank(self.vector_read.address) == b) & ~accumulate),
            store.eq(self.store.valid & (self.bank(store_row) == b) & ~accumulate & ~vector),
            bank.read.valid.eq(accumulate | vector | store),
            bank.read.address.eq(
                Mux(accumulate, self.accumulate.row, Mux(vector, self.vector_read.address, store_row))
            ),
        ]
        return vector, store

    def arbitrate_writes(self, m, bank, b, load_row, sums):
        vector, load = Signal(name=f"write_vector_{b}"), Signal(name=f"write_load_{b}")
        accumulate = sums.valid & (self.bank(sums.row) == b)
        group, part = self.config.lanes, self.config.columns // self.parts
        part_index = self.load.address[: (self.parts - 1).bit_length()]
        m.d.comb += [
            vector.eq(self.vector_write.valid & (self.bank(self.vector_write.address) == b) & ~accumulate),
            load.eq(self.load.valid & (self.bank(load_row) == b) & ~accumulate & ~vector),
            bank.write.valid.eq(accumulate | vector | load),
        ]
        with m.If(accumulate):
            m.d.comb += [bank.write.address.eq(sums.row), bank.write.data.eq(sums.data), bank.write.mask.eq(~0)]
        with m.Elif(vector):
            m.d.comb += [
                bank.write.address.eq(self.vector_write.address),
                bank.write.data.eq(self.vector_write.data),
                bank.write.mask.eq(Cat(bit.replicate(group) for bit in self.vector_write.mask)),
            ]
        with m.Else():
            m.d.comb += [
                bank.write.address.eq(load_row),
                bank.write.data.eq(self.load.data.replicate(self.parts)),
                bank.write.mask.eq(Cat((part_index == i).replicate(part) for i in range(self.parts))),
            ]
        return vector, load
