"""The accumulator with a clock of its own for the tensor engine."""

from amaranth import Cat, DomainRenamer, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from gemmary.config import Config

from ..crossing.queue import FAST
from ..crossing.write import SingleWrite
from ..interfaces import READ_LATENCY, SUM_LEAD
from .accumulator import accumulator_members
from .ram import Ram


def passage(config: Config) -> int:
    """Cycles of the fast clock from a row that enters a DualAccumulator until its last column is written and told."""
    return config.columns + SUM_LEAD + 2


class DualAccumulator(wiring.Component):
    """Rows of ``columns`` int32 like `Accumulator`, ``accumulate`` (skewed) in domain ``fast``, the other ports in ``sync``.

    Everything is kept twice: one copy is read to be accumulated, the other one by ``vector_read`` or else ``store``, so nobody waits for a
    read. A row passes the columns, one a cycle, and is written to both copies:

        accumulate ─► beat ─► beat ─► beat ─► …             one register a column
                       │ row    ┆ 2 later  ┆ 3 later
                       ▼        ▼          ▼
                      RAM ─► (+ psum) ─► register ─► both RAMs         psum: in a register 1 later

    ``vector_write`` (the data of one lane group, in every place of the row) and else ``load`` are accepted when they are written: they cross over one at a time and take the place of an
    accumulation in a cycle without one. That takes a few cycles of both clocks, and longer while the array is busy in every cycle.
    ``flush`` drops them; while ``closed`` no new one is begun; ``empty``: none is on its way.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(accumulator_members(config) | {"crossing": In(SingleWrite.control())})

    def elaborate(self, platform):
        m = Module()
        config, columns = self.config, self.config.columns
        foreign = self._foreign(m)
        beat = data.StructLayout({"valid": 1, "row": self.accumulate.row.shape(), "overwrite": 1, "foreign": 1})
        first = Signal(beat)
        m.d.comb += [
            first.valid.eq(self.accumulate.valid | foreign.o.valid),
            first.foreign.eq(~self.accumulate.valid),
            first.row.eq(Mux(self.accumulate.valid, self.accumulate.row, foreign.o.payload.row)),
            first.overwrite.eq(~self.accumulate.valid | self.accumulate.overwrite),
            foreign.take.eq(~self.accumulate.valid),
        ]
        # Without a reset: what is on its way when a flush begins is written before it ends.
        beats = [first]
        for stage in range(passage(config) - 1):
            beats.append(Signal(beat, name=f"beat_{stage}", reset_less=True))
            m.d[FAST] += beats[-1].eq(beats[-2])
        m.d[FAST] += foreign.taken.eq(beats[-1].valid & beats[-1].foreign)

        row = Signal(data.ArrayLayout(signed(32), columns))
        read = self._read(m, row)
        passing = foreign.o.payload
        for c, psum in enumerate(self.accumulate.data):
            at_read, before_sum, at_sum, at_write = (
                beats[c + 1 + later] for later in (0, SUM_LEAD - 1, SUM_LEAD, SUM_LEAD + 1)
            )
            own = DomainRenamer(FAST)(Ram(config.accumulator_words, 32, always=True))
            copy = Ram(config.accumulator_words, 32, write_domain=FAST)
            m.submodules[f"column_{c}"], m.submodules[f"copy_{c}"] = own, copy
            total = Signal(signed(32), name=f"total_{c}", reset_less=True)
            # What is written stands still while its row passes, so that it is there in time.
            held = Signal(passing.shape(), name=f"held_{c}", reset_less=True)
            m.d[FAST] += held.eq(passing)
            passing, word = held, held.data.word_select(c % (len(held.data) // 32), 32).as_signed()
            previous = Mux(at_sum.overwrite, 0, own.read_data.as_signed())
            addend = Signal(signed(32), name=f"addend_{c}", reset_less=True)
            m.d[FAST] += [addend.eq(Mux(before_sum.foreign, word, psum)), total.eq(previous + addend)]
            for ram in (own, copy):
                m.d.comb += [
                    ram.write_enable.eq(at_write.valid & (~at_write.foreign | held.mask[c])),
                    ram.write_address.eq(at_write.row),
                    ram.write_data.eq(total),
                ]
            m.d.comb += [
                own.read_address.eq(at_read.row),
                copy.read_enable.eq(read.valid),
                copy.read_address.eq(read.row),
                row[c].eq(copy.read_data),
            ]
        return m

    def _read(self, m, row):
        """The one read a cycle beside the array's: whether, and of which row."""
        vector, store = self.vector_read, self.store
        part_bits = (self.config.accumulator_row_bytes // self.config.bus_bytes - 1).bit_length()
        read = Signal(data.StructLayout({"valid": 1, "row": vector.address.shape()}))
        part = store.address[:part_bits]
        for stage in range(READ_LATENCY):
            following = Signal(part_bits, name=f"store_part_{stage}", reset_less=True)
            m.d.sync += following.eq(part)
            part = following
        m.d.comb += [
            vector.ready.eq(1),
            store.ready.eq(~vector.valid),
            read.valid.eq(vector.valid | store.valid),
            read.row.eq(Mux(vector.valid, vector.address, store.address[part_bits:])),
            vector.data.eq(row),
            store.data.eq(row.as_value().word_select(part, 8 * self.config.bus_bytes)),
        ]
        return read

    def _foreign(self, m):
        """The crossing of the writes of vector engine and load."""
        config, vector, load = self.config, self.vector_write, self.load
        lanes = 32 * config.lanes
        bits = max(lanes, 8 * config.bus_bytes)
        parts = config.accumulator_row_bytes // config.bus_bytes
        part_bits = (parts - 1).bit_length()
        write = data.StructLayout({"row": vector.address.shape(), "mask": config.columns, "data": bits})
        m.submodules.foreign = foreign = SingleWrite(write)
        i, part = foreign.i, load.address[:part_bits]
        m.d.comb += i.valid.eq(vector.valid | load.valid)
        with m.If(vector.valid):
            m.d.comb += [
                i.payload.row.eq(vector.address),
                i.payload.mask.eq(Cat(bit.replicate(config.lanes) for bit in vector.mask)),
                i.payload.data.eq(vector.data.as_value()[:lanes].replicate(bits // lanes)),
            ]
        with m.Else():
            granule = 8 * config.bus_bytes
            m.d.comb += [
                i.payload.row.eq(load.address[part_bits:]),
                i.payload.mask.eq(Cat((part == p).replicate(config.columns // parts) for p in range(parts))),
                i.payload.data.eq(load.data.replicate(bits // granule)),
            ]
        chosen = Signal()  # while one is on its way the other may come
        with m.If(foreign.begun):
            m.d.sync += chosen.eq(vector.valid)
        m.d.comb += [
            vector.ready.eq(foreign.written & chosen),
            load.ready.eq(foreign.written & ~chosen),
        ]
        wiring.connect(m, wiring.flipped(self.crossing), foreign.crossing)
        return foreign
