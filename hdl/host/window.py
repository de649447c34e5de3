"""How a host link without DMA reaches the machine: pushed instructions, and the on-chip memories as windows."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import INSTRUCTION_BYTES, Space
from gemmary.registers import WINDOW

from ..control.layouts import InstructionWord, PushSignature
from ..interfaces import READ_LATENCY, OnchipReadPort, OnchipWritePort, RegisterBus, granules
from ..memory.router import READABLE

SPACE_BIT = 24
WINDOW_BIT = WINDOW.bit_length() - 1


class InstructionPush(wiring.Component):
    """Assembles instructions from the 32-bit words of ``i``, lowest first. Offsets count instructions since ``start``."""

    i: In(PushSignature())
    start: In(1)
    o: Out(stream.Signature(InstructionWord))

    def elaborate(self, platform):
        m = Module()
        needed = INSTRUCTION_BYTES // 4
        filled, word, offset = Signal(range(needed + 1)), self.o.payload.word, self.o.payload.offset
        m.d.comb += [self.o.valid.eq(filled == needed), self.i.ready.eq(~self.o.valid), self.i.whole.eq(filled == 0)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [filled.eq(filled + 1), word.eq(Cat(word[32:], self.i.data))]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [filled.eq(0), offset.eq(offset + INSTRUCTION_BYTES)]
        with m.If(self.start):
            m.d.sync += offset.eq(0)
        return m


class HostWindow(wiring.Component):
    """Splits ``bus``: addresses from WINDOW up (WINDOW | space << 24 | byte offset) are accesses of 4 bytes to the on-chip
    memories, the others go to ``registers``.

    ``error`` for a space that does not exist or (on a read) has no read port, an offset past its end, and a write without all
    its strobes. ``access`` in the cycle of an accepted request.
    """

    def __init__(self, config: Config):
        assert config.bus_bytes == 4, "a window access is one granule of 4 bytes"
        self.config = config
        super().__init__(
            {
                "bus": In(RegisterBus()),
                "registers": Out(RegisterBus()),
                "write": Out(OnchipWritePort(config)),
                "read": Out(OnchipReadPort(config)),
                "access": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        request, response, registers = self.bus.request, self.bus.response, self.registers
        error, data = Signal(), Signal(32, reset_less=True)
        self._address(m)
        m.d.comb += [self.access.eq(request.valid & request.ready), registers.request.payload.eq(request.payload)]

        with m.FSM():
            with m.State("idle"):
                with m.If(~request.payload.address[WINDOW_BIT]):
                    m.d.comb += [registers.request.valid.eq(request.valid), request.ready.eq(registers.request.ready)]
                    with m.If(self.access):
                        m.next = "registers"
                with m.Elif(request.valid):
                    self._access(m, self._legal(), error)
            with m.State("registers"):
                m.d.comb += [
                    response.valid.eq(registers.response.valid),
                    response.payload.eq(registers.response.payload),
                    registers.response.ready.eq(response.ready),
                ]
                with m.If(response.valid & response.ready):
                    m.next = "idle"
            for cycle in range(1, READ_LATENCY + 1):
                with m.State(f"read_{cycle}"):
                    m.d.sync += data.eq(self.read.data)
                    m.next = f"read_{cycle + 1}" if cycle < READ_LATENCY else "answer"
            with m.State("answer"):
                m.d.comb += [response.valid.eq(1), response.payload.data.eq(data), response.payload.error.eq(error)]
                with m.If(response.ready):
                    m.next = "idle"
        return m

    def _address(self, m):
        payload = self.bus.request.payload
        for port in (self.write, self.read):
            m.d.comb += [
                port.space.eq(payload.address[SPACE_BIT:WINDOW_BIT]),
                port.address.eq(payload.address[2:SPACE_BIT]),
            ]
        m.d.comb += self.write.data.eq(payload.data)

    def _legal(self):
        """Whether the window holds the address, and the access is one that its memory has."""
        payload = self.bus.request.payload
        space, granule = payload.address[SPACE_BIT:WINDOW_BIT], payload.address[2:SPACE_BIT]
        holds = {s: (space == s) & (granule < granules(self.config, s)) for s in Space}
        writable = payload.strobe.all() & Cat(holds.values()).any()
        return Mux(payload.write, writable, Cat(holds[s] for s in READABLE).any())

    def _access(self, m, legal, error):
        """Waits for the memory's port, then answers."""
        request = self.bus.request
        m.d.sync += error.eq(~legal)
        with m.If(~legal):
            m.d.comb += request.ready.eq(1)
            m.next = "answer"
        with m.Elif(request.payload.write):
            m.d.comb += [self.write.valid.eq(1), request.ready.eq(self.write.ready)]
            with m.If(self.write.ready):
                m.next = "answer"
        with m.Else():
            m.d.comb += [self.read.valid.eq(1), request.ready.eq(self.read.ready)]
            with m.If(self.read.ready):
                m.next = "read_1"
