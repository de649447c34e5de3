"""Realigns the beats of a load to granules."""

from amaranth import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import Space

from ..interfaces import granules
from .rotate import WORD, byte_mask, choose_bytes
from .runs import ONCHIP_BITS


def beat_layout(config: Config) -> data.StructLayout:
    """A rotated beat, and the granule that begins in it.

    ``data``: the beat, rotated so that its bytes are where their granules want them: those of the granule that begins in it
    from byte ``begin`` on, around the end; before them, up to byte ``row``, the rest of the granule begun by the beat
    before. ``final``: the run's last beat. ``split``: the granule goes on in the next beat, if there is one. ``extra``: the
    final beat begins no granule. Of the granule: on-chip ``address`` and ``space``; of the run's last one ``kept`` bytes
    are data, the others become ``fill``; ``end``: the last of the instruction is in this run. ``to_rows``: the run is row
    ``row`` of a transposed block, and no granule. ``bus_error``: the beat came with one; ``outside``: the run is not in its
    space.
    """
    size = config.bus_bytes
    return data.StructLayout(
        {
            "data": unsigned(8 * size),
            "address": ONCHIP_BITS,
            "fill": 8,
            "space": Space,
            "begin": range(size),
            "row": range(size),
            "kept": range(size + 1),
            "to_rows": 1,
            "split": 1,
            "final": 1,
            "extra": 1,
            "end": 1,
            "bus_error": 1,
            "outside": 1,
        }
    )


def granule_layout(config: Config) -> data.StructLayout:
    """``end``: the last of its instruction. ``outside``: not in its space. The others are those of ``beat_layout``."""
    size = config.bus_bytes
    return data.StructLayout(
        {
            "data": unsigned(8 * size),
            "address": ONCHIP_BITS,
            "space": Space,
            "row": range(size),
            "to_rows": 1,
            "end": 1,
            "bus_error": 1,
            "outside": 1,
        }
    )


class Gather(wiring.Component):
    """Rotated beats in, granules out: a window of two beats.

    A granule leaves when its second beat is there, or at once if it has none. A run of n beats takes n cycles, also
    directly behind another run and for every alignment: its last granule leaves beside the first beat of the next.
    Latency 3 cycles. ``clear`` drops what has not reached ``o``; ``empty``: nothing is held.

        i ─► current ─┬─────► choose by seam ─► fill ─► o (register)
                      └► previous ─┘
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(beat_layout(config))),
                "o": Out(stream.Signature(granule_layout(config))),
                "clear": In(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shape = self.i.payload.shape()
        current, previous = (Signal(shape, name=name, reset_less=True) for name in ("current", "previous"))
        have_current, have_previous, complete = Signal(), Signal(), Signal()
        emit, advance, absorbed = Signal(), Signal(), Signal()
        o = Signal(self.o.payload.shape(), reset_less=True)  # but for the data, which is apart to simulate faster
        filled = Signal(8 * self.config.bus_bytes, reset_less=True)
        free = ~self.o.valid | self.o.ready
        m.d.comb += [
            absorbed.eq(current.final & current.extra),
            emit.eq(have_previous & free & (complete | have_current)),
            advance.eq(have_current & (~have_previous | emit)),
            self.i.ready.eq(~have_current | advance),
            self.empty.eq(~(have_current | have_previous | self.o.valid)),
            self.o.payload.eq(o),
            self.o.payload.data.eq(filled),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [current.eq(self.i.payload), have_current.eq(1)]
        with m.Elif(advance):
            m.d.sync += have_current.eq(0)
        with m.If(advance):
            m.d.sync += [
                previous.eq(current),
                have_previous.eq(~have_previous | complete | ~absorbed),
                complete.eq(~current.split | current.final),
            ]
        with m.Elif(emit):
            m.d.sync += have_previous.eq(0)
        with m.If(self.clear):
            m.d.sync += [have_current.eq(0), have_previous.eq(0)]

        with m.If(emit):
            m.d.sync += self.o.valid.eq(~self.clear)
            self._granule(m, o, filled, current, previous, complete, absorbed)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m

    def _granule(self, m, o, filled, current, previous, complete, absorbed):
        """``o`` and ``filled`` become the granule that begins in ``previous``."""
        size = self.config.bus_bytes
        last = Signal()
        seam = [Signal(WORD, name=f"seam_{i}") for i in range(size // 4)]
        keep = [Signal(WORD, name=f"keep_{i}", init=-1) for i in range(size // 4)]
        m.d.comb += last.eq(Mux(complete, previous.final, absorbed))
        with m.If(~complete):
            behind = byte_mask(m, current.row, size, "behind")
            before = byte_mask(m, current.begin, size, "before")
            around = current.begin > current.row
            for word, row, begin in zip(seam, behind, before):
                m.d.comb += word.eq(Mux(around, row | ~begin, row & ~begin))
        with m.If(last & ~previous.to_rows):
            for word, kept in zip(keep, byte_mask(m, previous.kept, size, "kept")):
                m.d.comb += word.eq(kept)
        merged = Signal(8 * size)
        m.d.comb += choose_bytes(merged, seam, current.data, previous.data)
        m.d.sync += [
            *choose_bytes(filled, keep, merged, previous.fill.replicate(size)),
            o.end.eq(previous.end & last),
            o.bus_error.eq(previous.bus_error | (current.bus_error & ~complete)),
        ]
        for name in ("address", "space", "row", "to_rows"):
            m.d.sync += o[name].eq(previous[name])
        beyond = Signal()
        with m.Switch(previous.space):
            for space in Space:
                with m.Case(space):
                    m.d.comb += beyond.eq(previous.address >= granules(self.config, space))
        m.d.sync += o.outside.eq(previous.outside | beyond)
