"""Single writes from one clock to another, in every relation of the clocks, with resets among them."""

import cocotb
import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.crossing.flush import Flush
from hdl.crossing.write import SingleWrite
from verif import bench
from verif.agents.clocks import RELATIONS, TwoClocks, start
from verif.agents.pace import paces
from verif.agents.streams import garbage
from verif.unit.crossing.harness import soft_reset

BITS = 12


class Write(wiring.Component):
    """One, and the flush that empties it; ``quiet``: none is on its way."""

    def __init__(self):
        self.write = SingleWrite(BITS)
        members = {name: member for name, member in self.write.signature.members.items() if name != "crossing"}
        super().__init__(members | {"resetting": In(1), "flush": Out(1), "quiet": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.flush_crossing = flush = Flush()
        m.submodules.write = write = self.write
        for name in ("i", "o"):
            connect(m, flipped(getattr(self, name)), getattr(write, name))
        m.d.comb += [
            self.begun.eq(write.begun),
            self.written.eq(write.written),
            write.take.eq(self.take),
            write.taken.eq(self.taken),
            flush.resetting.eq(self.resetting),
            self.flush.eq(flush.flush),
            write.crossing.flush.eq(flush.flush),
            write.crossing.closed.eq(self.resetting | flush.flushed),
            self.quiet.eq(flush.flushed & write.crossing.empty),
        ]
        return m


@pytest.mark.nightly  # the accumulator uses one in every run
def test_single_write(simulate):
    simulate(TwoClocks(Write()))


class Memory:
    """Takes what ``o`` offers at random moments, and has it some cycles later: ``stored``."""

    def __init__(self, dut, edge, rng):
        self.dut, self.edge, self.rng, self.stored = dut, edge, rng, []
        self.pace = paces(rng, stretch=10)
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        dut, passing, left = self.dut, None, 0
        while True:
            takes, ends = next(self.pace), passing is not None and left == 0
            dut.take.value, dut.taken.value = takes, ends
            await self.edge
            offered = dut.o__valid.value == 1
            if dut.flush.value == 1:
                assert not offered, "offered while it is dropped"
                passing = None
                continue
            if passing is not None:
                assert not offered, "a second one while one is on its way"
                assert int(dut.o__payload.value) == passing, "the payload changed"
                left -= 1
                if ends:
                    self.stored.append(passing)
                    passing = None
            elif offered and takes:
                passing, left = int(dut.o__payload.value), int(self.rng.integers(6))


class Writer:
    """Offers ``count`` different writes; each is ``done`` when ``written`` comes, and by then it is stored."""

    def __init__(self, dut, edge, rng, memory: Memory, count: int):
        self.dut, self.edge, self.rng, self.memory, self.count = dut, edge, rng, memory, count
        self.done = 0
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        dut, pace = self.dut, paces(self.rng, stretch=10)
        while self.done < self.count:
            if not next(pace):
                dut.i__payload.value = garbage(BITS)
                await self._idle()
                continue
            number = int(self.rng.integers(1 << BITS))
            dut.i__valid.value, dut.i__payload.value = 1, number
            before, begun = len(self.memory.stored), 0
            while True:
                await self.edge
                begun += dut.begun.value == 1
                if dut.written.value == 1:
                    break
                if begun:  # it has been taken over
                    dut.i__payload.value = garbage(BITS)
            assert begun == 1 and self.memory.stored[before:] == [number], (self.memory.stored[before:], number)
            self.done += 1
            dut.i__valid.value = 0

    async def _idle(self):
        await self.edge
        assert dut_is_quiet(self.dut), "written, or begun, without a write"


def dut_is_quiet(dut) -> bool:
    return dut.begun.value == 0 and dut.written.value == 0


@cocotb.test(timeout_time=3, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def one_at_a_time(dut, relation):
    """None lost, repeated or changed; each is stored before it is said to be."""
    rng = bench.rng()
    slow, fast = await start(dut, Write(), relation)
    writer = Writer(dut, slow, rng, Memory(dut, fast, rng), 60)
    for _ in range(20_000):
        await slow
        if writer.done == writer.count:
            return
    raise AssertionError(f"{writer.done} of {writer.count} writes done")


@cocotb.test(timeout_time=3, timeout_unit="ms")
@cocotb.parametrize(relation=[name for name in RELATIONS if name != "slower"])
async def a_soft_reset_drops_it(dut, relation):
    """At any moment; none is begun in it, and those after it are as ever."""
    rng = bench.rng()
    slow, fast = await start(dut, Write(), relation)
    memory = Memory(dut, fast, rng)
    for _ in range(20):
        writer = Writer(dut, slow, rng, memory, 1000)
        for _ in range(int(rng.integers(1, 60))):
            await slow
        writer.task.cancel()
        reset = cocotb.start_soon(soft_reset(dut, slow, dut.quiet))
        await slow  # from here on it is closed
        while not reset.done():
            dut.i__valid.value = int(rng.integers(2))
            await slow
            assert dut.begun.value == 0 or dut.resetting.value != 1, "begun while closed"
        dut.i__valid.value = 0
    writer = Writer(dut, slow, rng, memory, 10)
    for _ in range(3000):
        await slow
    assert writer.done == 10
