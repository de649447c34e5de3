"""Load and store through the AXI manager to an external memory, against verif/golden/dma.py.

The passive checker watches the bus in every test; in all but one the memory is AxiMemory with random latency, pauses, order
and interleaving.
"""

import dataclasses

import cocotb
import pytest
from cocotbext.axi import AxiBus, AxiRam

from gemmary.isa import Cause, DType, Instruction, Opcode, Space, walk_fields
from gemmary.registers import State
from verif import bench
from verif.agents.axi_checker import AxiChecker
from verif.agents.axi_memory import AxiMemory
from verif.agents.engine import EngineDriver
from verif.agents.instructions import Arena, Sampler
from verif.agents.memory import MemoryServer, Port
from verif.agents.pace import always, paces
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE
from verif.golden import dma as golden
from verif.golden.memories import Memories, differing
from verif.golden.vector import AddressError
from verif.unit.dma.harness import Dma

CONFIGS = {config.name: config for config in (TINY_WIDE, TINY_NARROW_BUS)}
CONFIGS["tiny"] = dataclasses.replace(TINY, outstanding=16)
PAGE = 4096
EXTERNAL = 3 * PAGE
"""Bytes of external memory; loads use all of it, or its lower half beside stores, which use the upper half."""


@pytest.mark.parametrize("case", CONFIGS)
def test_dma(simulate, case):
    simulate(Dma(CONFIGS[case]), case)


class Setup:
    """Both engines after reset. ``target`` is what loads write, ``origin`` what stores read, ``external`` is shared."""

    def __init__(self, dut, steady=False, ram=False):
        self.dut, self.config, self.rng = dut, CONFIGS[bench.case()], bench.rng()
        self.steady, self.ram = steady, ram
        self.component = Dma(self.config)
        self.target, self.origin = (Memories(self.config, self.rng) for _ in range(2))
        self.external = bytearray(self.rng.bytes(EXTERNAL))
        self.wanted_target, self.wanted_external = self.target.copy(), bytearray(self.external)
        arena = Arena({space: (0, len(content)) for space, content in self.target.bytes.items()})
        self.sampler = Sampler(self.config, arena, EXTERNAL // 2, self.rng)

    async def start(self):
        dut, rng = self.dut, self.rng
        self.edge = await bench.start(dut, self.component)
        pace = always() if self.steady else None
        self.checker = AxiChecker(dut, "m_axi", dut.clk, dut.rst, outstanding=self.config.outstanding)
        if self.ram:
            self.memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=EXTERNAL)
            self.memory.write(0, bytes(self.external))
            self._pause(self.memory)
        else:
            latency = (1, 1) if self.steady else (1, int(rng.choice([4, 40, 120])))
            self.memory = AxiMemory(dut, "m_axi", self.edge, rng, self.external, latency, pace)
        self.ports = [
            Port(dut, "write", self.target.bytes, rng, write=True, pace=pace),
            Port(dut, "read", self.origin.bytes, rng, pace=pace),
        ]
        server = MemoryServer(self.edge, rng, *self.ports)
        self.load = EngineDriver(dut, Opcode.LOAD, self.edge, rng, pace, "load")
        self.store = EngineDriver(dut, Opcode.STORE, self.edge, rng, pace, "store")
        agents = [server, self.load, self.store, self.load.source, self.store.source, self.checker]
        self.tasks = [agent.task for agent in agents if agent is not None]
        if not self.ram:
            self.tasks.append(self.memory.task)
        return self

    def _pause(self, ram):
        channels = (ram.write_if.aw_channel, ram.write_if.w_channel, ram.write_if.b_channel)
        for channel in (*channels, ram.read_if.ar_channel, ram.read_if.r_channel):
            channel.set_pause_generator(not goes for goes in paces(self.rng))

    def stop(self):
        for task in self.tasks:
            task.cancel()

    def draw(self, opcode, **fields) -> Instruction:
        drawn = self.sampler.sample(opcode) | fields
        if opcode == Opcode.STORE and "external_address" not in fields:
            drawn["external_address"] += EXTERNAL // 2
        return Instruction(opcode, signal=int(self.rng.integers(1 << 16)), **drawn)

    def send(self, instruction: Instruction) -> None:
        if instruction.opcode == Opcode.LOAD:
            golden.load(instruction, self.wanted_external, self.wanted_target)
            self.load.send(instruction)
        else:
            golden.store(instruction, self.wanted_external, self.origin)
            self.store.send(instruction)

    async def finish(self, cycles=40000):
        await self.load.finish(cycles)
        await self.store.finish(cycles)

    def compare(self):
        bad = self.target.difference(self.wanted_target)
        assert not bad, f"{bad} after {self.load.sent[-1:]}"
        external = self.memory.read(0, EXTERNAL) if self.ram else self.external
        bad = differing(external, self.wanted_external)
        assert not bad, f"external memory: {bad} after {self.store.sent[-1:]}"

    async def drained(self):
        """Nothing is left on the bus some cycles later."""
        for _ in range(30):
            await self.edge
        self.checker.check()
        assert self.dut.load__quiet.value == self.dut.store__quiet.value == 1


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def one_at_a_time(dut):
    """When an instruction is done, every byte is where it belongs."""
    setup = await Setup(dut).start()
    for number in range(14):
        setup.send(setup.draw((Opcode.LOAD, Opcode.STORE)[number % 2]))
        await setup.finish()
        setup.compare()
    await setup.drained()


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def back_to_back(dut):
    """Loads and stores at once, each engine with many instructions in a row."""
    setup = await Setup(dut).start()
    for _ in range(14):
        # Loads read the lower half of external memory and stores write the upper one.
        setup.send(setup.draw(Opcode.LOAD))
        setup.send(setup.draw(Opcode.STORE))
    await setup.finish(100000)
    setup.compare()
    await setup.drained()
    assert setup.load.states[State.STALL_BUS] and setup.store.states[State.STALL_BUS]
    assert max(beats for _, beats, _ in setup.memory.reads) > 1


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def around_pages(dut):
    """Runs of any alignment and length across the borders of 4 KiB."""
    setup = await Setup(dut).start()
    bus = setup.config.bus_bytes
    for number in range(16):
        opcode = (Opcode.LOAD, Opcode.STORE)[number % 2]
        length = int(setup.rng.integers(1, 12 * bus))
        counts = dict.fromkeys(("z", "y", "x"), 1) | {"x": 3}
        # Near the border at 4 KiB for loads, that at 8 KiB for stores.
        first = PAGE * (1 + number % 2) - int(setup.rng.integers(1, 14 * bus))
        walks = walk_fields(opcode, "external", first, counts, x=int(setup.rng.integers(1, 3 * bus)))
        walks |= walk_fields(opcode, "onchip", int(setup.rng.integers(8)), counts, x=int(setup.rng.integers(0, 12)))
        fields = {f"count_{loop}": count for loop, count in counts.items()} | walks | {"length": length}
        fields |= {"space": int(Space.ACTIVATION), "dtype": int(DType.INT8)}
        if opcode == Opcode.LOAD:
            fields |= {"transpose": 0, "fill_only": 0}
        setup.send(setup.draw(opcode, **fields))
    await setup.finish()
    setup.compare()
    await setup.drained()
    assert {address // PAGE for address, _, _ in setup.memory.reads} == {0, 1}


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def against_axi_ram(dut):
    """The memory model of cocotbext-axi instead of our own."""
    setup = await Setup(dut, ram=True).start()
    for _ in range(8):
        setup.send(setup.draw(Opcode.LOAD))
        setup.send(setup.draw(Opcode.STORE))
    await setup.finish(60000)
    setup.compare()
    await setup.drained()
    setup.stop()


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def full_speed(dut):
    """A run that touches n bus words takes n cycles, for every alignment, when there may be enough bursts in flight."""
    bus = CONFIGS[bench.case()].bus_bytes
    if CONFIGS[bench.case()].outstanding < 16:
        return
    for opcode in (Opcode.LOAD, Opcode.STORE):
        for length in (1, bus, 2 * bus + 1):
            setup = await Setup(dut, steady=True).start()
            counts = {"z": 1, "y": 1, "x": 60}
            first = 0 if opcode == Opcode.LOAD else EXTERNAL // 2
            stride = length + 1
            walks = walk_fields(opcode, "external", first, counts, x=stride)
            walks |= walk_fields(opcode, "onchip", 0, counts, x=0)
            fields = {f"count_{loop}": count for loop, count in counts.items()} | walks | {"length": length}
            fields |= {"space": int(Space.ACTIVATION), "dtype": int(DType.INT8)}
            if opcode == Opcode.LOAD:
                fields |= {"transpose": 0, "fill_only": 0}
            setup.send(setup.draw(opcode, **fields))
            start = setup.load.cycle
            await setup.finish(2000)
            setup.compare()
            words = sum((first + i * stride + length - 1) // bus - (first + i * stride) // bus + 1 for i in range(60))
            assert words <= setup.load.cycle - start <= words + 40, (opcode, length, words, setup.load.cycle - start)
            setup.stop()


def bus_fault(setup, opcode, number) -> Instruction:
    """An instruction that meets an error on the bus, and sets it up: SLVERR somewhere, or DECERR beyond the memory."""
    while True:
        fields = {"fill_only": 0} if opcode == Opcode.LOAD else {}
        if number % 2:
            fields |= {"external_address": EXTERNAL - int(setup.rng.integers(1, 100))}
        instruction = setup.draw(opcode, **fields)
        if instruction.opcode == Opcode.LOAD and instruction.transpose and instruction.count_x > setup.config.bus_bytes:
            continue
        first = list(golden.external_addresses(instruction, setup.target))
        touched = [(at + i) % (1 << setup.config.address_bits) for at in first for i in range(instruction.length)]
        beyond = [byte for byte in touched if byte >= EXTERNAL]
        if number % 2 and beyond and min(touched) < EXTERNAL:
            return instruction
        if not number % 2 and not beyond:
            byte = touched[int(setup.rng.integers(len(touched)))]
            setup.memory.errors = [range(byte, byte + 1)]
            return instruction


@cocotb.test(timeout_time=3, timeout_unit="ms")
@cocotb.parametrize(opcode=[Opcode.LOAD, Opcode.STORE])
async def bus_error(dut, opcode):
    """SLVERR and DECERR: cause and instruction are told, what is outstanding drains, nothing follows."""
    cause = Cause.BUS_READ if opcode == Opcode.LOAD else Cause.BUS_WRITE
    for number in range(4):
        setup = await Setup(dut).start()
        engine = setup.load if opcode == Opcode.LOAD else setup.store
        bad = bus_fault(setup, opcode, number)
        engine.send(bad)
        engine.send(setup.draw(opcode))
        for port in setup.ports:
            port.halted = True
        assert await engine.fail(30000) == (cause, 0)
        await quiet(setup, opcode)
        if opcode == Opcode.LOAD:
            compare_precise(setup, bad)
        setup.checker.check()
        setup.stop()


def compare_precise(setup, bad):
    """Runs before the failing one are written. Whatever else is, is part of the instruction's own granules."""
    setup.external = bytearray(setup.external)
    if bad.transpose:
        return
    wanted = setup.wanted_target.copy()
    holes = setup.memory.errors
    bus = setup.config.bus_bytes
    granules = -(-bad.length // bus)
    space = wanted.bytes[bad.space]
    for source, target in golden.runs(bad, wanted):
        # A beat fails as a whole.
        beats = range(source // bus * bus, -(-(source + bad.length) // bus) * bus)
        if beats.stop > EXTERNAL or any(hole.start in beats for hole in holes):
            break
        content = bytes(setup.external[source : source + bad.length])
        content += bytes([bad.fill & 0xFF]) * (granules * bus - bad.length)
        space[target * bus : (target + granules) * bus] = content
    else:
        return
    for place in range(len(space)):
        after = range(target * bus, (target + granules) * bus)
        if place not in after:
            assert setup.target.bytes[bad.space][place] == space[place], (place, bad)


async def quiet(setup, opcode, cycles=8000):
    """Waits until the engine says that nothing is outstanding; then nothing may be."""
    handle = setup.dut.load__quiet if opcode == Opcode.LOAD else setup.dut.store__quiet
    for _ in range(cycles):
        await setup.edge
        if handle.value == 1 and not setup.memory.busy:
            break
    else:
        raise AssertionError("bursts do not drain")
    bursts = dict(setup.checker.bursts)
    for _ in range(60):
        await setup.edge
        assert handle.value == 1
    assert setup.checker.bursts == bursts, "a burst after the end"


BAD = {"far": {"onchip_address": 0xFFFF}, "end": {}}


@cocotb.test(timeout_time=3, timeout_unit="ms")
@cocotb.parametrize(opcode=[Opcode.LOAD, Opcode.STORE])
async def address_error(dut, opcode):
    """Granules outside the space: cause and instruction; the runs before are complete and nothing else is touched."""
    for number in range(4):
        setup = await Setup(dut).start()
        engine = setup.load if opcode == Opcode.LOAD else setup.store
        good = setup.draw(opcode)
        setup.send(good)
        while True:
            bad = setup.draw(opcode)
            depth = len(setup.target.bytes[bad.space]) // setup.config.bus_bytes
            start = int(setup.rng.choice([depth - 1, depth, 0xFFFF]))
            fields = {k: v for k, v in bad.values.items() if k not in ("opcode", "version")} | {"onchip_address": start}
            if opcode == Opcode.LOAD and number == 3:
                fields |= {"transpose": 1, "fill_only": 0, "length": setup.config.bus_bytes + 1}
            bad = Instruction(opcode, **fields)
            target, external = setup.wanted_target.copy(), bytearray(setup.wanted_external)
            try:
                if opcode == Opcode.LOAD:
                    golden.load(bad, external, target)
                else:
                    golden.store(bad, external, setup.origin)
            except AddressError:
                break
        setup.wanted_external = external
        for port in setup.ports:
            port.halted = True
        engine.send(bad)
        engine.send(setup.draw(opcode))
        assert await engine.fail(40000) == (Cause.ADDRESS, 96)
        await quiet(setup, opcode)
        if opcode == Opcode.STORE or not bad.transpose:
            setup.wanted_target = target
            setup.compare()
        setup.checker.check()
        setup.stop()


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def halts(dut):
    """While halt is high no burst begins and no granule is asked for; what is outstanding drains; a reset brings all back."""
    for _ in range(3):
        setup = await Setup(dut).start()
        for _ in range(6):
            setup.send(setup.draw(Opcode.LOAD))
            setup.send(setup.draw(Opcode.STORE))
        for _ in range(int(setup.rng.integers(5, 300))):
            await setup.edge
        dut.load__halt.value = dut.store__halt.value = 1
        for port in setup.ports:
            port.halted = True
        await quiet(setup, Opcode.LOAD)
        await quiet(setup, Opcode.STORE)
        assert dut.read__valid.value == dut.write__valid.value == 0
        setup.checker.check()
        setup.stop()
    setup = await Setup(dut).start()
    setup.send(setup.draw(Opcode.LOAD))
    setup.send(setup.draw(Opcode.STORE))
    await setup.finish()
    setup.compare()
