"""Block RAM in the place of external memory: AXI4 for the accelerator, a register bus for the host link."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from gemmary.config import Config
from hdl.dma.axi import INCR
from hdl.interfaces import READ_LATENCY, AxiSignature, RegisterBus
from hdl.memory.ram import Ram
from hdl.stream.queue import Queue

OKAY, SLVERR, DECERR = 0b00, 0b10, 0b11
UNDER_WAY = 8
"""Beats between the RAM and R, at most; enough not to pause."""


class AxiRam(wiring.Component):
    """``size`` bytes (a power of two) from address 0 of ``axi`` on; ``host`` sees the same bytes, 4 at a time.

    One beat each way a cycle; data 4 cycles after the address. Bursts are INCR and as wide as the bus, others answer SLVERR;
    DECERR beyond ``size``, an error for ``host`` too (which ignores bit 31). ``host`` goes first, which costs the bus a cycle.
    Data read in the cycle in which they are written are undefined.

        ar ─► burst ──┐             ┌─► queue ─► r
        host ─────────┴─► RAM ──────┴─► host
        aw ─► burst ──┬─► RAM
        w ────────────┴─► queue ─► b
    """

    def __init__(self, config: Config, size: int):
        assert size & (size - 1) == 0 and size >= 4096, size
        self.config, self.size = config, size
        self.depth, self.lanes = size // config.bus_bytes, config.bus_bytes
        super().__init__({"axi": In(AxiSignature(config)), "host": In(RegisterBus())})

    def elaborate(self, platform):
        m = Module()
        self._memory(m)
        self._host(m)
        self._read(m)
        self._write(m)
        return m

    def _memory(self, m):
        """A RAM for each byte of a word: ECP5 block RAM then needs no multiplexers behind it."""
        self.read_enable, self.read_index = Signal(), Signal(range(self.depth))
        self.write_enable, self.write_index = Signal(self.lanes), Signal(range(self.depth))
        self.write_data = Signal(8 * self.lanes)
        rams = [Ram(self.depth, 8) for _ in range(self.lanes)]
        self.read_data = Cat(ram.read_data for ram in rams)
        for lane, ram in enumerate(rams):
            m.submodules[f"lane_{lane}"] = ram
            m.d.comb += [
                ram.read_enable.eq(self.read_enable),
                ram.read_address.eq(self.read_index),
                ram.write_enable.eq(self.write_enable[lane]),
                ram.write_address.eq(self.write_index),
                ram.write_data.eq(self.write_data.word_select(lane, 8)),
            ]

    def _index(self, address):
        return address[(self.lanes - 1).bit_length() :][: (self.depth - 1).bit_length()]

    def _index(self, address):
        return address[(self.lanes - 1).bit_length() : (self.size - 1).bit_length()]

    def _beyond(self, address):
        return address[(self.size - 1).bit_length() :].any()

    def _host(self, m):
        request, response = self.host.request, self.host.response
        address, strobe = request.payload.address, request.payload.strobe
        beyond = self._beyond(address[:31])
        part = address[2 : (self.lanes - 1).bit_length()]  # of a word
        chosen = Signal.like(part)
        waits = Signal(READ_LATENCY)
        self.host_reads, self.host_writes = Signal(), Signal()
        self.host_index, self.host_data = self._index(address), request.payload.data.replicate(self.lanes // 4)
        self.host_strobe = Cat(Mux(part == i, strobe, 0)[:4] for i in range(self.lanes // 4))
        with m.FSM(name="host_state"):
            with m.State("idle"):
                m.d.comb += [
                    request.ready.eq(1),
                    self.host_reads.eq(request.valid & ~request.payload.write & ~beyond),
                    self.host_writes.eq(request.valid & request.payload.write & ~beyond),
                ]
                m.d.sync += [chosen.eq(part), waits.eq(1), response.payload.error.eq(beyond)]
                with m.If(request.valid):
                    m.next = "wait"
            with m.State("wait"):
                m.d.sync += [waits.eq(waits << 1), response.payload.data.eq(self.read_data.word_select(chosen, 32))]
                with m.If(waits[-1]):
                    m.next = "answer"
            with m.State("answer"):
                m.d.comb += response.valid.eq(1)
                with m.If(response.ready):
                    m.next = "idle"

    def _burst(self, m, name, step, last):
        """The burst at work on channel ``name``, one word further with ``step``; the next one follows without pause after
        ``last``. Returns whether there is one, and what it is."""
        channel = getattr(self.axi, name)
        payload = channel.payload
        layout = {"index": range(self.depth), "left": 8, "id": self.config.id_bits, "response": 2}
        valid = Signal(name=f"{name}_valid")
        burst = Signal(data.StructLayout(layout), reset_less=True, name=f"{name}_burst")
        odd = (payload.burst != INCR) | (payload.size != (self.lanes - 1).bit_length())
        m.d.comb += channel.ready.eq(~valid | (step & last))
        with m.If(step):
            m.d.sync += [burst.index.eq(burst.index + 1), burst.left.eq(burst.left - 1)]
        with m.If(channel.ready):
            m.d.sync += [
                valid.eq(channel.valid),
                burst.index.eq(self._index(payload.addr)),
                burst.left.eq(payload.len),
                burst.id.eq(payload.id),
                burst.response.eq(Mux(self._beyond(payload.addr), DECERR, Mux(odd, SLVERR, OKAY))),
            ]
        return valid, burst

    def _read(self, m):
        r = self.axi.r
        issue, last = Signal(), Signal()
        valid, burst = self._burst(m, "ar", issue, last)
        under_way = Signal(range(UNDER_WAY + 1))
        taken = r.valid & r.ready
        m.d.comb += [
            last.eq(burst.left == 0),
            issue.eq(valid & (under_way != UNDER_WAY) & ~self.host_reads),
            self.read_enable.eq(issue | self.host_reads),
            self.read_index.eq(Mux(self.host_reads, self.host_index, burst.index)),
        ]
        with m.If(issue & ~taken):
            m.d.sync += under_way.eq(under_way + 1)
        with m.Elif(taken & ~issue):
            m.d.sync += under_way.eq(under_way - 1)
        # What goes with the data, as long as the RAM takes.
        beat = Signal(data.StructLayout({"valid": 1, "id": self.config.id_bits, "response": 2, "last": 1}))
        m.d.comb += [beat.valid.eq(issue), beat.id.eq(burst.id), beat.response.eq(burst.response), beat.last.eq(last)]
        for stage in range(READ_LATENCY):
            following = Signal.like(beat, name=f"beat_{stage + 1}")
            m.d.sync += following.eq(beat)
            beat = following
        m.submodules.beats = queue = Queue(r.payload.shape(), UNDER_WAY)
        m.d.comb += [
            queue.i.valid.eq(beat.valid),
            queue.i.payload.data.eq(self.read_data),
            queue.i.payload.id.eq(beat.id),
            queue.i.payload.resp.eq(beat.response),
            queue.i.payload.last.eq(beat.last),
            r.valid.eq(queue.o.valid),
            r.payload.eq(queue.o.payload),
            queue.o.ready.eq(r.ready),
        ]

    def _write(self, m):
        w, b = self.axi.w, self.axi.b
        take = Signal()
        valid, burst = self._burst(m, "aw", take, w.payload.last)
        m.submodules.responses = queue = Queue(b.payload.shape(), 2)
        enable = Mux(take & (burst.response == OKAY), w.payload.strb, 0)
        m.d.comb += [
            w.ready.eq(valid & queue.i.ready & ~self.host_writes),
            take.eq(w.valid & w.ready),
            self.write_enable.eq(Mux(self.host_writes, self.host_strobe, enable)),
            self.write_index.eq(Mux(self.host_writes, self.host_index, burst.index)),
            self.write_data.eq(Mux(self.host_writes, self.host_data, w.payload.data)),
            queue.i.valid.eq(take & w.payload.last),
            queue.i.payload.id.eq(burst.id),
            queue.i.payload.resp.eq(burst.response),
            b.valid.eq(queue.o.valid),
            b.payload.eq(queue.o.payload),
            queue.o.ready.eq(b.ready),
        ]
