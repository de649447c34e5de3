"""The vector engine, instruction by instruction, against verif/golden/vector.py."""

import cocotb
import pytest

from gemmary.isa import Cause, DType, Instruction, Opcode, Space
from gemmary.registers import State
from hdl.vector.engine import VectorEngine
from verif import bench
from verif.agents.engine import EngineDriver
from verif.agents.instructions import Arena, Sampler
from verif.agents.memory import MemoryServer, Port
from verif.agents.pace import always
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE
from verif.golden import vector as golden
from verif.golden.memories import Memories

CONFIGS = {config.name: config for config in (TINY, TINY_WIDE, TINY_NARROW_BUS)}
LONGEST = 300
"""Cycles of an instruction, at most."""
SPACES = (Space.ACTIVATION, Space.ACCUMULATOR, Space.PARAMETER)


@pytest.mark.parametrize("case", CONFIGS)
def test_vector_engine(simulate, case):
    simulate(VectorEngine(CONFIGS[case]), case)


class Setup:
    """An engine after its reset, with memories of random content behind it."""

    def __init__(self, dut, steady=False):
        self.dut, self.config, self.rng, self.steady = dut, CONFIGS[bench.case()], bench.rng(), steady
        self.component = VectorEngine(self.config)
        self.memories = Memories(self.config, self.rng)
        self._tame()
        self.expected = self.memories.copy()
        arena = Arena({space: (0, len(content)) for space, content in self.memories.bytes.items()})
        self.sampler = Sampler(self.config, arena, 4096, self.rng)

    def _tame(self):
        """Numbers as a network has them beside the wild ones, so that not every result is clipped."""
        words = self.memories.view(Space.PARAMETER, "<u4", 2)
        tame = self.rng.random(len(words)) < 0.7
        words[tame, 0] = self.rng.integers(-3000, 3000, tame.sum()).astype("<i4").view("<u4")
        shift = self.rng.integers(26, 40, tame.sum())
        words[tame, 1] = self.rng.integers(1 << 23, 1 << 24, tame.sum()) | (shift | self.rng.integers(4) << 6) << 24
        values = self.memories.accumulator
        tame = self.rng.random(values.shape) < 0.7
        values[tame] = self.rng.integers(-(1 << 17), 1 << 17, tame.sum())

    async def start(self):
        self.edge = await bench.start(self.dut, self.component)
        pace = always() if self.steady else None
        await self._tables()
        content = self.memories.bytes
        places = {
            "accumulator": (Space.ACCUMULATOR, False),
            "source": (Space.ACTIVATION, False),
            "residual": (Space.ACTIVATION, False),
            "parameter": (Space.PARAMETER, False),
            "result": (Space.ACTIVATION, True),
            "accumulator_result": (Space.ACCUMULATOR, True),
        }
        self.ports = [
            Port(self.dut, name, content[space], self.rng, write, pace) for name, (space, write) in places.items()
        ]
        self.server = MemoryServer(self.edge, self.rng, *self.ports)
        self.engine = EngineDriver(self.dut, Opcode.VECTOR, self.edge, self.rng, pace)
        return self

    async def _tables(self):
        """Fills both tables through their port."""
        granule = self.config.bus_bytes
        content = self.memories.bytes[Space.TABLE]
        self.dut.table__mask.value = 1
        for address in range(len(content) // granule):
            word = content[address * granule : (address + 1) * granule]
            self.dut.table__address.value, self.dut.table__data.value = address, int.from_bytes(word, "little")
            self.dut.table__valid.value = 1
            await self.edge
            while not self.dut.table__ready.value:
                await self.edge
        self.dut.table__valid.value = 0

    def instruction(self, **fields) -> Instruction:
        """A random one that is legal and not long, ``fields`` replaced."""
        while True:
            drawn = self.sampler.sample(Opcode.VECTOR) | fields
            instruction = Instruction(Opcode.VECTOR, signal=int(self.rng.integers(1 << 16)), **drawn)
            if cycles_of(self.config, instruction) <= LONGEST:
                return instruction

    def send(self, instruction):
        self.engine.send(instruction)
        golden.execute(instruction, self.expected)

    def compare(self):
        bad = self.memories.difference(self.expected, SPACES)
        assert not bad, f"{bad} after {self.engine.sent[-1:]}"


def cycles_of(config, instruction) -> int:
    """Cycles that an instruction takes at least: its lane groups."""
    total = config.lane_groups
    for count in instruction.counts.values():
        total *= count
    return total


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def one_at_a_time(dut):
    """When an instruction is done, all that it writes is there."""
    setup = await Setup(dut).start()
    for _ in range(12):
        instruction = setup.instruction()
        setup.send(instruction)
        await setup.engine.finish(500 + 60 * cycles_of(setup.config, instruction))
        setup.compare()


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def back_to_back(dut):
    """Many at once: each sees what those before it wrote, though they overlap."""
    setup = await Setup(dut).start()
    cycles = 0
    while cycles < 1500:
        instruction = setup.instruction()
        setup.send(instruction)
        cycles += cycles_of(setup.config, instruction)
    await setup.engine.finish(100 * cycles)
    setup.compare()
    assert setup.engine.states[State.STALL_MEMORY]


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def short_ones_depend_on_each_other(dut):
    """Instructions of a few rows, each working on what the one before has just written."""
    setup = await Setup(dut, steady=True).start()
    config, rng = setup.config, setup.rng
    for _ in range(60):
        dtypes = rng.choice([int(DType.INT8), int(DType.INT32)], 2)
        counts = {f"count_{loop}": 1 for loop in ("n", "y", "ky", "kx")} | {"count_x": int(rng.integers(1, 4))}
        walks = {f"{walk}_address": int(rng.integers(3)) for walk in ("source", "residual", "result")}
        if dtypes[0] == dtypes[1]:
            walks["result_address"] = walks["source_address"]
        setup.send(
            setup.instruction(
                **counts,
                **(walks | {"residual_address": walks["result_address"]}),
                **{f"{walk}_step_{loop}": 1 for walk in ("source", "residual", "result") for loop in ("n", "y", "x")},
                **dict(zip(("source_dtype", "result_dtype"), map(int, dtypes))),
                y_limit=1, y_start=0, x_limit=9, x_start=0, x_stride=0, parameter_address=0,
            )
        )  # fmt: skip
    await setup.engine.finish(60 * 40 * config.lane_groups)
    setup.compare()


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def full_speed(dut):
    """With memories that never refuse, a row takes lane_groups cycles, and two long instructions lose 1 between them. An int8
    row is written in granules of the bus, or what the lanes make in a cycle if that is more: others find the port free."""
    setup = await Setup(dut, steady=True).start()
    config = setup.config
    counts = {f"count_{loop}": 1 for loop in ("n", "y", "x", "ky", "kx")} | {"count_x": 8, "count_kx": 3}
    walks = {"source_address": 0, "source_step_x": 0, "source_step_kx": 0, "result_address": 20, "result_step_x": 1}
    walks |= {"residual_address": 2, "residual_step_x": 0, "parameter_address": 0, "y_limit": 1, "x_limit": 1}
    for dtype in (DType.INT8, DType.INT32, DType.INT8):
        setup.send(
            setup.instruction(**counts, **walks, y_start=0, x_start=0, x_stride=0, x_dilation=0, source_dtype=int(DType.INT32),
                              result_dtype=int(dtype))
        )  # fmt: skip
    await setup.engine.finish(1000)
    setup.compare()
    busy = sum(count for state, count in setup.engine.states.items() if state not in (State.IDLE, State.DRAIN))
    lane_groups = 3 * 24 * config.lane_groups
    assert lane_groups <= busy <= lane_groups + 3 * 10, (busy, lane_groups)
    (result,) = (port for port in setup.ports if port.name == "result")
    granules = max(1, config.columns // max(config.lanes, config.bus_bytes))
    assert len(result.taken) == 2 * counts["count_x"] * granules


BAD = {
    "source": {"source_address": 0xFFF0, "y_limit": 65535, "y_start": 0, "x_limit": 65535, "x_start": 0},
    "residual": {"residual_address": 0xFFF0, "residual": 1, "result_dtype": int(DType.INT8)},
    "parameter": {"parameter_address": 0xFFF0, "per_channel": 1},
    "result": {"result_address": 0xFFF0},
}


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(operand=list(BAD))
async def address_error(dut, operand):
    """An address outside its memory: the cause and the instruction are told, and nothing follows it."""
    setup = await Setup(dut).start()
    depth = {"source": None, "parameter": setup.config.parameter_rows}.get(operand)
    good, bad, never = setup.instruction(), setup.instruction(**BAD[operand]), setup.instruction()
    setup.send(good)
    if depth and setup.rng.random() < 0.5:
        bad = setup.instruction(**BAD[operand] | {"parameter_address": depth})
    for instruction in (bad, never):
        setup.engine.send(instruction)
    error = await setup.engine.fail(100 * cycles_of(setup.config, good) + 60 * cycles_of(setup.config, bad) + 1000)
    assert error == (Cause.ADDRESS, 96)
    for _ in range(50):
        await setup.edge
    for port in setup.ports:
        port.taken.clear()
    for _ in range(100):
        await setup.edge
    assert not {port.name: port.taken for port in setup.ports if port.taken and not port.write}
    assert len(setup.engine.done) <= 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def unused_operands_are_not_checked(dut):
    """Bad addresses of operands that the instruction does not use, or that are out of bounds."""
    setup = await Setup(dut).start()
    far = {f"{walk}_address": 0xFFF0 for walk in ("source", "residual", "parameter")}
    for dtype in (DType.INT8, DType.INT32):
        while (instruction := setup.instruction()).result_dtype != dtype:
            pass
        residual = int(dtype == DType.INT32)
        unused = far | {"residual": residual, "per_channel": 0, "y_limit": 0}
        fields = {name: value for name, value in instruction.values.items() if name not in ("opcode", "version")}
        setup.send(Instruction(Opcode.VECTOR, **fields | unused))
    await setup.engine.finish(40000)
    setup.compare()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def halts(dut):
    """While halt is high nothing new is requested; a reset brings the engine back."""
    for number in range(2):
        setup = await Setup(dut).start()
        for _ in range(4):
            setup.send(setup.instruction())
        for _ in range(int(setup.rng.integers(5, 200))):
            await setup.edge
        dut.engine__halt.value = 1
        for port in setup.ports:
            port.halted = True
        for _ in range(200):
            await setup.edge
        for port in setup.ports:
            port.taken.clear()
        for _ in range(50):
            await setup.edge
            assert dut.engine__quiet.value == 1
        assert not {port.name: port.taken for port in setup.ports if port.taken and not port.write}, number
        for task in (setup.server.task, setup.engine.task, setup.engine.source.task):
            task.cancel()
    # The next test starts with a reset.
    setup = await Setup(dut).start()
    setup.send(setup.instruction())
    await setup.engine.finish(40000)
    setup.compare()
