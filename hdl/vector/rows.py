"""Registers that catch what the read ports bring, and keep it until its beats pass."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary import isa
from gemmary.config import Config

from ..interfaces import instruction_layout
from .layouts import Parameter


class SourceRow(wiring.Component):
    """The row of operands, as int32. ``load_*`` (at most one a cycle) and ``take`` act with the next cycle.

    ``o``: the lane group whose turn it is; ``take`` moves to the next one. A load wins over it. Of a row of bytes the other
    groups stay bytes until then, in a row of their own: a third of the multiplexers.

        accumulator ─► wide ──► ┐
        source ──────► narrow ─►┴─► o      (the first lane group at once)
    """

    def __init__(self, config: Config):
        self.config = config
        columns = config.columns
        super().__init__(
            {
                "load_accumulator": In(1),
                "load_source": In(1),
                "load_constant": In(1),
                "accumulator": In(data.ArrayLayout(signed(32), columns)),
                "source": In(data.ArrayLayout(signed(8), columns)),
                "constant": In(signed(8)),
                "take": In(1),
                "o": Out(data.ArrayLayout(signed(32), config.lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes = self.config.lanes
        current = [Signal(signed(32), name=f"operand_{i}", reset_less=True) for i in range(lanes)]
        wide = self._others(m, "wide", self.accumulator, self.load_accumulator)
        narrow = self._others(m, "narrow", self.source, self.load_source)
        is_wide, is_narrow = Signal(), Signal()
        m.d.comb += [self.o[i].eq(current[i]) for i in range(lanes)]
        with m.If(self.load_accumulator):
            m.d.sync += [current[i].eq(self.accumulator[i]) for i in range(lanes)]
        with m.Elif(self.load_source):
            m.d.sync += [current[i].eq(self.source[i]) for i in range(lanes)]
        with m.Elif(self.load_constant):
            m.d.sync += [current[i].eq(self.constant) for i in range(lanes)]
        if self.config.columns > lanes:
            with m.Elif(self.take & is_wide):
                m.d.sync += [current[i].eq(wide[i]) for i in range(lanes)]
            with m.Elif(self.take & is_narrow):
                m.d.sync += [current[i].eq(narrow[i]) for i in range(lanes)]
            with m.If(self.load_accumulator | self.load_source | self.load_constant):
                m.d.sync += [is_wide.eq(self.load_accumulator), is_narrow.eq(self.load_source)]
        return m

    def _others(self, m, name, row, load):
        """The elements of ``row`` behind the first lane group: the next ones come first."""
        lanes = self.config.lanes
        shape, count = row.shape().elem_shape, self.config.columns - lanes
        others = [Signal(shape, name=f"{name}_{i}", reset_less=True) for i in range(count)]
        with m.If(load):
            m.d.sync += [others[i].eq(row[i + lanes]) for i in range(count)]
        with m.Elif(self.take):
            m.d.sync += [others[i].eq(others[i + lanes]) for i in range(count - lanes)]
        return others


class ResidualRow(wiring.Component):
    """The row of residuals. ``load`` and ``take`` as in SourceRow; ``o`` is the lane group taken in the cycle before."""

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "load": In(1),
                "i": In(data.ArrayLayout(signed(8), config.columns)),
                "take": In(1),
                "o": Out(data.ArrayLayout(signed(8), config.lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        part = 8 * self.config.lanes
        row = Signal(8 * self.config.columns, reset_less=True)
        taken = Signal(part, reset_less=True)
        m.d.comb += self.o.eq(taken)
        with m.If(self.take):
            m.d.sync += taken.eq(row[:part])
        with m.If(self.load):
            m.d.sync += row.eq(self.i)
        if len(row) > part:
            with m.Elif(self.take):
                m.d.sync += row.eq(row[part:])
        return m


class Parameters(wiring.Component):
    """The parameters of each lane: from memory, or the same for all from the instruction.

    ``load`` catches ``i``; ``first`` says that an instruction begins, whose own parameters count unless it is ``per_channel``.
    Both act with the next cycle; with ``take`` the parameters move on to ``o``, where they stay.
    """

    def __init__(self, config: Config):
        self.config = config
        row = data.ArrayLayout(Parameter, config.lanes)
        super().__init__(
            {
                "load": In(1),
                "i": In(row),
                "first": In(1),
                "instruction": In(instruction_layout(isa.Opcode.VECTOR)),
                "take": In(1),
                "o": Out(row),
            }
        )

    def elaborate(self, platform):
        m = Module()
        constants = self.first & ~self.instruction.per_channel
        for i in range(self.config.lanes):
            for name, width in (("bias", 32), ("mantissa", 24), ("shift", 6)):
                caught = Signal(width, name=f"{name}_{i}_caught", reset_less=True)
                given = Signal(width, name=f"{name}_{i}", reset_less=True)
                m.d.comb += self.o[i][name].eq(given)
                with m.If(self.load):
                    m.d.sync += caught.eq(self.i[i][name])
                with m.Elif(constants):
                    m.d.sync += caught.eq(self.instruction[name])
                with m.If(self.take):
                    m.d.sync += given.eq(caught)
        return m
