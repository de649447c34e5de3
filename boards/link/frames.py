"""The frames of the host link: requests in, accesses of a register bus, answers out. docs/boards.md describes them."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gemmary.runtime.link import GAP_BITS, HEADER_BYTES, MAX_WORDS, PAGE_BYTES
from hdl.interfaces import RegisterBus

from .crc import Crc16

WORD = 4
PAGE_BITS = PAGE_BYTES.bit_length() - 1

Header = data.StructLayout({"write": 1, "fixed": 1, "refused": 1, "error": 1, "tag": 4})
Request = data.StructLayout({"header": Header, "count": 8, "address": 32})
"""The first bytes of a frame; ``count`` is the number of words less 1."""


class Frames(wiring.Component):
    """Performs the requests that come byte by byte on ``data`` (taken when ``valid``; ``active`` while one is on its way) and
    answers on ``o``. ``bus``: one access at a time.

    The ``received`` and ``sent`` bits (with their strobes) are those of the same bytes, before them. ``tick`` comes once a
    bit: ``gap_bits`` (a power of two) of them without a byte end an incomplete frame. Words of a write wait in a RAM until the
    CRC is known to be right; a read answers word by word. Bytes that come while a request is performed are lost.
    """

    def __init__(self, gap_bits: int = GAP_BITS):
        assert gap_bits & (gap_bits - 1) == 0, gap_bits
        self.gap_bits = gap_bits
        bit = data.StructLayout({"value": 1, "strobe": 1})
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "active": In(1),
                "received": In(bit),
                "o": Out(stream.Signature(8)),
                "sent": In(bit),
                "tick": In(1),
                "bus": Out(RegisterBus()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = self.crc = Crc16()
        m.submodules.buffer = buffer = Memory(shape=8, depth=WORD * MAX_WORDS, init=[])
        self.write_port, self.read_port = buffer.write_port(), buffer.read_port()
        self.request = Signal(Request, reset_less=True)
        self.last_tag, self.failed = Signal(4), Signal()  # of the last frame that was performed
        self.position = Signal(range(WORD * MAX_WORDS))  # byte within the header, the words, or the CRC
        self.word = Signal(32, reset_less=True)
        self.restart, self.listening, self.idle = Signal(), Signal(), Signal()
        self.last_byte, self.last = Signal(), Signal()
        position = self.position
        m.d.comb += [
            self.last_byte.eq(position[:2].all()),  # of a word
            self.last.eq(self.last_byte & (position[2:] == self.request.count)),
            self.read_port.addr.eq(position),
            self.write_port.addr.eq(position),
            self.write_port.data.eq(self.data),
        ]
        self._sum(m)
        self._watch_gap(m)
        self._drive_bus(m)
        with m.FSM() as self.fsm:
            self._receive(m)
            self._perform(m)
            self._answer(m)
        with m.If(self.restart):
            m.d.sync += position.eq(0)
        return m

    def _sum(self, m):
        """The one CRC sees the bits of the direction in use."""
        bit = Mux(self.listening, self.received, self.sent)
        seen = Signal(self.received.shape())
        m.d.comb += [seen.eq(bit), self.crc.bit.eq(seen.value), self.crc.strobe.eq(seen.strobe)]

    def _watch_gap(self, m):
        """``idle`` now and then while no byte comes."""
        timer = Signal(range(self.gap_bits))
        m.d.comb += self.idle.eq(self.tick & timer.all())
        m.d.sync += timer.eq(timer + self.tick)
        with m.If(self.active):
            m.d.sync += timer.eq(0)

    def _drive_bus(self, m):
        """Addresses count words within a page."""
        request, address = self.bus.request.payload, self.request.address
        index = Mux(self.request.header.fixed, 0, self.position[2:])
        low = Signal(PAGE_BITS - 2)
        m.d.comb += [
            low.eq(address[2:PAGE_BITS] + index),
            request.address.eq(Cat(address[:2], low, address[PAGE_BITS:])),
            request.write.eq(self.request.header.write),
            request.data.eq(self.word),
            request.strobe.eq(0b1111),
        ]

    def _step(self, m):
        m.d.sync += self.position.eq(self.position + 1)

    def _forget(self, m):
        """The next byte begins a frame."""
        m.d.comb += [self.restart.eq(1), self.crc.clear.eq(1)]
        m.next = "header"

    def _receive(self, m):
        header = self.request.header
        with m.State("header"):
            m.d.comb += self.listening.eq(1)
            with m.If(self.valid):
                self._step(m)
                m.d.sync += self.request.eq(Cat(self.request.as_value()[8:], self.data))
                with m.If(self.position[:3] == HEADER_BYTES - 1):
                    m.d.comb += self.restart.eq(1)
                    m.next = "check"
                    # The header has come, but is still one byte from its place.
                    with m.If(self.request.as_value()[8]):
                        m.next = "words"
            with m.If(self.idle):
                self._forget(m)
        with m.State("words"):
            m.d.comb += [self.listening.eq(1), self.write_port.en.eq(self.valid)]
            with m.If(self.valid):
                self._step(m)
                with m.If(self.last):
                    m.d.comb += self.restart.eq(1)
                    m.next = "check"
            with m.If(self.idle):
                self._forget(m)
        with m.State("check"):
            m.d.comb += self.listening.eq(1)
            with m.If(self.valid):
                self._step(m)
                with m.If(self.position[0]):
                    m.next = "judge"
            with m.If(self.idle):
                self._forget(m)
        with m.State("judge"):
            wrong = Signal()
            m.d.comb += [self.restart.eq(1), self.crc.clear.eq(1), wrong.eq(self.crc.value.any())]
            m.d.sync += header.refused.eq(wrong)
            m.next = "answer"
            with m.If(~wrong):
                m.d.sync += self.last_tag.eq(header.tag)
                with m.If(~header.write):
                    m.d.sync += self.failed.eq(0)
                    m.next = "begin"
                with m.Elif(header.tag != self.last_tag):
                    m.d.sync += self.failed.eq(0)
                    m.next = "fetch"

    def _perform(self, m):
        request, response, header = self.bus.request, self.bus.response, self.request.header
        with m.State("fetch"):
            m.next = "take"
        with m.State("take"):
            m.d.sync += self.word.eq(Cat(self.word[8:], self.read_port.data))
            m.next = "request"
            with m.If(~self.last_byte):
                self._step(m)
                m.next = "fetch"
        with m.State("request"):
            m.d.comb += request.valid.eq(1)
            with m.If(request.ready):
                m.next = "response"
        with m.State("response"):
            m.d.comb += response.ready.eq(1)
            with m.If(response.valid):
                m.d.sync += [self.word.eq(response.payload.data), self.failed.eq(self.failed | response.payload.error)]
                m.next = "send"
                with m.If(header.write):
                    self._step(m)
                    m.next = "fetch"
                    with m.If(self.last | response.payload.error):
                        m.next = "answer"

    def _answer(self, m):
        header = Signal(Header)
        m.d.comb += [header.eq(self.request.header), header.error.eq(self.failed)]
        with m.State("begin"):
            self._send(m, header, "request")
        with m.State("send"):
            with m.If(self._send(m, self.word[:8], "send")):
                self._step(m)
                m.d.sync += self.word.eq(self.word[8:])
                with m.If(self.last):
                    m.next = "answer"
                with m.Elif(self.last_byte):
                    m.next = "request"
        with m.State("answer"):
            m.d.comb += self.restart.eq(1)
            self._send(m, header, "tail")
        with m.State("tail"):
            with m.If(self._send(m, self.crc.value[:8], "tail")):
                self._step(m)
                with m.If(self.position[0]):
                    self._forget(m)

    def _send(self, m, byte, following):
        """Sends ``byte``, then goes to state ``following``. Returns whether it is taken in this cycle."""
        m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(byte)]
        with m.If(self.o.ready):
            m.next = following
        return self.o.ready
