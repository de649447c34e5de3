"""The rtl device against the emulator: random and illegal programs, in process."""

import pytest

from gemmary.config import PRESETS
from gemmary.emulator.device import EmulatorDevice
from gemmary.isa import Cause
from gemmary.runtime.device import DeviceError
from hdl.simulation.device import RtlDevice
from verif.agents.programs import illegal_programs, random_program
from verif.configs import TINY, TINY_NARROW_BUS, TINY_PAIR, TINY_WINDOW

CONFIGS = {config.name: config for config in (TINY, TINY_NARROW_BUS, TINY_WINDOW, TINY_PAIR, PRESETS["nano"])}
MEMORY = 1 << 20
WATCHDOG = 3000


@pytest.fixture(params=[pytest.param(n, marks=pytest.mark.nightly) if n == TINY_PAIR.name else n for n in CONFIGS])
def config(request):
    return CONFIGS[request.param]


def settings(seed: int) -> dict:
    """Memories from ideal to awkward."""
    return {"latency": (1, 7, 30, 150)[seed % 4], "stall_probability": (0.0, 0.3)[seed // 4 % 2], "seed": seed}


def agree(config, seed: int, instructions: int) -> None:
    case = random_program(config, seed, instructions)
    device = RtlDevice(config, memory_bytes=MEMORY, random_initial=True, **settings(seed))
    try:
        assert case.run(device) == case.run(EmulatorDevice(config, memory_bytes=MEMORY)), f"{config.name}, seed {seed}"
    finally:
        device.close()


def test_random_programs(config):
    for seed in range(16):  # every setting twice
        agree(config, seed, 60)


@pytest.mark.nightly
def test_many_random_programs(config):
    """A million instructions over the configs; a failure names its seed."""
    for seed in range(1000, 1000 + 500_000 // 500):
        agree(config, seed, 500)


@pytest.mark.parametrize("config", [TINY, PRESETS["nano"]], ids=lambda config: config.name)
def test_illegal_programs(config):
    stopped(config, illegal_programs(config))


@pytest.mark.nightly  # the tensor engine's bench has a line that is refused
def test_illegal_windows():
    """Beside what every config refuses."""
    stopped(TINY_WINDOW, [case for case in illegal_programs(TINY_WINDOW) if "window" in case.name])


@pytest.mark.nightly
@pytest.mark.parametrize("config", [TINY_NARROW_BUS, TINY_WINDOW], ids=lambda config: config.name)
def test_illegal_programs_of_other_shapes(config):
    stopped(config, illegal_programs(config))


def stopped(config, cases) -> None:
    """Every one is stopped with the right cause, engine and address, and the next program runs right."""
    device = RtlDevice(config, memory_bytes=MEMORY, latency=5, watchdog=WATCHDOG)
    emulator = EmulatorDevice(config, memory_bytes=MEMORY)
    good = random_program(config, 1, 4)
    expected = good.run(emulator)
    wrong = []
    for number, case in enumerate(cases):
        if case.cause in (Cause.BUS_READ, Cause.BUS_WRITE) and config.address_bits > 40:
            continue
        with pytest.raises(DeviceError) as stop:
            device.run(case.program, 0x8000)
        found = stop.value.cause, stop.value.offset, stop.value.engine
        if found != (case.cause, case.offset, case.engine):
            wrong.append(f"{case.name}: {found}")
        if number % 16 == 0:
            assert good.run(device) == expected, f"after {case.name}"
    device.close()
    assert not wrong
