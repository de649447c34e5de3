"""Whatever is wrong with a program, the accelerator says so, recovers, and runs the next one right: under both simulators."""

import cocotb
import pytest

from gemmary.emulator.device import EmulatorDevice
from gemmary.isa import Cause, Engine, Instruction, Opcode, Space
from hdl.top import Top
from verif import bench
from verif.agents.illegal import IllegalCase, harmless, illegal_programs
from verif.agents.programs import random_program
from verif.configs import TINY
from verif.system.machine import Machine

CONFIG = TINY
BAD_MEMORY = range(0x3000, 0x3100)
"""Addresses where the bus answers SLVERR."""
SAMPLE = 60
"""Cases of illegal_programs, beside one for each cause in each engine."""


@pytest.mark.parametrize("case", ["illegal", "bus", "recovery"])
def test_errors(simulate, case):
    simulate(Top(CONFIG), case, tests=f"{case}_.*")


@cocotb.test()
async def illegal_programs_are_stopped(dut):
    """One case for every cause in every engine, and a sample of the others."""
    cases = illegal_programs(CONFIG)
    chosen = {(case.cause, case.engine): case for case in cases}
    rng = bench.rng(1)
    sample = [cases[i] for i in rng.choice(len(cases), SAMPLE, replace=False)]
    await _run_all(dut, [*chosen.values(), *sample])


@cocotb.test()
async def bus_errors_are_reported(dut):
    """SLVERR and DECERR on fetch, load and store."""
    good = harmless(Opcode.LOAD, fill_only=1)
    size = len(good.encode())
    cases = []
    for name, address in (("slverr", BAD_MEMORY.start), ("decerr", 1 << 20)):
        for opcode, cause in ((Opcode.LOAD, Cause.BUS_READ), (Opcode.STORE, Cause.BUS_WRITE)):
            bad = harmless(opcode, external_address=address, length=64, count_x=2, external_step_x=64)
            program = b"".join(i.encode() for i in (good, bad, good))
            engine = {Opcode.LOAD: Engine.LOAD, Opcode.STORE: Engine.STORE}[opcode]
            cases.append(IllegalCase(f"{opcode.name}-{name}", program, cause, size, engine))
    await _run_all(dut, cases)


@cocotb.test()
async def bus_error_on_a_fetch(dut):
    """The program itself lies where the bus answers SLVERR."""
    machine = Machine(dut, CONFIG, 64 << 10)
    await machine.power_up()
    machine.axi.errors.append(BAD_MEMORY)
    program = b"".join(harmless(Opcode.LOAD, fill_only=1).encode() for _ in range(4))
    start = BAD_MEMORY.start - 2 * len(program) // 4
    assert await machine.run(program, start) == (Cause.BUS_READ, 2 * len(program) // 4, None)
    await machine.soft_reset()
    await _runs_right(machine, seed=1)
    machine.check()


@cocotb.test()
async def recovery_in_the_midst_of_traffic(dut):
    """Soft resets at any time drain what is outstanding; the next program runs right."""
    machine = Machine(dut, CONFIG, 64 << 10, latency=(20, 80))
    await machine.power_up()
    rng = bench.rng(1)
    busy = [
        harmless(Opcode.LOAD, length=200, count_x=40, external_address=3, space=Space.ACTIVATION),
        harmless(Opcode.STORE, length=200, count_x=40, external_address=0x5001, space=Space.ACTIVATION),
        harmless(Opcode.MATMUL, count_x=1000),
        harmless(Opcode.VECTOR, count_x=1000),
    ]
    program = b"".join(instruction.encode() for instruction in busy)
    for wait in rng.integers(1, 500, 6).tolist():
        machine.memory[0x8000 : 0x8000 + len(program)] = program
        await machine.write("PROGRAM_ADDRESS_LOW", 0x8000)
        await machine.write("PROGRAM_LENGTH", len(program))
        await machine.write("CONTROL", 1)
        for _ in range(wait):
            await machine.edge
        assert await machine.read("STATUS") & 1, "the program ended too soon to be disturbed"
        await machine.soft_reset()
        await _runs_right(machine, seed=wait)
    machine.check()


@cocotb.test()
async def recovery_hung_engines_are_readable(dut):
    """While an engine waits for a semaphore that nobody signals, its registers say so; the host can free it."""
    machine = Machine(dut, CONFIG, 64 << 10)
    await machine.power_up()
    program = Instruction.encode(harmless(Opcode.LOAD, fill_only=1, wait=1 << 5 | 1 << 9))
    machine.memory[0x100 : 0x100 + len(program)] = program
    for register, value in (("PROGRAM_ADDRESS_LOW", 0x100), ("PROGRAM_LENGTH", len(program)), ("WATCHDOG_LIMIT", 0)):
        await machine.write(register, value)
    await machine.write("SEMAPHORE_SIGNAL", 1 << 5)
    await machine.write("CONTROL", 1)
    for _ in range(300):
        await machine.edge
    assert await machine.read("LOAD_STATE") == 1  # WAIT_SEMAPHORE
    assert await machine.read("LOAD_AWAITED") == 1 << 31 | 9
    assert await machine.read("LOAD_INSTRUCTION_LOW") == 0x100
    assert await machine.read("SEMAPHORE_5") == 1
    assert await machine.read("STATUS") & 1
    await machine.write("INTERRUPT_ENABLE", 1)
    await machine.write("SEMAPHORE_SIGNAL", 1 << 9)
    await machine.interrupt()
    assert await machine.read("INTERRUPT_STATUS") == 1
    assert await machine.read("SEMAPHORE_5") == 0
    assert await machine.read("LOAD_RETIRED") == 1
    machine.check()


async def _run_all(dut, cases: list[IllegalCase]) -> None:
    machine = Machine(dut, CONFIG, 64 << 10)
    await machine.power_up()
    machine.axi.errors.append(BAD_MEMORY)
    for number, case in enumerate(cases):
        stopped = await machine.run(case.program, 0x8000)
        assert stopped == (case.cause, case.offset, case.engine), f"{case.name}: {stopped}"
        await machine.soft_reset()
        if number % 8 == 0:
            await _runs_right(machine, number)
    await _runs_right(machine, len(cases))
    machine.check()


async def _runs_right(machine: Machine, seed: int) -> None:
    """A short random program gives what the emulator gives."""
    case = random_program(CONFIG, seed, 4, memory_bytes=4 << 10)
    expected = case.run(EmulatorDevice(CONFIG, memory_bytes=64 << 10))
    machine.memory[: len(case.memory)] = case.memory
    stopped = await machine.run(case.program, case.address)
    assert stopped is None, f"the program after an error was stopped: {stopped}"
    found = b"".join(bytes(machine.memory[address : address + size]) for address, size in case.regions)
    assert found == expected, "the program after an error gives wrong results"
