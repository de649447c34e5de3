"""The host link at its pins, against the golden one."""

import cocotb
import pytest

from boards.link.link import Link
from verif import bench
from verif.agents.registers import Registers
from verif.agents.uart import Host
from verif.golden.link import ERROR, FIXED, REFUSED, WRITE, Device, crc16, request

GAP = 32
CASES = {"4": 4, "7": 7}
"""Cycles a bit."""
BAD = range(0x8000, 0x8040)
"""Addresses that answer an error."""


@pytest.mark.parametrize("case", CASES)
def test_link(simulate, case):
    simulate(Link(CASES[case], GAP), case)


class Setup:
    """The link, a host at its pins, registers behind it, and the golden link with registers of its own."""

    def __init__(self, dut):
        self.dut, self.rng = dut, bench.rng()
        self.tag = 0

    async def start(self, skew=0.0):
        divisor = CASES[bench.case()]
        edge = await bench.start(self.dut, Link(divisor, GAP))
        self.host = Host(self.dut, divisor, skew)
        self.bus = Registers(self.dut, "bus", edge, self.rng, words(self.rng.integers(1 << 32)))
        self.golden = Device(words(self.rng.integers(1 << 32)))
        seed = int(self.rng.integers(1 << 32))
        self.bus.access, self.golden.access = words(seed), words(seed)
        await self.host.silence(2)
        return self

    def next(self, operation, address, words) -> bytes:
        """A frame with the next tag."""
        self.tag = (self.tag + 1) % 16
        return request(self.tag, operation, address, words)

    def draw(self, longest=6) -> bytes:
        operation = int(self.rng.choice([0, WRITE, WRITE | FIXED]))
        size = int(self.rng.integers(1, longest + 1))
        bases = [0, 0x40, 0xFFF8, 0x8000_0000, 0x8001_FFF0, BAD.start - 8, BAD.stop - 8]
        address = int(self.rng.choice(bases)) + 4 * int(self.rng.integers(4))
        data = self.rng.integers(1 << 32, size=size).tolist() if operation & WRITE else size
        return self.next(operation, address, data)

    async def exchange(self, frame: bytes) -> bytes:
        """Sends ``frame``; the answer must be the golden one, and so must every access."""
        wanted = self.golden.answer(frame)
        await self.host.send(frame)
        found = await self.host.answer(len(wanted))
        assert found == wanted, f"{frame.hex()}: {found.hex()}, not {wanted.hex()}"
        self.compare()
        return found

    def compare(self):
        wanted = [(a.address, a.write, a.data if a.write else None) for a in self.golden.accesses]
        assert self.bus.accesses == wanted

    async def nothing(self, bits=2 * GAP):
        """Neither answers nor accesses follow."""
        await self.host.silence(bits)
        assert not self.host.received
        self.compare()


def words(seed):
    """Registers that start with what looks random."""
    memory = {}

    def access(address, data):
        if address in BAD:
            return 0xDEADBEEF, True
        if data is not None:
            memory[address] = data
            return 0, False
        return memory.get(address, (address * 2654435761 + int(seed)) & 0xFFFFFFFF), False

    return access


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def reads_and_writes(dut):
    """Frames of every kind, some without a pause between answer and request."""
    setup = await Setup(dut).start()
    for _ in range(14):
        await setup.exchange(setup.draw())
        if setup.rng.random() < 0.3:
            await setup.host.silence(int(setup.rng.integers(1, 3 * GAP)))
    assert any(access[0] in BAD for access in setup.bus.accesses)
    assert any(access[1] for access in setup.bus.accesses) and any(not access[1] for access in setup.bus.accesses)


@cocotb.test(timeout_time=60, timeout_unit="ms")
@cocotb.parametrize(skew=[-0.03, 0.03])
async def clocks_differ(dut, skew):
    """The host's bits are 3 % shorter or longer."""
    setup = await Setup(dut).start(skew)
    for _ in range(8):
        await setup.exchange(setup.draw())


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def longest(dut):
    """256 words each way, across a page."""
    if bench.case() != "4":
        return
    setup = await Setup(dut).start()
    data = setup.rng.integers(1 << 32, size=256).tolist()
    await setup.exchange(setup.next(WRITE, 0x1FE00, data))
    answer = await setup.exchange(setup.next(0, 0x1FE00, 256))
    assert answer[1:-3] == b"".join(word.to_bytes(4, "little") for word in data)
    assert {access[0] >> 16 for access in setup.bus.accesses} == {1}


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def damaged(dut):
    """Whatever bits are wrong, nothing is performed; the device says so, or waits for a rest that never comes."""
    setup = await Setup(dut).start()
    await setup.exchange(setup.draw())
    for number in range(8):
        frame = bytearray(setup.draw(2))
        for _ in range(int(setup.rng.integers(1, 4))):
            frame[int(setup.rng.integers(len(frame)))] ^= 1 << int(setup.rng.integers(8))
        if number == 0:
            frame = bytearray(setup.next(WRITE, 0x40, [1, 2]))
            frame[-1] ^= 0x80  # its length is right, so it is refused
        await setup.host.send(bytes(frame))
        await setup.host.silence(4 * 10 + 3 * GAP)
        answer = bytes(setup.host.received)
        setup.host.received.clear()
        assert not answer or (len(answer) == 3 and answer[0] & REFUSED), answer.hex()
        assert number or answer == setup.golden.answer(bytes(frame))
        setup.compare()
        await setup.exchange(setup.draw())


def residues() -> dict[int, int]:
    """What to change in the CRC of a frame, by the residue that the whole frame then has."""
    changes = {0: 0}
    for bit in range(16):
        zeros = crc16(request(0, 0, 0, 1)[:-2] + (crc16(request(0, 0, 0, 1)[:-2]) ^ 1 << bit).to_bytes(2, "little"))
        changes |= {residue ^ zeros: change | 1 << bit for residue, change in changes.items()}
    return changes


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def every_bit_of_the_crc_counts(dut):
    """Frames whose residue differs from 0 in a single bit are refused."""
    setup = await Setup(dut).start()
    changes = residues()
    await setup.exchange(setup.next(0, 0, 1))
    for bit in range(16):
        frame = setup.next(WRITE, 0x40, [bit])
        crc = int.from_bytes(frame[-2:], "little") ^ changes[1 << bit]
        bad = frame[:-2] + crc.to_bytes(2, "little")
        assert crc16(bad) == 1 << bit
        assert (await setup.exchange(bad))[0] & REFUSED


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def truncated(dut):
    """A frame that ends early is forgotten after a silence, wherever it ends."""
    setup = await Setup(dut).start()
    whole = setup.next(WRITE, 0x44, [1, 2])
    for size in (1, 2, 6, 7, 10, 13, 14, len(whole) - 1):
        await setup.host.send(whole[:size])
        await setup.nothing()
        if size % 7 == 0:
            await setup.exchange(setup.draw())
    await setup.exchange(whole)


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def pauses_within(dut):
    """Silences shorter than the gap do not end a frame."""
    setup = await Setup(dut).start()
    frame = setup.next(WRITE, 0x48, [3, 4])
    wanted = setup.golden.answer(frame)
    for byte in frame:
        await setup.host.send(bytes([byte]))
        await setup.host.silence(GAP - 12)
    assert await setup.host.answer(len(wanted)) == wanted
    setup.compare()


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def repeats(dut):
    """A frame that comes again, as its answer was lost: a write is not performed a second time, and its status is the same."""
    setup = await Setup(dut).start()
    await setup.exchange(setup.next(0, 0, 1))
    for operation in (WRITE, WRITE | FIXED, 0):
        for address in (0x50, BAD.start):
            frame = setup.next(operation, address, [5, 6] if operation else 2)
            first = await setup.exchange(frame)
            performed = len(setup.bus.accesses)
            for _ in range(2):
                assert await setup.exchange(frame) == first
            assert operation == 0 or len(setup.bus.accesses) == performed
            assert bool(first[-3] & ERROR) == (address in BAD)
            damaged = bytes([frame[0] ^ 0x10, *frame[1:]])
            await setup.exchange(damaged)
            await setup.exchange(frame)


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def noise(dut):
    """Garbage, breaks and glitches; after a silence the link works."""
    setup = await Setup(dut).start()
    for _ in range(4):
        await setup.host.send(setup.rng.bytes(int(setup.rng.integers(1, 30))))
        if setup.rng.random() < 0.5:
            await setup.host.send(b"\0", stop=0)
            dut.rx.value = 0
            for _ in range(int(setup.rng.integers(1, 200))):
                await setup.bus.edge
        for _ in range(int(setup.rng.integers(5))):
            dut.rx.value = 0
            await setup.bus.edge
            dut.rx.value = 1
            await setup.bus.edge
            await setup.bus.edge
        await setup.host.silence(40 + 3 * GAP)
        setup.host.received.clear()
        setup.compare()
        await setup.exchange(setup.draw())
