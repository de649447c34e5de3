"""A stand-in for the accelerator that makes one burst at a time, well or badly, and says when everything happened."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from hdl.interfaces import AxiSignature, RegisterBus

READ, WRITE = 1, 2
COMMAND, ADDRESS, BEATS, FAULT, STROBE = (4 * i for i in range(5))
"""Registers: a write of READ or WRITE to COMMAND makes a burst; the interrupt rises when it ends. A write beat holds its index
in every byte; STROBE is that of the first beat."""

NO_FAULT, WITHDRAWN, EARLY_LAST = range(3)
"""FAULT: the address is withdrawn after a cycle in which it was not accepted; WLAST comes with the first beat."""

ADDRESSED, FIRST, LAST, RESPONDED, RESPONSE, SUM = (0x80 + 4 * i for i in range(6))
"""Results: in which cycle the address was accepted, the first and the last beat moved, the response came; the responses, ORed;
the sum of the lower 32 bits of all beats read."""


class BusProbe(wiring.Component):
    """Has the Signature of ``hdl.accelerator.Accelerator``."""

    def __init__(self, config: Config):
        self.config = config
        super().__init__({"axi": Out(AxiSignature(config)), "host": In(RegisterBus()), "irq": Out(1)})

    def elaborate(self, platform):
        m = Module()
        self.now = Signal(32)
        m.d.sync += self.now.eq(self.now + 1)
        command, settings, results = Signal(2), [Signal(32, name=f"setting_{i}") for i in range(5)], {}
        self.address, self.beats, self.fault, self.strobe = settings[1:]
        for name in ("addressed", "first", "last", "responded", "response", "sum"):
            results[name] = Signal(32, name=name)
        self.results, self.left, self.active = results, Signal(9), Signal(2)
        self._registers(m, command, settings)
        with m.If(command != 0):
            m.d.sync += [self.active.eq(command), self.left.eq(self.beats), self.irq.eq(0)]
            m.d.sync += [results["sum"].eq(0), results["response"].eq(0)]
        self._address(m, self.axi.ar, self.axi.aw, command)
        self._read(m)
        self._write(m)
        return m

    def _registers(self, m, command, settings):
        request, response = self.host.request, self.host.response
        word = request.payload.address[2:]
        access = request.valid & request.ready
        m.d.comb += request.ready.eq(~response.valid)
        m.d.sync += response.valid.eq(access)
        with m.If(access & request.payload.write):
            with m.If(word == 0):
                m.d.comb += command.eq(request.payload.data)
            for i, setting in enumerate(settings):
                with m.If(word == i):
                    m.d.sync += setting.eq(request.payload.data)
        for i, value in enumerate(self.results.values()):
            with m.If(access & (word == (ADDRESSED >> 2) + i)):
                m.d.sync += response.payload.data.eq(value)

    def _address(self, m, ar, aw, command):
        for channel, kind in ((ar, READ), (aw, WRITE)):
            m.d.comb += [
                channel.payload.addr.eq(self.address),
                channel.payload.len.eq(self.beats - 1),
                channel.payload.size.eq((self.config.bus_bytes - 1).bit_length()),
                channel.payload.burst.eq(1),
            ]
            with m.If(command == kind):
                m.d.sync += channel.valid.eq(1)
            with m.Elif(channel.valid & channel.ready):
                m.d.sync += [channel.valid.eq(0), self.results["addressed"].eq(self.now)]
            with m.Elif(self.fault == WITHDRAWN):
                m.d.sync += channel.valid.eq(0)

    def _beat(self, m, moved):
        with m.If(moved):
            m.d.sync += [self.left.eq(self.left - 1), self.results["last"].eq(self.now)]
            with m.If(self.left == self.beats):
                m.d.sync += self.results["first"].eq(self.now)

    def _respond(self, m, valid, response):
        with m.If(valid):
            m.d.sync += self.results["response"].eq(self.results["response"] | response)

    def _read(self, m):
        r, total = self.axi.r, self.results["sum"]
        m.d.comb += r.ready.eq(1)
        self._beat(m, r.valid)
        self._respond(m, r.valid, r.payload.resp)
        with m.If(r.valid):
            m.d.sync += total.eq(total + r.payload.data[:32])
            with m.If(r.payload.last):
                m.d.sync += [self.irq.eq(1), self.results["responded"].eq(self.now)]

    def _write(self, m):
        w, b = self.axi.w, self.axi.b
        first, index = self.left == self.beats, (self.beats - self.left)[:8]
        early = self.fault == EARLY_LAST
        m.d.comb += [
            w.valid.eq((self.active == WRITE) & (self.left != 0)),
            w.payload.data.eq(Cat(index for _ in range(self.config.bus_bytes))),
            w.payload.strb.eq(Mux(first, self.strobe, Const(-1, self.config.bus_bytes))),
            w.payload.last.eq((self.left == 1) | (early & first)),
            b.ready.eq(1),
        ]
        self._beat(m, w.valid & w.ready)
        self._respond(m, b.valid, b.payload.resp)
        with m.If(b.valid):
            m.d.sync += [self.irq.eq(1), self.results["responded"].eq(self.now)]
