"""The crossings of on-chip memories: posted writes and credited reads, in every relation of the clocks."""

import cocotb
import pytest

from gemmary.isa import Space
from hdl.crossing.memory import WriteCrossing
from hdl.interfaces import CROSSED_READS
from verif import bench, runner
from verif.agents.clocks import QUICK, RELATIONS, TwoClocks, start
from verif.agents.memory import Port
from verif.agents.pace import always, paces
from verif.configs import TINY
from verif.unit.crossing.harness import Memories, soft_reset

DEPTH = 64
"""Granules of each space."""
SETTLED = 60
SPACES = (Space.ACTIVATION, Space.WEIGHT, Space.ACCUMULATOR)


def test_memory(tmp_path):
    """In two relations and under one simulator."""
    model = runner.build(TwoClocks(Memories(TINY)), "crossing-memory", "icarus")
    runner.run(model, __name__, tmp_path, 1, tests=QUICK)


@pytest.mark.nightly
def test_memory_in_every_relation(simulate):
    simulate(TwoClocks(Memories(TINY)))


class Inner:
    """Memories in ``fast``, as the router leads to them. ``writes`` lists (space, address, data) of those taken."""

    def __init__(self, dut, edge, rng, pace=None):
        self.dut, self.edge = dut, edge
        size = DEPTH * TINY.bus_bytes
        self.memory = {space: bytearray(rng.bytes(size)) for space in SPACES}
        self.write = Port(dut, "inner_write", self.memory, rng, write=True, pace=pace)
        self.read = Port(dut, "inner_read", self.memory, rng, pace=pace)
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        while True:
            self.write.begin()
            self.read.begin()
            await self.edge
            self.write.halted = self.read.halted = self.dut.flush.value == 1
            read, write = self.read.end(), self.write.end()
            word = None if read is None else bytes(read.memory[read.places.start : read.places.stop])
            self.read.answer(word)
            if write is not None:
                write.memory[write.places.start : write.places.stop] = write.data


class Outer:
    """Writes and reads at random in ``sync``. ``written`` counts acknowledgements; ``arrived`` lists data."""

    def __init__(self, dut, edge, rng, pace=None):
        self.dut, self.edge, self.rng = dut, edge, rng
        self.pace = pace or paces(rng)
        self.sent: list[tuple[int, int, int]] = []
        self.asked: list[tuple[int, int]] = []
        self.written, self.arrived = 0, []
        self.to_send, self.to_ask = [], []
        self.on_written = lambda: None
        self.task = cocotb.start_soon(self._run())

    def add(self, count: int) -> None:
        def place():
            return int(self.rng.choice(SPACES)), int(self.rng.integers(DEPTH))

        self.to_send += [(*place(), int(self.rng.integers(1 << 32))) for _ in range(count)]
        self.to_ask += [place() for _ in range(count)]

    async def _run(self):
        dut, write, read = self.dut, False, False
        while True:
            write = bool(self.to_send) and (write or next(self.pace))
            room = len(self.asked) - len(self.arrived) < CROSSED_READS
            read = bool(self.to_ask) and (read or (room and next(self.pace)))
            for port, valid, items in (("write", write, self.to_send), ("read", read, self.to_ask)):
                getattr(dut, f"{port}__valid").value = valid
                if valid:
                    for part, value in zip(("space", "address", "data"), items[0]):
                        getattr(dut, f"{port}__{part}").value = value
            await self.edge
            if write and dut.write__ready.value == 1:
                self.sent.append(self.to_send.pop(0))
                write = False
            if read and dut.read__ready.value == 1:
                self.asked.append(self.to_ask.pop(0))
                read = False
            if dut.write__written.value == 1:
                self.written += 1
                self.on_written()
            if dut.read__arrived.value == 1:
                self.arrived.append(int(dut.read__data.value))


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS), busy=[False, True])
async def accesses_arrive(dut, relation, busy):
    """Each once, in order. A write that is acknowledged has been taken by its memory, even where that lets it wait for long."""
    rng = bench.rng()
    slow, fast = await start(dut, Memories(TINY), relation)
    inner = Inner(dut, fast, rng, pace=paces(rng, (0.02, 1.0), 60) if busy else None)
    outer = Outer(dut, slow, rng)

    def taken() -> None:
        assert outer.written <= len(inner.write.taken), "a write is acknowledged that no memory has taken"

    outer.on_written = taken
    outer.add(60)
    for _ in range(20_000):
        await slow
        if outer.written == len(outer.arrived) == 60:
            break
    for _ in range(SETTLED):
        await slow
    assert outer.written == len(outer.sent) == len(outer.arrived) == len(outer.asked) == 60
    assert inner.write.taken == [(space, address) for space, address, _ in outer.sent]
    assert inner.read.taken == outer.asked


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def data_are_those_of_the_request(dut, relation):
    """First all writes, then reads, one a cycle of ``sync`` in the long run where ``fast`` is no slower."""
    rng = bench.rng()
    slow, fast = await start(dut, Memories(TINY), relation)
    inner = Inner(dut, fast, rng, pace=always())
    outer = Outer(dut, slow, rng, pace=always())
    outer.add(80)
    asked, outer.to_ask = outer.to_ask, []
    cycles = 0
    while outer.written < 80:
        await slow
        cycles += 1
    assert relation == "slower" or cycles <= 80 + 16
    outer.to_ask, cycles = asked, 0
    while len(outer.arrived) < 80:
        await slow
        cycles += 1
    assert relation == "slower" or cycles <= 80 + 20
    size = TINY.bus_bytes
    expected = [
        int.from_bytes(inner.memory[space][address * size : (address + 1) * size], "little")
        for space, address in outer.asked
    ]
    assert outer.arrived == expected


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(relation=[name for name in RELATIONS if name != "slower"])
async def a_soft_reset_leaves_nothing(dut, relation):
    """Nothing of before is heard of after it, and all that comes then arrives."""
    rng = bench.rng()
    slow, fast = await start(dut, Memories(TINY), relation)
    inner = Inner(dut, fast, rng)
    for round_ in range(6):
        outer = Outer(dut, slow, rng)
        outer.add(20 if round_ % 2 else 200)
        if round_ % 2:
            for _ in range(20_000):
                await slow
                if outer.written == len(outer.arrived) == 20:
                    break
            assert outer.written == len(outer.arrived) == 20
            assert inner.write.taken[-20:] == [(space, address) for space, address, _ in outer.sent]
            assert inner.read.taken[-20:] == outer.asked
        else:
            for _ in range(int(rng.integers(1, 80))):
                await slow
        outer.task.cancel()
        dut.write__valid.value = dut.read__valid.value = 0
        await soft_reset(dut, slow, dut.quiet)
        await slow


class Early(WriteCrossing):
    """Acknowledges a write as soon as it is on its way."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.outer.written.eq(self.outer.valid & self.outer.ready)
        return m


@pytest.mark.nightly
def test_early_acknowledgements_are_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr("verif.unit.crossing.harness.WriteCrossing", Early)
    model = runner.build(TwoClocks(Memories(TINY)), "memories-early", "verilator")
    with pytest.raises(runner.BenchFailed, match="acknowledged that no memory has taken"):
        runner.run(model, __name__, tmp_path, 1, tests="accesses.*")
