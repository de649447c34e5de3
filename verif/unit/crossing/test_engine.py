"""The crossing of an engine: instructions in, ends, the error and the state out, in every relation of the clocks."""

from collections import deque

import cocotb
import pytest

from gemmary.isa import Cause, Instruction, Opcode
from gemmary.registers import State
from hdl.crossing import engine as crossing
from hdl.interfaces import Done, Error, instruction_layout
from verif import bench, runner
from verif.agents.clocks import QUICK, RELATIONS, TwoClocks, start
from verif.agents.engine import EngineDriver
from verif.agents.pace import always, paces
from verif.agents.streams import garbage
from verif.unit.crossing.harness import Engine, soft_reset

OPCODE = Opcode.STORE
LAYOUT = instruction_layout(OPCODE)
OFFSET_BITS = 24
IDLE_PACE = (1.0, 1.0, 0.3, 0.05)
SETTLED = 100
"""Cycles of ``sync`` after which everything has arrived, even where ``fast`` is the slower clock."""


def test_engine(tmp_path):
    """In two relations and under one simulator."""
    model = runner.build(TwoClocks(Engine(OPCODE)), "crossing-engine", "icarus")
    runner.run(model, __name__, tmp_path, 1, tests=QUICK)


@pytest.mark.nightly
def test_engine_in_every_relation(simulate):
    simulate(TwoClocks(Engine(OPCODE)))


class Inner:
    """An engine in ``fast``: takes instructions, ends them at random moments, often several in a row, and does things.

    Instruction number ``fails`` fails, in the very cycle in which the one before it ends. ``offset`` carries the state in its lowest bits, and
    a number that goes up. ``spent`` counts what it did while ``counting``.
    """

    def __init__(self, dut, edge, rng, fails: int | None = None, pace=None, states=tuple(State)):
        self.dut, self.edge, self.rng, self.fails, self.states = dut, edge, rng, fails, states
        self.taking, self.pace = pace or paces(rng, IDLE_PACE), pace or paces(rng, IDLE_PACE)
        self.taken: list[dict] = []
        self.ended = 0
        self.failed = False
        self.spent = dict.fromkeys(State, 0)
        self.offsets: deque[int] = deque()
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        dut, state, number = self.dut, State.IDLE, 0
        while True:
            end = len(self.taken) > self.ended and not self.failed and next(self.pace)
            self._report(dut.inner__done, Done, end, "signal")
            last = end and self.ended + 1 == self.fails
            self._report(dut.inner__error, Error, last, "cause")
            self.ended += end
            self.failed |= bool(last)
            if self.rng.random() < 0.3:
                state = State(self.rng.choice(self.states))
            number += 1
            takes = next(self.taking)
            dut.inner__i__ready.value = takes
            dut.inner__state.value, dut.inner__offset.value = int(state), (number << 3 | state) % (1 << OFFSET_BITS)
            await self.edge
            self.spent[state] += int(dut.counting.value)
            if dut.flush.value == 1:
                self.taken.clear()
                self.ended = 0
            elif takes and dut.inner__i__valid.value == 1:
                self.taken.append(bench.unpack(LAYOUT, dut.inner__i__payload.value))

    def _report(self, handle, layout, valid, field):
        """The instruction at hand, or the one after it if that fails; garbage if not valid."""
        if not valid:
            handle.value = garbage(bench.width(layout)) & ~1
            return
        fields = self.taken[self.ended] if field == "signal" else {"offset": 96 * self.fails, "cause": Cause.ADDRESS}
        known = {"signal": fields["signal"]} if field == "signal" else {"cause": fields["cause"]}
        handle.value = bench.pack(layout, known | {"valid": 1, "offset": fields["offset"]})


def instructions(rng, count: int) -> list[Instruction]:
    return [Instruction(OPCODE, signal=int(rng.integers(1 << 16)), onchip_address=n) for n in range(count)]


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def ends_come_back(dut, relation):
    """Every end, in order, with its signals, also when many come in one cycle of ``sync``."""
    rng = bench.rng()
    slow, fast = await start(dut, Engine(OPCODE), relation)
    inner = Inner(dut, fast, rng)
    driver = EngineDriver(dut, OPCODE, slow, rng, name="outer")
    for instruction in instructions(rng, 60):
        driver.send(instruction)
    await driver.finish(20_000)
    assert inner.taken == [sent for sent in inner.taken if sent["offset"] < 96 * 60]
    assert [item["onchip_address"] for item in inner.taken] == list(range(60))


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def ends_at_once_come_back(dut, relation):
    """The engine takes all it is given, and then ends everything in consecutive cycles, or nearly so."""
    rng = bench.rng()
    slow, fast = await start(dut, Engine(OPCODE), relation)
    gate, often = [False], float(rng.choice((0.5, 0.9, 1)))
    inner = Inner(dut, fast, rng, pace=always())

    def pace():
        while True:
            yield gate[0] and rng.random() < often

    inner.pace = pace()
    driver = EngineDriver(dut, OPCODE, slow, rng, pace=always(), name="outer")
    for instruction in instructions(rng, 3 * crossing.REPORTS):
        driver.send(instruction)
    while len(driver.done) < len(driver.sent):
        for _ in range(crossing.REPORTS * crossing.PIECES + SETTLED):
            await slow
        gate[0] = not gate[0]
    assert inner.ended == len(driver.sent)


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def the_error_comes_last(dut, relation):
    """Behind the ends before it, even that of its own cycle."""
    rng = bench.rng()
    slow, fast = await start(dut, Engine(OPCODE), relation)
    fails = int(rng.integers(1, 12))
    Inner(dut, fast, rng, fails)
    driver = EngineDriver(dut, OPCODE, slow, rng, name="outer")
    for instruction in instructions(rng, 12 + 1):
        driver.send(instruction)
    assert await driver.fail(5000) == (Cause.ADDRESS, 96 * fails)
    assert len(driver.done) == fails


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def state_is_of_one_cycle(dut, relation):
    """State and offset belong together and never go back; the cycles told are those spent, none lost or told twice."""
    rng = bench.rng()
    slow, fast = await start(dut, Engine(OPCODE), relation)
    inner = Inner(dut, fast, rng)
    counted, last = dict.fromkeys(State, 0), 0
    for cycle in range(300 + SETTLED):
        if cycle in (20, 300):
            dut.counting.value = cycle == 20
        await slow
        offset = int(dut.outer__offset.value)
        assert not offset or offset & 7 == int(dut.outer__state.value), "state and offset are of different cycles"
        assert offset >= last
        last = offset
        told = int(dut.outer__counted.value)
        counted[State(told & 7)] += told >> 3
    assert counted == inner.spent and sum(counted.values()) > 100


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def waiting_counts_as_such(dut):
    """While the next instruction waits for semaphores, an engine that rests counts as waiting."""
    rng = bench.rng()
    slow, fast = await start(dut, Engine(OPCODE), "7-to-3")
    inner = Inner(dut, fast, rng, states=(State.IDLE, State.DRAIN, State.BUSY))
    dut.outer__waiting.value = 1
    for _ in range(SETTLED):
        await slow
    dut.counting.value = 1
    counted = dict.fromkeys(State, 0)
    for cycle in range(200 + SETTLED):
        if cycle == 200:
            dut.counting.value = 0
        await slow
        told = int(dut.outer__counted.value)
        counted[State(told & 7)] += told >> 3
    assert counted[State.WAIT_SEMAPHORE] == inner.spent[State.IDLE] + inner.spent[State.DRAIN] > 0
    assert counted[State.BUSY] == inner.spent[State.BUSY] > 0


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(relation=[name for name in RELATIONS if name != "slower"])
async def a_soft_reset_leaves_nothing(dut, relation):
    """Amidst traffic: what is on its way is dropped on both sides, and the next instructions find it as new; also twice in a row."""
    rng = bench.rng()
    slow, fast = await start(dut, Engine(OPCODE), relation)
    inner = Inner(dut, fast, rng)
    for round_ in range(8):
        driver = EngineDriver(dut, OPCODE, slow, rng, name="outer")
        for instruction in instructions(rng, 10):
            driver.send(instruction)
        if round_ % 2:
            await driver.finish(5000)
        else:
            for _ in range(int(rng.integers(1, 80))):
                await slow
        driver.source.task.cancel()
        dut.outer__i__valid.value = 0
        dut.outer__halt.value = 1
        for _ in range(1 + round_ // 4):
            await soft_reset(dut, slow, dut.outer__quiet)
            await slow
        dut.outer__halt.value = 0
        driver.task.cancel()
    assert not inner.failed


class Unlimited(crossing.EngineCrossing):
    """Lets more instructions through than the queue has room for reports."""

    def _instructions(self, m):
        limit = crossing.REPORTS
        crossing.REPORTS = 4 * limit
        try:
            super()._instructions(m)
        finally:
            crossing.REPORTS = limit


class Wires(crossing.EngineCrossing):
    """Brings state and offset by synchronisers of many bits, one of them a cycle later."""

    def _status(self, m):
        super()._status(m)
        late = crossing.Signal.like(self.outer.state, name="late")
        m.d.sync += [late.eq(self.inner.state), self.outer.state.eq(late), self.outer.offset.eq(self.inner.offset)]


class Sampled(crossing.EngineCrossing):
    """Looks at ``done`` once a cycle of ``sync``."""

    def _reports(self, m):
        super()._reports(m)
        m.d.sync += self.sampled.eq(self.inner.done)
        m.d.comb += self.outer.done.eq(self.sampled)

    def elaborate(self, platform):
        self.sampled = crossing.Signal.like(self.inner.done, name="sampled")
        return super().elaborate(platform)


BAD = {Unlimited: "ends_at_once.*", Wires: "state_is.*", Sampled: "ends_come_back.*"}


@pytest.mark.nightly
@pytest.mark.parametrize("bad", BAD)
def test_bad_crossings_are_noticed(monkeypatch, tmp_path, bad):
    monkeypatch.setattr("verif.unit.crossing.harness.EngineCrossing", bad)
    model = runner.build(TwoClocks(Engine(OPCODE)), f"engine-{bad.__name__.lower()}", "verilator")
    with pytest.raises(runner.BenchFailed):
        runner.run(model, __name__, tmp_path, 1, tests=BAD[bad])
