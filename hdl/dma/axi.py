"""The AXI4 manager: the one master port that fetch, load and store share."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config

from ..interfaces import AxiSignature, BurstReadSignature, BurstWriteSignature
from ..stream.queue import Queue

INCR = 0b01
CACHE = 0b0011  # normal, non-cacheable, bufferable
PROT = 0b000  # unprivileged, secure, data
FETCH_ID, LOAD_ID, STORE_ID = 0, 1, 0


class AxiManager(wiring.Component):
    """Bursts of three clients to AXI4.

    Reads of ``fetch`` (ID 0) and ``load`` (ID 1) share AR: fetch goes first, but never twice while load waits. Their data
    is told apart by RID and may be interleaved; the client at the head of R can hold back the other one, so each must take
    its data eventually. Writes of ``store`` have ID 0; AW and W go out independently of each other. Every output on ``axi``
    comes from a register slice of two entries, so no ``valid`` depends on a ``ready``, and a payload stays until taken.

    One address, one beat each way a cycle; 1 cycle of latency each way (none on B).

        fetch.request ─┐                     ┌► fetch.response
        load.request ──┴► AR      R ─► slice ┴► load.response
        store.request ──► AW      B ──────────► store.response
        store.data ─────► W
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "fetch": In(BurstReadSignature(config)),
                "load": In(BurstReadSignature(config)),
                "store": In(BurstWriteSignature(config)),
                "axi": Out(AxiSignature(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._read_address(m)
        self._read_data(m)
        self._write(m)
        return m

    def _address(self, m, name, slice_shape):
        """A slice in front of AR or AW. ``id`` is stored only where it varies."""
        queue = m.submodules[name] = Queue(slice_shape, 2)
        channel = getattr(self.axi, name)
        m.d.comb += [
            channel.valid.eq(queue.o.valid),
            queue.o.ready.eq(channel.ready),
            channel.payload.addr.eq(queue.o.payload.addr),
            channel.payload.len.eq(queue.o.payload.len),
            channel.payload.size.eq((self.config.bus_bytes - 1).bit_length()),
            channel.payload.burst.eq(INCR),
            channel.payload.cache.eq(CACHE),
            channel.payload.prot.eq(PROT),
        ]
        return queue

    def _read_address(self, m):
        fetch, load = self.fetch.request, self.load.request
        shape = data.StructLayout({"addr": self.config.address_bits, "len": 8, "load": 1})
        queue = self._address(m, "ar", shape)
        turn = Signal()  # fetch went last
        grant_load = Signal()
        request = Mux(grant_load, load.payload.as_value(), fetch.payload.as_value())
        chosen = Signal(fetch.payload.shape())
        m.d.comb += [
            grant_load.eq(load.valid & (turn | ~fetch.valid)),
            chosen.eq(request),
            queue.i.valid.eq(fetch.valid | load.valid),
            queue.i.payload.addr.eq(chosen.address),
            queue.i.payload.len.eq(chosen.beats - 1),
            queue.i.payload.load.eq(grant_load),
            load.ready.eq(queue.i.ready & grant_load),
            fetch.ready.eq(queue.i.ready & ~grant_load),
            self.axi.ar.payload.id.eq(Mux(queue.o.payload.load, LOAD_ID, FETCH_ID)),
        ]
        with m.If(queue.i.valid & queue.i.ready):
            m.d.sync += turn.eq(~grant_load)

    def _read_data(self, m):
        r = self.axi.r
        shape = self.load.response.payload.shape()
        m.submodules.r = queue = Queue(data.StructLayout({"beat": shape, "load": 1}), 2)
        beat, to_load = queue.o.payload.beat, queue.o.payload.load
        m.d.comb += [
            queue.i.valid.eq(r.valid),
            r.ready.eq(queue.i.ready),
            queue.i.payload.beat.data.eq(r.payload.data),
            queue.i.payload.beat.error.eq(r.payload.resp[1]),
            queue.i.payload.beat.last.eq(r.payload.last),
            queue.i.payload.load.eq(r.payload.id[0]),
            self.load.response.payload.eq(beat),
            self.fetch.response.payload.eq(beat),
            self.load.response.valid.eq(queue.o.valid & to_load),
            self.fetch.response.valid.eq(queue.o.valid & ~to_load),
            queue.o.ready.eq(Mux(to_load, self.load.response.ready, self.fetch.response.ready)),
        ]

    def _write(self, m):
        store, axi = self.store, self.axi
        queue = self._address(m, "aw", data.StructLayout({"addr": self.config.address_bits, "len": 8}))
        m.submodules.w = beats = Queue(axi.w.payload.shape(), 2)
        m.d.comb += [
            queue.i.valid.eq(store.request.valid),
            store.request.ready.eq(queue.i.ready),
            queue.i.payload.addr.eq(store.request.payload.address),
            queue.i.payload.len.eq(store.request.payload.beats - 1),
            axi.aw.payload.id.eq(STORE_ID),
            beats.i.valid.eq(store.data.valid),
            store.data.ready.eq(beats.i.ready),
            beats.i.payload.data.eq(store.data.payload.data),
            beats.i.payload.strb.eq(store.data.payload.strobe),
            beats.i.payload.last.eq(store.data.payload.last),
            axi.w.valid.eq(beats.o.valid),
            axi.w.payload.eq(beats.o.payload),
            beats.o.ready.eq(axi.w.ready),
            store.response.valid.eq(axi.b.valid),
            store.response.payload.error.eq(axi.b.payload.resp[1]),
            axi.b.ready.eq(store.response.ready),
        ]
