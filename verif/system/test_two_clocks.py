"""The benches of the whole accelerator with a clock of its own for the tensor engine, in every relation of the clocks."""

import cocotb
import pytest

from gemmary.emulator.device import EmulatorDevice
from hdl.top import Top
from verif import bench, runner
from verif.agents.clocks import RELATIONS
from verif.agents.programs import random_program
from verif.configs import TINY, TINY_PAIR, TINY_WIDE, TINY_WINDOW
from verif.system.machine import Machine

PROGRAMS, ERRORS = "verif.system.test_programs", "verif.system.test_errors"
FASTER = [name for name in RELATIONS if name != "slower"]
OTHERS = {config.name: config for config in (TINY_WIDE, TINY_WINDOW, TINY_PAIR)}


def test_programs(monkeypatch, tmp_path):
    """Random programs agree with the emulator; here a short one, in one relation and under one simulator."""
    monkeypatch.setenv("CLOCKS", "7-to-3")
    model = runner.build(Top(TINY, two_clocks=True), "top-two-clocks", "icarus")
    runner.run(model, __name__, tmp_path, 1)


@cocotb.test()
async def a_short_program_agrees_with_the_emulator(dut):
    case = random_program(TINY, int(bench.rng(1).integers(1 << 30)), 4, memory_bytes=1 << 10)
    machine = Machine(dut, TINY, case.memory_bytes)
    await machine.power_up()
    machine.memory[: len(case.memory)] = case.memory
    assert await machine.run(case.program, case.address) is None
    expected = case.run(EmulatorDevice(TINY, memory_bytes=case.memory_bytes))
    assert b"".join(bytes(machine.memory[address : address + size]) for address, size in case.regions) == expected
    machine.check()


@pytest.mark.nightly
@pytest.mark.parametrize("relation", FASTER)
def test_programs_in_every_relation(simulate, monkeypatch, relation):
    monkeypatch.setenv("CLOCKS", relation)
    simulate(Top(TINY, two_clocks=True), TINY.name, module=PROGRAMS)


@pytest.mark.nightly
@pytest.mark.parametrize("case", OTHERS)
def test_programs_of_other_shapes(simulate, monkeypatch, case):
    monkeypatch.setenv("CLOCKS", "drifting")
    simulate(Top(OTHERS[case], two_clocks=True), case, module=PROGRAMS)


@pytest.mark.nightly
@pytest.mark.parametrize("relation", ["equal-apart", "twice", "7-to-3", "drifting"])
@pytest.mark.parametrize("case", ["illegal", "bus", "recovery"])
def test_errors(simulate, monkeypatch, case, relation):
    """Illegal programs, errors of the bus, soft resets at any time."""
    monkeypatch.setenv("CLOCKS", relation)
    simulate(Top(TINY, two_clocks=True), case, tests=f"{case}_.*", module=ERRORS)
