"""The memories of nano against lists of bytes; what nobody has written is not known."""

import cocotb
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hdl.nano.memories import Accumulators, Words, halfword
from verif import bench

CASES = {
    "words-2": lambda: Words(16384, 2),
    "accumulators-8": lambda: Accumulators(512, 8),
}
CYCLES = 1500
HALF = 16


@pytest.mark.parametrize("case", CASES)
def test_memories(simulate, case):
    simulate(CASES[case](), case, tests=case.split("-")[0])


@pytest.mark.parametrize("halves", [1, 2, 8])
def test_halfword(halves):
    """Every halfword of a word by its position, the lowest first."""
    m, word, position = Module(), Signal(HALF * halves), Signal(range(max(2, halves)))
    chosen = halfword(m, word, position)

    async def check(context):
        context.set(word, sum(0x8001 * (i + 1) % 0x10000 << HALF * i for i in range(halves)))
        for i in range(halves):
            context.set(position, i)
            await context.delay(1e-9)
            assert context.get(chosen) == 0x8001 * (i + 1) % 0x10000

    simulator = Simulator(m)
    simulator.add_testbench(check)
    simulator.run()


class Model:
    """A list of words, each a list of halfwords."""

    def __init__(self, component):
        self.words = [[None] * component.halves for _ in range(component.depth)]

    def write(self, address: int, halves: int, data: int) -> None:
        for half in range(len(self.words[address])):
            if halves >> half & 1:
                self.words[address][half] = data >> HALF * half & 0xFFFF

    def differs(self, wanted, got: str) -> bool:
        """Whether a known halfword of ``wanted`` is not in ``got``, binary digits of which the unknown are no digits."""
        parts = [got[max(0, len(got) - HALF * (half + 1)) : len(got) - HALF * half] for half in range(len(wanted))]
        return any(
            want not in (None, int(part, 2) if set(part) <= {"0", "1"} else "x") for want, part in zip(wanted, parts)
        )


def addresses(rng, depth: int):
    """All over, at the ends, and again and again within few words."""
    while True:
        low = int(rng.integers(depth))
        span = int(rng.choice([1, 4, 32]))
        for _ in range(40):
            yield (low + int(rng.integers(span))) % depth if rng.random() < 0.9 else int(rng.choice([0, depth - 1]))


def mask(rng, halves: int) -> int:
    return int(rng.choice([0, 0, (1 << halves) - 1, rng.integers(1 << halves)]))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def words(dut):
    """One access a cycle: halves are written, or a word is read, which follows in the next cycle."""
    rng, component = bench.rng(), CASES[bench.case()]()
    edge = await bench.start(dut, component)
    model, where = Model(component), addresses(rng, component.depth)
    wanted, compared = None, 0
    for cycle in range(CYCLES):
        address, halves = next(where), mask(rng, component.halves)
        data = int.from_bytes(rng.bytes(2 * component.halves), "little")
        dut.address.value, dut.write.value, dut.data.value = address, halves, data
        await edge
        if wanted:
            assert not model.differs(wanted, str(dut.read.value)), (cycle, wanted, dut.read.value)
            compared += any(half is not None for half in wanted)
        wanted = None if halves else list(model.words[address])
        model.write(address, halves, data)
    assert compared > CYCLES // 8


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def accumulators(dut):
    """A read and a write in each cycle, anywhere but in the same row."""
    rng, component = bench.rng(), CASES[bench.case()]()
    edge = await bench.start(dut, component)
    model, where = Model(component), addresses(rng, component.depth)
    wanted, compared = None, 0
    for cycle in range(CYCLES):
        read, write, halves = next(where), next(where), mask(rng, component.halves)
        data = int.from_bytes(rng.bytes(2 * component.halves), "little")
        dut.read_address.value, dut.write_address.value, dut.write.value, dut.data.value = read, write, halves, data
        await edge
        if wanted:
            assert not model.differs(wanted, str(dut.read.value)), (cycle, wanted, dut.read.value)
            compared += any(half is not None for half in wanted)
        wanted = None if halves and read == write else list(model.words[read])
        model.write(write, halves, data)
    assert compared > CYCLES // 8
