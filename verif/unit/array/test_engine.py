"""The tensor engine, instruction by instruction, against verif/golden/tensor.py."""

from math import prod

import cocotb
import pytest

from gemmary.isa import Cause, Instruction, Opcode, Space, walk_fields
from gemmary.registers import State
from hdl.array.engine import TensorEngine
from hdl.interfaces import ACCUMULATE_DISTANCE, APART_READ_LATENCY, SUM_LEAD
from verif import bench, runner
from verif.agents.engine import EngineDriver
from verif.agents.instructions import Arena, Sampler
from verif.agents.memory import ApartPort, MemoryServer, Port
from verif.agents.pace import always
from verif.configs import TINY, TINY_NARROW_BUS, TINY_PAIR, TINY_WIDE, TINY_WINDOW
from verif.golden import tensor as golden
from verif.golden.memories import Memories
from verif.golden.vector import AddressError

CONFIGS = {config.name: config for config in (TINY, TINY_WIDE, TINY_NARROW_BUS, TINY_WINDOW, TINY_PAIR)}

APART = "apart-"
"""Before the name of a config: the engine has a clock of its own."""

LOST = 5
"""Cycles that an instruction may cost such an engine beside its rows: 4 until its first one is there, and a row that waits is looked at in every second cycle."""


NO_WINDOWS = r"^(?!.*windows_)"


def engine(case: str) -> TensorEngine:
    config = CONFIGS[case.removeprefix(APART)]
    finest = min(config.lanes, config.bus_bytes)  # of what is written into an activation word
    return TensorEngine(config, parts=config.rows // finest if case.startswith(APART) else None)


@pytest.mark.parametrize("case", CONFIGS)
def test_tensor_engine(simulate, case):
    """All that an engine does, or what it does with windows if it has them."""
    simulate(engine(case), case, tests=r"windows_" if CONFIGS[case].window_line else NO_WINDOWS)


@pytest.mark.nightly
def test_tensor_engine_with_windows(simulate):
    """All the rest, in an engine that has them."""
    simulate(engine(TINY_WINDOW.name), TINY_WINDOW.name, tests=NO_WINDOWS)


def test_tensor_engine_apart(monkeypatch, tmp_path):
    """Under one simulator."""
    case = APART + TINY.name
    monkeypatch.setenv("GEMMARY_CASE", case)
    runner.run(runner.build(engine(case), case, "icarus"), __name__, tmp_path, 1, tests="back_to_back|address_error")


@pytest.mark.nightly
@pytest.mark.parametrize("name", CONFIGS)
def test_tensor_engine_apart_at_length(simulate, name):
    # Its feeder takes longer for a tile than `rows` cycles, so windows have bubbles.
    simulate(engine(APART + name), APART + name, tests=NO_WINDOWS)


class Accumulations:
    """Watches the accumulate port: ``seen`` lists (row, sums, overwrite), ``cycles`` when they came. ``apart``: sums are skewed.

    Fails the test when a row comes again sooner than ACCUMULATE_DISTANCE cycles later.
    """

    def __init__(self, dut, component, edge):
        self.dut, self.edge = dut, edge
        self.layout = component.accumulate.data.shape()
        self.lanes = [SUM_LEAD + c if component.apart else 0 for c in range(component.config.columns)]
        self.seen: list[tuple[int, list[int], bool]] = []
        self.cycles: list[int] = []
        self.cycle = 0
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        valid, row, overwrite, data = (
            getattr(self.dut, f"accumulate__{part}") for part in ("valid", "row", "overwrite", "data")
        )
        last: dict[int, int] = {}
        arriving: dict[int, tuple] = {}
        while True:
            await self.edge
            self.cycle += 1
            if valid.value == 1:
                at = int(row.value)
                assert self.cycle - last.get(at, -100) >= ACCUMULATE_DISTANCE, f"row {at} again too soon"
                last[at] = self.cycle
                arriving[self.cycle] = at, [], bool(overwrite.value)
                self.cycles.append(self.cycle)
            if arriving:
                sums = None
                for began, (at, taken, overwrites) in list(arriving.items()):
                    while len(taken) < len(self.lanes) and self.lanes[len(taken)] == self.cycle - began:
                        sums = sums or bench.unpack(self.layout, data.value)
                        taken.append(sums[len(taken)])
                    if len(taken) == len(self.lanes):
                        self.seen.append((at, taken, overwrites))
                        del arriving[began]


class Setup:
    """An engine after its reset, with memories of random content behind it."""

    def __init__(self, dut, steady=False):
        self.dut, self.config, self.rng, self.steady = (
            dut,
            CONFIGS[bench.case().removeprefix(APART)],
            bench.rng(),
            steady,
        )
        self.component = engine(bench.case())
        self.memories = Memories(self.config, self.rng)
        for space in (Space.ACTIVATION, Space.WEIGHT):
            content, size = self.memories.bytes[space], len(self.memories.bytes[space])
            for value in (0x80, 0x7F):
                first = int(self.rng.integers(size))
                content[first : min(size, first + size // 6)] = bytes([value]) * (min(size, first + size // 6) - first)
        arena = Arena({space: (0, len(content)) for space, content in self.memories.bytes.items()})
        self.sampler = Sampler(self.config, arena, 4096, self.rng)
        self.expected: list[tuple[int, list[int], bool]] = []

    async def start(self):
        self.edge = await bench.start(self.dut, self.component)
        pace, content = (always() if self.steady else None), self.memories.bytes
        names = {"activation": content[Space.ACTIVATION], "weight": content[Space.WEIGHT]}
        if self.component.apart:
            parts = {"activation": self.component.parts, "weight": self.config.columns}
            self.ports = [
                ApartPort(self.dut, name, memory, self.edge, parts[name], APART_READ_LATENCY)
                for name, memory in names.items()
            ]
            self.tasks = [port.task for port in self.ports]
        else:
            self.ports = [Port(self.dut, name, memory, self.rng, pace=pace) for name, memory in names.items()]
            self.tasks = [MemoryServer(self.edge, self.rng, *self.ports).task]
        self.engine = EngineDriver(self.dut, Opcode.MATMUL, self.edge, self.rng, pace)
        self.accumulations = Accumulations(self.dut, self.component, self.edge)
        return self

    def instruction(self, **fields) -> Instruction:
        """A random one that is legal after those sent, ``fields`` replaced."""
        self.sampler.lines = self.memories.window.lines()
        drawn = self.sampler.sample(Opcode.MATMUL) | fields
        return Instruction(Opcode.MATMUL, signal=int(self.rng.integers(1 << 16)), **drawn)

    def send(self, instruction) -> int:
        """The number of its iterations."""
        self.engine.send(instruction)
        self.expected += golden.accumulations(instruction, self.memories)
        return prod(instruction.counts.values())

    def compare(self):
        for number, (got, want) in enumerate(zip(self.accumulations.seen, self.expected)):
            assert got == want, number
        assert len(self.accumulations.seen) == len(self.expected)


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def one_at_a_time(dut):
    """An instruction is done when its last row can be read, and no sooner."""
    setup = await Setup(dut).start()
    for _ in range(8):
        instruction = setup.instruction()
        setup.send(instruction)
        await setup.engine.finish(30000)
        setup.compare()
        if setup.expected:
            after = setup.engine.cycle - setup.accumulations.cycles[-1]
            # Apart, the operands of the last column are in registers, then its sum, which is then written.
            least = SUM_LEAD + setup.config.columns + 3 if setup.component.apart else ACCUMULATE_DISTANCE
            assert after >= least
            # Iterations that write nothing may come behind the last row.
            assert after <= least + 1 or list(golden.accumulator_rows(instruction))[-1] is None


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def back_to_back(dut):
    """Many at once, with memories that refuse now and then."""
    setup, iterations = await Setup(dut).start(), 0
    while iterations < (2000 if setup.config.window_line else 800):
        iterations += setup.send(setup.instruction())
    await setup.engine.finish(100 * iterations)
    setup.compare()
    sent = [instruction for instruction, _ in setup.engine.sent]
    if setup.config.window_line:
        kinds = {(word.window, word.window and word.window_lead < 2) for word in sent}
        assert len(kinds) == 3, "no window that goes on, or one of another kind missing"
    states = setup.engine.states
    assert all(states[state] for state in (State.BUSY, State.STALL_WEIGHTS)), states
    assert states[State.STALL_MEMORY] or setup.component.apart, states


def simple(setup, counts, accumulator: dict[str, int], **fields) -> Instruction:
    """One whose operands are all in bounds."""
    counts = dict.fromkeys(("n", "k", "ky", "kx", "y", "x"), 1) | counts
    bounds = {"y_start": 0, "y_stride": 0, "y_dilation": 0, "y_limit": 1}
    bounds |= {name.replace("y", "x", 1): value for name, value in bounds.items()}
    walks = walk_fields(Opcode.MATMUL, "activation", 0, counts, y=3, x=1)
    walks |= walk_fields(Opcode.MATMUL, "weight", 0, counts, k=setup.config.rows, kx=1)
    walks |= walk_fields(Opcode.MATMUL, "accumulator", 0, counts, **accumulator)
    fields = {"window": 0} | fields
    counts = {f"count_{loop}": count for loop, count in counts.items()}
    return setup.instruction(**(counts | bounds | walks | fields))


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def no_bubbles(dut):
    """Tiles of ``rows`` rows follow each other without a gap, also across instructions; apart, those of twice as many, but for LOST cycles."""
    setup = await Setup(dut, steady=True).start()
    apart = setup.component.apart
    size = setup.config.rows * (2 if apart else 1)
    for _ in range(4):
        setup.send(simple(setup, {"k": 3, "kx": 2, "x": size}, {"x": 1}))
    await setup.engine.finish(24 * size + 200)
    setup.compare()
    cycles = setup.accumulations.cycles
    hazard = max(1, -(-ACCUMULATE_DISTANCE // size))
    assert hazard == 1
    assert len(cycles) == 24 * size
    assert cycles[-1] - cycles[0] <= 24 * size - 1 + (3 * LOST if apart else 0), cycles


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def windows_have_no_bubbles(dut):
    """One word a cycle, with a window or without: rows come as far apart as their iterations are."""
    setup = await Setup(dut, steady=True).start()
    size, number, written = setup.config.rows, 0, []
    for window, lead, skip in ((0, 0, 0), (1, 2, 0), (1, 0, 1), (0, 3, 1), (1, 2, 1), (1, 3, 0), (0, 0, 0), (0, 0, 0)):
        fields = {"window": window, "window_lead": lead, "window_skip_y": skip, "window_skip_x": skip}
        steps = {f"accumulator_step_{loop}": 1 for loop in ("n", "k", "ky", "kx", "y", "x")}
        counts = {"n": 2, "y": 3, "x": size} if window else {"k": 2, "x": size}
        word = simple(setup, counts, {}, **fields, **steps)
        written += [number + i for i, row in enumerate(golden.accumulator_rows(word)) if row is not None]
        number += setup.send(word)
    await setup.engine.finish(2 * number + 200)
    setup.compare()
    cycles = setup.accumulations.cycles
    assert [cycle - cycles[0] for cycle in cycles] == [i - written[0] for i in written]


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def line_error(dut):
    """A line that is too short, or too long, or any where there is no window: nothing of the instruction is written."""
    line = CONFIGS[bench.case().removeprefix(APART)].window_line
    for x in (1, 2, line + 1, 3 if line == 0 else 4 * line):
        setup = await Setup(dut).start()
        setup.send(simple(setup, {"y": 5}, {"y": 1}))
        for port in setup.ports:
            port.halted = True
        bad = simple(setup, {"x": x}, {}, window=1, window_lead=int(setup.rng.integers(4)))
        setup.engine.send(bad)
        setup.engine.send(setup.instruction())
        assert await setup.engine.fail(40000) == (Cause.ADDRESS, 96)
        for _ in range(setup.component.latency + setup.component.visible + 20):
            await setup.edge
        setup.compare()
        stop(setup)


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def hazards(dut):
    """Every row is for the same accumulator row, or for one of two or three in turn."""
    setup = await Setup(dut, steady=True).start()
    for rows in (1, 2, 3):
        setup.send(simple(setup, {"k": 2, "y": 8, "x": rows}, {"x": 1}))
    await setup.engine.finish(2000)
    setup.compare()
    assert setup.engine.states[State.STALL_HAZARD]


BAD = {"activation": {"y_limit": 65535, "x_limit": 65535, "y_start": 0, "x_start": 0}, "weight": {}, "accumulator": {}}


@cocotb.test(timeout_time=3, timeout_unit="ms")
@cocotb.parametrize(walk=list(BAD))
async def address_error(dut, walk):
    """An address outside its memory, somewhere in the nest: rows before it are complete, none follows."""
    for _ in range(3):
        setup = await Setup(dut).start()
        depths = {"activation": len(setup.memories.activation_words), "accumulator": len(setup.memories.accumulator)}
        depth = depths.get(walk, len(setup.memories.weights) - setup.config.rows + 1)
        setup.send(setup.instruction())
        before = list(setup.expected)
        while True:
            # From inside the memory to beyond its end.
            start = max(0, depth - 1 - int(setup.rng.integers(12)))
            bad = setup.instruction(**BAD[walk], **{f"{walk}_address": start})
            setup.expected = list(before)
            try:
                for row in golden.accumulations(bad, setup.memories):
                    setup.expected.append(row)
            except AddressError:
                break
        for port in setup.ports:
            port.halted = True
        setup.engine.send(bad)
        setup.engine.send(setup.instruction())
        assert await setup.engine.fail(40000) == (Cause.ADDRESS, 96)
        for _ in range(setup.component.latency + setup.component.visible + 20):
            await setup.edge
        setup.compare()
        stop(setup)


def stop(setup):
    for task in (*setup.tasks, setup.engine.task, setup.engine.source.task, setup.accumulations.task):
        task.cancel()


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def halts(dut):
    """While halt is high nothing is issued or requested; what was issued is completed; a reset brings the engine back."""
    for _ in range(3):
        setup = await Setup(dut).start()
        for _ in range(3):
            setup.send(setup.instruction())
        for _ in range(int(setup.rng.integers(5, 150))):
            await setup.edge
        dut.engine__halt.value = 1
        for port in setup.ports:
            port.halted = True
        if setup.component.apart:
            for _ in range(2):  # what stops it is in a register, and so is what is issued
                await setup.edge
            for _ in range(1 + setup.config.rows):  # a tile that has begun is read to its end
                await setup.edge
                assert dut.activation__valid.value == 0
        for _ in range(setup.component.latency + setup.component.visible + 20):
            await setup.edge
            assert dut.engine__quiet.value == 1
            assert dut.activation__valid.value == dut.weight__valid.value == 0
        seen = setup.accumulations.seen
        assert seen == setup.expected[: len(seen)]
        count = len(seen)
        for _ in range(50):
            await setup.edge
        assert len(seen) == count
        stop(setup)
    setup = await Setup(dut).start()
    setup.send(setup.instruction())
    await setup.engine.finish(40000)
    setup.compare()
