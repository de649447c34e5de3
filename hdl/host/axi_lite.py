"""AXI4-Lite to the register bus."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..interfaces import AxiLiteSignature, RegisterBus


class AxiLiteBridge(wiring.Component):
    """The subordinate of ``axi``, the manager of ``bus``.

    One access at a time; reads and writes that wait together take turns. AW and W may come in either order. No output of
    ``axi`` depends on an input of the same cycle. ``error`` of the register bus becomes SLVERR. An access takes 3 cycles with a
    register bus that answers in the next one.
    """

    def __init__(self, address_bits: int):
        super().__init__({"axi": In(AxiLiteSignature(address_bits)), "bus": Out(RegisterBus())})

    def elaborate(self, platform):
        m = Module()
        axi, request, response = self.axi, self.bus.request, self.bus.response
        wrote, idle, answer_read, answer_write = Signal(), Signal(), Signal(), Signal()
        self._hold_write(m, idle)

        with m.FSM():
            with m.State("idle"):
                write = self.write_ready & ~(axi.ar.valid & wrote)
                # Reads go on when there is no write, or when it is their turn: whether one is there plays no part in it.
                m.d.comb += [idle.eq(1), axi.ar.ready.eq(~self.write_ready | wrote)]
                with m.If(write | axi.ar.valid):
                    m.d.sync += [request.valid.eq(1), request.payload.write.eq(write), wrote.eq(write)]
                    m.next = "request"
                with m.If(write):
                    m.d.sync += request.payload.address.eq(self.write_address)
                    m.d.comb += self.write_taken.eq(1)
                with m.Else():
                    m.d.sync += request.payload.address.eq(axi.ar.payload.addr)
            with m.State("request"):
                with m.If(request.ready):
                    m.d.sync += request.valid.eq(0)
                    m.next = "response"
            with m.State("response"):
                m.d.comb += [answer_read.eq(~wrote), answer_write.eq(wrote)]
                with m.If(response.valid & response.ready):
                    m.next = "idle"
        resp = response.payload.error << 1
        m.d.comb += [
            axi.r.valid.eq(response.valid & answer_read),
            axi.r.payload.data.eq(response.payload.data),
            axi.r.payload.resp.eq(resp),
            axi.b.valid.eq(response.valid & answer_write),
            axi.b.payload.resp.eq(resp),
            response.ready.eq((answer_read & axi.r.ready) | (answer_write & axi.b.ready)),
        ]
        return m

    def _hold_write(self, m, idle):
        """Keeps address and data of a write until both are there; the data go straight to the request, so they are taken
        only when none is under way."""
        aw, w, payload = self.axi.aw, self.axi.w, self.bus.request.payload
        self.write_address = Signal.like(aw.payload.addr, reset_less=True)
        self.write_ready, self.write_taken = Signal(), Signal()
        has_address, has_data = Signal(), Signal()
        m.d.comb += [
            aw.ready.eq(~has_address),
            w.ready.eq(idle & ~has_data),
            self.write_ready.eq(has_address & has_data),
        ]
        with m.If(self.write_taken):
            m.d.sync += has_address.eq(0)
        with m.If(aw.valid & aw.ready):
            m.d.sync += [has_address.eq(1), self.write_address.eq(aw.payload.addr)]
        with m.If(w.valid & w.ready):
            m.d.sync += [has_data.eq(1), payload.data.eq(w.payload.data), payload.strobe.eq(w.payload.strb)]
        with m.Elif(self.axi.b.valid & self.axi.b.ready):
            m.d.sync += has_data.eq(0)
