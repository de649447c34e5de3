"""The device's side of the host link, a frame at a time: what it does on its bus and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass

WRITE, FIXED, REFUSED, ERROR = 1, 2, 4, 8
HEADER, CRC = 6, 2
PAGE = 1 << 16


@dataclass(frozen=True)
class Access:
    """``data`` is what was written, or read."""

    address: int
    write: bool
    data: int


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS, a bit at a time."""
    crc = 0xFFFF
    for byte in data:
        for bit in range(8):
            feedback = (crc ^ byte >> bit) & 1
            crc = crc >> 1 ^ 0xA001 * feedback
    return crc


def framed(data: bytes) -> bytes:
    return data + crc16(data).to_bytes(CRC, "little")


def request(tag: int, operation: int, address: int, words: list[int] | int) -> bytes:
    """The frame that writes ``words``, or reads so many."""
    count = words if isinstance(words, int) else len(words)
    data = b"" if isinstance(words, int) else b"".join(word.to_bytes(4, "little") for word in words)
    return framed(bytes([tag << 4 | operation, count - 1]) + address.to_bytes(4, "little") + data)


def length(frame: bytes) -> int:
    """How long the frame is that begins with ``frame``; 0 if that is not known yet."""
    if len(frame) < 2:
        return 0
    return HEADER + CRC + (4 * (frame[1] + 1) if frame[0] & WRITE else 0)


class Device:
    """``access(address, data)`` performs one on the bus (``data`` None: a read) and returns (data, error)."""

    def __init__(self, access: Callable[[int, int | None], tuple[int, bool]]):
        self.access = access
        self.last_tag, self.failed = 0, False
        self.accesses: list[Access] = []

    def answer(self, frame: bytes) -> bytes:
        """To one whole frame."""
        assert len(frame) == length(frame)
        tag, operation = frame[0] >> 4, frame[0] & 15
        kept = frame[0] & (0xF0 | WRITE | FIXED)
        if crc16(frame):
            return framed(bytes([kept | REFUSED | ERROR * self.failed]))
        write, words = operation & WRITE, b""
        repeat = write and tag == self.last_tag
        self.last_tag = tag
        if not repeat:
            self.failed = False
            words = self._perform(frame, write, operation & FIXED)
        final = bytes([kept | ERROR * self.failed])
        return framed(final if write else bytes([kept]) + words + final)

    def _perform(self, frame: bytes, write: int, fixed: int) -> bytes:
        first, read = int.from_bytes(frame[2:HEADER], "little"), b""
        for index in range(frame[1] + 1):
            address = first // PAGE * PAGE + (first + (0 if fixed else 4 * index)) % PAGE
            data = int.from_bytes(frame[HEADER + 4 * index :][:4], "little") if write else None
            found, error = self.access(address, data)
            self.accesses.append(Access(address, bool(write), data if write else found))
            self.failed |= error
            read += found.to_bytes(4, "little")
            if write and error:
                break
        return read
