"""A memory that the accelerator reaches over AXI4 and the design around it directly."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from hdl.interfaces import AxiSignature


class LocalPort(wiring.Signature):
    """Words of the bus, seen from the design: a write with ``write``, else a read whose ``read_data`` come a cycle later."""

    def __init__(self, config: Config, words: int):
        width = 8 * config.bus_bytes
        super().__init__(
            {"address": Out(range(words)), "write": Out(1), "write_data": Out(width), "read_data": In(width)}
        )


class AxiMemory(wiring.Component):
    """``axi``: INCR bursts of whole words, one read and one write burst at a time, a beat each way a cycle. ``local``: only
    while no burst is under way, which the design knows since it starts the accelerator. It holds ``contents`` at first, a
    whole number of words.
    """

    def __init__(self, config: Config, contents: bytes):
        self.config = config
        step = config.bus_bytes
        self.words = [int.from_bytes(contents[i : i + step], "little") for i in range(0, len(contents), step)]
        super().__init__({"axi": In(AxiSignature(config)), "local": In(LocalPort(config, len(self.words)))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=8 * self.config.bus_bytes, depth=len(self.words), init=self.words)
        self._read(m, memory.read_port())
        self._write(m, memory.write_port(granularity=8))
        return m

    def _word(self, address):
        """A byte address as the index of a word."""
        return address >> (self.config.bus_bytes - 1).bit_length()

    def _read(self, m, port):
        ar, r = self.axi.ar, self.axi.r
        reading, advance = Signal(), Signal()
        word, left, burst_id = Signal.like(port.addr), Signal(8), Signal(self.config.id_bits)
        m.d.comb += [
            ar.ready.eq(~reading),
            advance.eq(~r.valid | r.ready),
            port.en.eq(advance),
            port.addr.eq(Mux(reading, word, self.local.address)),
            r.payload.data.eq(port.data),
            self.local.read_data.eq(port.data),
        ]
        with m.If(ar.valid & ar.ready):
            m.d.sync += [
                reading.eq(1),
                word.eq(self._word(ar.payload.addr)),
                left.eq(ar.payload.len),
                burst_id.eq(ar.payload.id),
            ]
        with m.If(advance):
            m.d.sync += [r.valid.eq(reading), r.payload.last.eq(left == 0), r.payload.id.eq(burst_id)]
            with m.If(reading):
                m.d.sync += [word.eq(word + 1), left.eq(left - 1), reading.eq(left != 0)]

    def _write(self, m, port):
        aw, w, b, local = self.axi.aw, self.axi.w, self.axi.b, self.local
        writing = Signal()
        word = Signal.like(port.addr)
        m.d.comb += [
            aw.ready.eq(~writing & ~b.valid),
            w.ready.eq(writing),
            port.addr.eq(Mux(writing, word, local.address)),
            port.data.eq(Mux(writing, w.payload.data, local.write_data)),
            port.en.eq(Mux(writing, Mux(w.valid, w.payload.strb, 0), local.write.replicate(self.config.bus_bytes))),
        ]
        with m.If(b.valid & b.ready):
            m.d.sync += b.valid.eq(0)
        with m.If(aw.valid & aw.ready):
            m.d.sync += [writing.eq(1), word.eq(self._word(aw.payload.addr)), b.payload.id.eq(aw.payload.id)]
        with m.If(w.valid & w.ready):
            m.d.sync += word.eq(word + 1)
            with m.If(w.payload.last):
                m.d.sync += [writing.eq(0), b.valid.eq(1)]
