"""Random programs on the whole accelerator against the emulator, pin by pin, under both simulators."""

import cocotb
import pytest

from gemmary.emulator.device import EmulatorDevice
from hdl.top import Top
from verif import bench
from verif.agents.programs import random_program
from verif.configs import TINY, TINY_PAIR, TINY_WIDE, TINY_WINDOW
from verif.system.machine import Machine

CONFIGS = {config.name: config for config in (TINY, TINY_WIDE, TINY_WINDOW, TINY_PAIR)}
PROGRAMS, INSTRUCTIONS = 3, 24


@pytest.mark.parametrize(
    "case",
    [TINY.name, TINY_WIDE.name, *(pytest.param(c.name, marks=pytest.mark.nightly) for c in (TINY_WINDOW, TINY_PAIR))],
)
def test_random_programs(simulate, case):
    simulate(Top(CONFIGS[case]), case)


@cocotb.test()
async def programs_agree_with_the_emulator(dut):
    config = CONFIGS[bench.case()]
    seeds = bench.rng(1).integers(1 << 30, size=PROGRAMS).tolist()
    cases = [random_program(config, seed, INSTRUCTIONS, memory_bytes=4 << 10) for seed in seeds]
    machine = Machine(dut, config, max(case.memory_bytes for case in cases))
    await machine.power_up()
    for case in cases:
        machine.memory[: len(case.memory)] = case.memory
        stopped = await machine.run(case.program, case.address)
        assert stopped is None, f"{case.name} was stopped: {stopped}"
        expected = case.run(EmulatorDevice(config, memory_bytes=case.memory_bytes))
        found = b"".join(bytes(machine.memory[address : address + size]) for address, size in case.regions)
        assert found == expected, f"{case.name}: {_first_difference(found, expected)}"
    machine.check()


def _first_difference(found: bytes, expected: bytes) -> str:
    wrong = [i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]
    return f"{len(wrong)} bytes differ, the first at {wrong[0]}: {found[wrong[0]]}, not {expected[wrong[0]]}"
