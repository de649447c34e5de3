"""The host link: registers and memory of an accelerator over a serial line. docs/boards.md describes its frames."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ..errors import GemmaryError, InputError

WRITE, FIXED, REFUSED, ERROR = 1, 2, 4, 8
"""Bits of a header, whose upper four are its tag. In a request: it writes, all its words go to one address. In an answer: the
frame was bad, the bus refused an access."""

TAGS = 16
HEADER_BYTES = 6
CRC_BYTES = 2
WORD_BYTES = 4
MAX_WORDS = 256
PAGE_BYTES = 1 << 16
"""Addresses of a frame count within a page of so many bytes."""

GAP_BITS = 4096
"""After a silence of so many bits the device takes the next byte for the first of a frame."""

BITS = 10  # that a byte takes on the line
ATTEMPTS = 8
PATIENCE_S = 0.1
"""How much longer than its bits an answer may take, as USB adapters hold bytes back."""


class LinkError(GemmaryError):
    """What is at the other end gives no answer, or only damaged ones."""


class Transport(Protocol):
    """A serial line of ``baud`` bits a second; messages call it ``name``."""

    name: str
    baud: int

    def write(self, data: bytes) -> None: ...

    def read(self, count: int, timeout_s: float) -> bytes:
        """The next ``count`` bytes; fewer if they do not come in time."""

    def pause(self, seconds: float) -> None:
        """Lets time pass."""

    def discard(self) -> None:
        """Forgets what has come and was not read."""


class Link:
    """A RegisterAccess over ``transport``; a cycle of the device takes 1 / ``clock_hz`` seconds.

    Each frame is sent until its answer comes; the device performs it once. LinkError when it never comes, GemmaryError when
    the device refuses an access. ``repeats`` counts the frames that were sent again.
    """

    def __init__(self, transport: Transport, clock_hz: float):
        self.transport, self.clock_hz = transport, clock_hz
        self.repeats = 0
        self._tag = 0
        # A read tells the device the first tag: a write with the tag of whoever was here before it would take for a repeat.
        self.read(0, 1)

    def write(self, address: int, words: np.ndarray, step: int = WORD_BYTES) -> None:
        words = np.ascontiguousarray(words, "<u4")
        if step not in (0, WORD_BYTES):
            raise InputError(f"the host link has no write with step = {step}: it is 0 or {WORD_BYTES}")
        for at, start, count in frames(address, len(words), step):
            operation = WRITE if step else WRITE | FIXED
            self._exchange(operation, at, count, words[start : start + count].tobytes())

    def read(self, address: int, count: int) -> np.ndarray:
        parts = [self._exchange(0, at, size, b"") for at, _, size in frames(address, count, WORD_BYTES)]
        return np.frombuffer(b"".join(parts), "<u4").astype(np.uint32)

    def wait(self, cycles: int) -> None:
        self.transport.pause(cycles / self.clock_hz)

    def _exchange(self, operation: int, address: int, count: int, words: bytes) -> bytes:
        """The words that the device answers."""
        self._tag = (self._tag + 1) % TAGS
        header = self._tag << 4 | operation
        frame = bytes([header, count - 1]) + address.to_bytes(4, "little") + words
        frame += crc16(frame).to_bytes(CRC_BYTES, "little")
        expected = 0 if operation & WRITE else 1 + WORD_BYTES * count
        for attempt in range(ATTEMPTS):
            self.repeats += attempt > 0
            self.transport.discard()
            self.transport.write(frame)
            answer = self._answer(header, expected + 1 + CRC_BYTES, len(frame))
            if answer is None:
                # The device must forget a part of the frame that it may have taken.
                self.transport.pause(2 * GAP_BITS / self.transport.baud)
                continue
            if answer[expected] & ERROR:
                access = "write" if operation & WRITE else "read"
                raise GemmaryError(f"the device refuses a {access} of {count} words at {address:#x}")
            return answer[1:expected]
        raise LinkError(
            f"no answer on {self.transport.name} after {ATTEMPTS} attempts: is the board connected, its bitstream loaded, "
            f"and its UART at {self.transport.baud} baud?"
        )

    def _answer(self, header: int, size: int, sent: int) -> bytes | None:
        """The whole answer of ``size`` bytes to the frame of ``sent`` bytes with ``header``; None if there is no good one."""
        seconds = BITS * (sent + size) / self.transport.baud + PATIENCE_S
        answer = self.transport.read(1, seconds)
        if not answer or (answer[0] ^ header) & ~ERROR:  # nothing, a refusal, or an answer to something else
            return None
        answer += self.transport.read(size - 1, seconds)
        if len(answer) < size or crc16(answer):
            return None
        return answer


def frames(address: int, count: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Cuts an access of ``count`` words into frames: (address, first word, words) of each."""
    start = 0
    while start < count:
        at = address + step * start
        left = (PAGE_BYTES - at % PAGE_BYTES) // WORD_BYTES if step else MAX_WORDS
        size = min(count - start, MAX_WORDS, left)
        yield at, start, size
        start += size


def _table() -> list[int]:
    """CRC-16/MODBUS of each byte."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS; 0 of data that end with their own, lower byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc
