"""Reads the program from external memory, ahead of need."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import INSTRUCTION_BYTES, Cause

from ..interfaces import OFFSET_BITS, BurstReadSignature, Error
from ..stream.queue import Queue
from .layouts import InstructionWord

PREFETCH_BYTES = 2048
"""Bytes requested ahead of need: 21 instructions, or 128 cycles of a 16-byte bus."""

BURST_BYTES = 512
"""Bursts end at multiples of this, so they never cross 4 KiB."""


def multiple_of_96(length):
    """Whether a byte count is one: a multiple of 32 whose upper part is a multiple of 3. As 16 = 1 modulo 3, that is so when
    the sum of its hexadecimal digits is one."""
    rest = length[5:]
    while len(rest) > 5:
        first, *others = (rest[i : i + 4] for i in range(0, len(rest), 4))
        rest = sum(others, first)
    return (length[:5] == 0) & Cat(rest == k for k in range(0, 1 << len(rest), 3)).any()


class Fetch(wiring.Component):
    """``start`` reads ``length`` bytes from ``address`` and gives one InstructionWord for each 96 of them on ``o``.

    ``active`` until the last one has been taken. Bursts are requested only when their beats have room, so a response is always
    accepted. While ``halt`` is high nothing is requested and what arrives is dropped; ``quiet``: nothing is outstanding.
    Throughput: one instruction in 96 / bus_bytes + 1 cycles.

    Errors: PROGRAM at offset 0 for an ``address`` that is no multiple of bus_bytes or wider than the bus, and a ``length`` of 0,
    above 2**24 − 96, or no multiple of 96; BUS_READ at the offset of an instruction that holds a bad beat.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "address": In(64),
                "length": In(32),
                "halt": In(1),
                "active": Out(1),
                "quiet": Out(1),
                "error": Out(Error),
                "bus": Out(BurstReadSignature(config)),
                "o": Out(stream.Signature(InstructionWord)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self.depth = PREFETCH_BYTES // self.config.bus_bytes
        self.to_request = Signal(range((1 << OFFSET_BITS) // self.config.bus_bytes))
        self.outstanding = Signal(range(self.depth + 1))
        beat = data.StructLayout({"data": 8 * self.config.bus_bytes, "error": 1})
        m.submodules.queue = queue = Queue(beat, self.depth)

        m.d.sync += self.error.valid.eq(0)
        response = self.bus.response
        m.d.comb += [
            response.ready.eq(1),
            queue.i.valid.eq(response.valid & ~self.halt),
            queue.i.payload.data.eq(response.payload.data),
            queue.i.payload.error.eq(response.payload.error),
            self.quiet.eq(self.outstanding == 0),
        ]
        self._request(m, queue.level)
        filled = self._assemble(m, queue.o)
        with m.If(self.start):
            self._begin(m)
        waiting = (self.to_request != 0) | (self.outstanding != 0)
        m.d.comb += self.active.eq(waiting | (queue.level != 0) | filled)
        return m

    def _begin(self, m):
        """Takes the program over, unless its address or length is refused."""
        address, length = self.address, self.length
        aligned = self.config.bus_bytes.bit_length() - 1
        refused = Signal()
        m.d.comb += refused.eq(
            address[:aligned].any()
            | address[self.config.address_bits :].any()
            | (length == 0)
            | length[OFFSET_BITS:].any()
            | ~multiple_of_96(length[:OFFSET_BITS])
        )
        with m.If(refused):
            self._fail(m, Cause.PROGRAM, 0)
        with m.Else():
            m.d.sync += [self.next_address.eq(address), self.to_request.eq(length >> aligned)]
        m.d.sync += self.o.payload.offset.eq(0)

    def _fail(self, m, cause, offset):
        m.d.sync += [self.error.valid.eq(1), self.error.cause.eq(cause), self.error.offset.eq(offset)]

    def _request(self, m, level):
        """Requests the beats up to the next multiple of BURST_BYTES (or the last ones) when a whole burst has room."""
        bus_bytes, burst = self.config.bus_bytes, BURST_BYTES // self.config.bus_bytes
        aligned = bus_bytes.bit_length() - 1
        self.next_address = Signal(self.config.address_bits, reset_less=True)
        request = self.bus.request
        until, beats, issue = Signal(range(burst + 1)), Signal(range(burst + 1)), Signal()
        room = self.outstanding + level <= self.depth - burst
        m.d.comb += [
            until.eq(burst - self.next_address[aligned : BURST_BYTES.bit_length() - 1]),
            beats.eq(Mux(self.to_request < until, self.to_request, until)),
            issue.eq((self.to_request != 0) & room & ~self.halt & (~request.valid | request.ready)),
        ]
        with m.If(issue):
            m.d.sync += [
                request.valid.eq(1),
                request.payload.address.eq(self.next_address),
                request.payload.beats.eq(beats),
                self.next_address.eq(self.next_address + (beats << aligned)),
                self.to_request.eq(self.to_request - beats),
            ]
        with m.Elif(request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(issue | self.bus.response.valid):
            m.d.sync += self.outstanding.eq(self.outstanding + Mux(issue, beats, 0) - self.bus.response.valid)

    def _assemble(self, m, beats):
        """Shifts beats into the word; returns whether it holds any."""
        needed = INSTRUCTION_BYTES // self.config.bus_bytes
        filled, bad, full = Signal(range(needed + 1)), Signal(), Signal()
        word, offset = self.o.payload.word, self.o.payload.offset
        m.d.comb += [full.eq(filled == needed), beats.ready.eq(~full), self.o.valid.eq(full & ~bad)]
        with m.If(beats.valid & ~full):
            m.d.sync += [
                word.eq(Cat(word[8 * self.config.bus_bytes :], beats.payload.data)),
                filled.eq(filled + 1),
                bad.eq(bad | beats.payload.error),
            ]
            with m.If((filled == needed - 1) & (bad | beats.payload.error)):
                self._fail(m, Cause.BUS_READ, offset)
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [filled.eq(0), offset.eq(offset + INSTRUCTION_BYTES)]
        return filled != 0
