"""The host side of the link over lines that lose and damage bytes, against the golden device."""

import numpy as np
import pytest

from gemmary.errors import GemmaryError, InputError
from gemmary.runtime.link import ATTEMPTS, MAX_WORDS, PAGE_BYTES, Link, LinkError, crc16, frames
from verif.golden import link as golden

BAD = 0xBAD0


class Line:
    """A transport with a golden device at its end. ``damage(data, rng)`` is what happens to bytes on their way, each way."""

    name, baud = "the line", 1_000_000

    def __init__(self, damage=lambda data, rng: data, seed=0):
        self.memory: dict[int, int] = {}
        self.device = golden.Device(self.access)
        self.damage, self.rng = damage, np.random.default_rng(seed)
        self.coming, self.partial = b"", b""

    def access(self, address, data):
        if address == BAD:
            return 0, True
        if data is not None:
            self.memory[address] = data
        return self.memory.get(address, 0), False

    def write(self, data):
        self.partial += self.damage(data, self.rng)
        size = golden.length(self.partial)
        if size and len(self.partial) >= size:
            self.coming += self.damage(self.device.answer(self.partial[:size]), self.rng)
            self.partial = self.partial[size:]

    def read(self, count, timeout_s):
        found, self.coming = self.coming[:count], self.coming[count:]
        return found

    def pause(self, seconds):
        if seconds * self.baud > 4096:
            self.partial = b""

    def discard(self):
        self.coming = b""


def flips(data, rng):
    """Some bits are wrong in some frames."""
    data = bytearray(data)
    if rng.random() < 0.06:
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def losses(data, rng):
    """Frames lose some bytes, or all."""
    if rng.random() < 0.06:
        start = int(rng.integers(len(data)))
        return data[:start] + data[start + int(rng.integers(1, len(data) + 1)) :]
    return data


@pytest.mark.parametrize("damage", [flips, losses, lambda data, rng: flips(losses(data, rng), rng) if data else data])
def test_every_write_once_and_in_order(damage):
    line = Line(lambda data, rng: data)
    link = Link(line, 1e6)
    line.damage = lambda data, rng: damage(data, rng) if data else data
    rng = np.random.default_rng(1)
    wanted, memory = [], {}
    for _ in range(400):
        address, step = int(rng.integers(64)) * 4, int(rng.choice([0, 4]))
        words = rng.integers(1 << 32, size=int(rng.integers(1, 20)), dtype=np.uint32)
        if rng.random() < 0.6:
            link.write(address, words, step)
            places = [address + step * index for index in range(len(words))]
            wanted += list(zip(places, words.tolist()))
            memory |= dict(zip(places, words.tolist()))
        else:
            found = link.read(address, len(words))
            assert found.dtype == np.uint32
            assert found.tolist() == [memory.get(address + 4 * index, 0) for index in range(len(words))]
    assert [(a.address, a.data) for a in line.device.accesses if a.write] == wanted
    assert link.repeats > 30


def test_long_transfers_are_cut():
    line = Line()
    link = Link(line, 1e6)
    start = 0x8000_0000 + 3 * PAGE_BYTES - 1000
    words = np.arange(1000, dtype=np.uint32) * 0x01010101
    link.write(start, words)
    assert (link.read(start, 1000) == words).all()
    assert line.memory == {start + 4 * index: int(word) for index, word in enumerate(words)}
    assert [size for _, _, size in frames(start, 1000, 4)] == [250, 256, 256, 238]
    assert [(at, size) for at, _, size in frames(PAGE_BYTES - 4, 300, 0)] == [
        (PAGE_BYTES - 4, MAX_WORDS),
        (PAGE_BYTES - 4, 44),
    ]


@pytest.mark.parametrize("tag", range(16))
def test_another_host_was_here_before(tag):
    """Whatever tag the last frame had: the first write is not taken for a repeat."""
    line = Line()
    line.device.last_tag = tag
    Link(line, 1e6).write(0x10, np.array([7], np.uint32))
    assert line.memory == {0x10: 7}


def test_refused_access():
    link = Link(Line(), 1e6)
    with pytest.raises(GemmaryError, match="refuses a write of 2 words at 0xbacc"):
        link.write(BAD - 4, np.zeros(2, np.uint32))
    with pytest.raises(GemmaryError, match="refuses a read of 1 words at 0xbad0"):
        link.read(BAD, 1)
    assert link.read(0, 1).tolist() == [0]


def test_nobody_there():
    line = Line(lambda data, rng: b"")
    sent = []
    line.write = sent.append
    with pytest.raises(LinkError, match=r"no answer on the line after .* 1000000 baud"):
        Link(line, 1e6)
    assert len(sent) == ATTEMPTS


def test_late_answers_are_not_taken_for_others():
    """The answer to a frame that was given up must not pass for that of the next one."""
    line = Line()
    link = Link(line, 1e6)
    line.memory |= {0x20: 1, 0x24: 2}
    late, answer = [], line.device.answer

    def answers(frame):
        late.append(answer(frame))
        return b"" if len(late) == 1 else late[-2] + late[-1]

    line.device.answer = answers
    assert link.read(0x20, 1).tolist() == [1]
    late.clear()
    assert link.read(0x24, 1).tolist() == [2]


def test_steps():
    with pytest.raises(InputError, match="step = 8"):
        Link(Line(), 1e6).write(0, np.zeros(1, np.uint32), step=8)


def test_crc():
    assert crc16(b"123456789") == golden.crc16(b"123456789") == 0x4B37
    assert crc16(golden.framed(b"any")) == 0
