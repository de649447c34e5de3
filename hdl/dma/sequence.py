"""Takes the beats of a load in, in order, and says what to do with each."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import Space

from ..interfaces import BurstReadSignature
from .gather import beat_layout
from .rotate import rotate_bytes
from .runs import ONCHIP_BITS
from .transpose import column_layout


def transfer_layout(config: Config) -> data.StructLayout:
    """A burst whose data is awaited, or (without ``bus``) one granule of fill or, with ``outside``, an error.

    ``rotate``: by how many bytes its beats are rotated right. ``row``: of a transposed block. ``extra``: the run has a beat
    more than granules. ``onchip``: the run's first granule. ``last``: the run's last burst; ``row_last``: the run is the
    last of its block; ``end``: it is the last of its instruction.
    """
    size = config.bus_bytes
    members = {"bus": 1, "outside": 1, "rotate": range(size), "row": range(size), "extra": 1, "onchip": ONCHIP_BITS}
    return data.StructLayout(members | {"last": 1, "row_last": 1, "end": 1})


def format_layout(config: Config) -> data.StructLayout:
    """What all beats of an instruction share: ``kept`` bytes of a run's last granule (of each column with ``transpose``) are
    data and not ``fill``; a transposed block has columns 0 to ``columns``, ``step`` granules from each other."""
    size = config.bus_bytes
    return data.StructLayout(
        {
            "kept": range(size + 1),
            "fill": 8,
            "space": Space,
            "transpose": 1,
            "columns": range(size),
            "step": ONCHIP_BITS,
        }
    )


class _Phase(enum.Enum, shape=2):
    RUNS = 0
    FILLED = 1
    COLUMNS = 2


class LoadSequencer(wiring.Component):
    """Beats from the bus, from nowhere (fill) or from the transposer, rotated and labelled for ``Gather``.

    ``transfer`` and ``format`` are the heads of two queues, in order of the bursts and of the instructions. One beat a cycle,
    combinational. After the last row of a transposed block it waits until everything before is written (``empty``), gives
    ``start`` to the transposer and passes its columns on. With ``stop`` all beats are taken and dropped.

        response ─┐
        column ───┴► rotate ─► o
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "transfer": In(stream.Signature(transfer_layout(config))),
                "format": In(stream.Signature(format_layout(config))),
                "response": BurstReadSignature(config).members["response"],
                "column": In(stream.Signature(column_layout(config))),
                "start": Out(1),
                "empty": In(1),
                "stop": In(1),
                "o": Out(stream.Signature(beat_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        transfer, format_, column = self.transfer.payload, self.format.payload, self.column.payload
        response = self.response
        phase = Signal(_Phase)
        ending = Signal()
        burst_last, run_last, fire, final, end = Signal(), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            fire.eq(self.o.valid & self.o.ready),
            burst_last.eq(~transfer.bus | response.payload.last),
            run_last.eq(burst_last & transfer.last),
            self.o.payload.final.eq(final | ~transfer.bus),  # a granule of fill is by itself
            self.o.payload.end.eq(end),
            self.format.ready.eq(fire & final & end),
        ]
        with m.Switch(phase):
            with m.Case(_Phase.RUNS):
                m.d.comb += [
                    self.o.valid.eq(self.transfer.valid & (~transfer.bus | response.valid)),
                    self.transfer.ready.eq(fire & burst_last),
                    response.ready.eq(self.transfer.valid & transfer.bus & self.o.ready),
                    final.eq(run_last),
                    end.eq(transfer.end & ~format_.transpose & (transfer.bus | run_last)),
                ]
                with m.If(fire & run_last & format_.transpose & transfer.row_last):
                    m.d.sync += [phase.eq(_Phase.FILLED), ending.eq(transfer.end)]
            with m.Case(_Phase.FILLED):
                m.d.comb += self.start.eq(self.empty)
                with m.If(self.empty):
                    m.d.sync += phase.eq(_Phase.COLUMNS)
            with m.Case(_Phase.COLUMNS):
                m.d.comb += [
                    self.o.valid.eq(self.column.valid),
                    self.column.ready.eq(self.o.ready),
                    final.eq(1),
                    end.eq(ending & column.last),
                ]
                with m.If(fire & column.last):
                    m.d.sync += phase.eq(_Phase.RUNS)
        with m.If(self.stop):
            m.d.comb += [
                self.o.valid.eq(0),
                self.transfer.ready.eq(~transfer.bus | (response.valid & response.payload.last)),
                response.ready.eq(self.transfer.valid & transfer.bus),
            ]
        in_columns = Signal()
        m.d.comb += in_columns.eq(phase == _Phase.COLUMNS)
        self._label(m, in_columns)
        self._address(m, in_columns, fire, final)
        return m

    def _label(self, m, in_columns):
        """The bytes: from where, rotated by how much; and what they are."""
        transfer, format_, column = self.transfer.payload, self.format.payload, self.column.payload
        o, response = self.o.payload, self.response.payload
        size = self.config.bus_bytes
        source = Signal(8 * size)
        amount, begin = Signal(range(size)), Signal(range(size))
        m.d.comb += [
            source.eq(Mux(in_columns, column.data, response.data)),
            amount.eq(Mux(in_columns, column.index, transfer.rotate)),
            begin.eq(-transfer.rotate),
            o.data.eq(rotate_bytes(m, source, amount, "rotated")),
            o.begin.eq(begin),
            o.row.eq(transfer.row),
            o.split.eq(~in_columns & (begin != transfer.row)),
            o.extra.eq(~in_columns & transfer.extra),
            o.to_rows.eq(~in_columns & format_.transpose),
            o.kept.eq(format_.kept),
            o.fill.eq(format_.fill),
            o.space.eq(format_.space),
            o.bus_error.eq(~in_columns & transfer.bus & response.error),
            o.outside.eq(~in_columns & transfer.outside),
        ]

    def _address(self, m, in_columns, fire, final):
        """Granule after granule from the run's first one; for the columns, from the block's first one in its steps."""
        transfer, format_, column = self.transfer.payload, self.format.payload, self.column.payload
        fresh = Signal(init=1)
        address, step, chosen = Signal(ONCHIP_BITS), Signal(ONCHIP_BITS), Signal(ONCHIP_BITS)
        with m.If(in_columns):
            m.d.comb += step.eq(Mux(column.index == 0, 0, format_.step))
        with m.Else():
            m.d.comb += step.eq(~format_.transpose)
        m.d.comb += [
            chosen.eq(Mux(fresh & ~in_columns, transfer.onchip, address + step)),
            self.o.payload.address.eq(chosen),
        ]
        with m.If(fire):
            m.d.sync += [address.eq(chosen), fresh.eq(final)]
