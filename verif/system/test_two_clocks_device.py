"""The rtl device with a clock of its own for the tensor engine: programs, errors, order of memory accesses, networks."""

import pytest
from amaranth import Signal

from gemmary.config import preset
from gemmary.emulator.device import EmulatorDevice
from gemmary.errors import InputError
from gemmary.isa import Opcode, Space, encode_program
from gemmary.runtime.device import DeviceError
from hdl.accelerator import accelerator_of
from hdl.crossing.write import SingleWrite
from hdl.simulation.build import build_model
from hdl.simulation.device import RtlDevice
from hdl.top import Top
from scripts import measure_clocks
from verif.agents.illegal import harmless
from verif.agents.programs import illegal_programs, random_program
from verif.configs import TINY, TINY_NARROW_BUS

MEMORY = 1 << 20
SETTLED = 32
"""Cycles after the end of a program until the counters of the tensor engine have arrived."""


@pytest.mark.nightly
@pytest.mark.parametrize("ratio", [1, 2, 3, 8])
@pytest.mark.parametrize("config", [TINY, TINY_NARROW_BUS], ids=lambda config: config.name)
def test_random_programs(config, ratio):
    """As in the emulator. The states of an engine add up to the cycles of its clock."""
    for seed in range(24):
        options = {"latency": (1, 7, 30, 150)[seed % 4], "stall_probability": (0.0, 0.3)[seed // 4 % 2], "seed": seed}
        device = RtlDevice(config, memory_bytes=MEMORY, compute_ratio=ratio, random_initial=True, **options)
        case = random_program(config, seed, 60)
        try:
            assert case.run(device) == case.run(EmulatorDevice(config, memory_bytes=MEMORY)), (
                f"ratio {ratio}, seed {seed}"
            )
            device.model.run(SETTLED)
            report = device.control.report()
        finally:
            device.close()
        for engine, states in report.counters.items():
            cycles = report.cycles * (ratio if engine == "tensor" else 1)
            assert abs(sum(states.values()) - cycles) <= ratio, (engine, states)


@pytest.mark.nightly
@pytest.mark.parametrize("ratio", [1, 3])
def test_illegal_programs(ratio):
    """Every one is stopped with the right cause, engine and address, and the next program runs right."""
    device = RtlDevice(TINY, memory_bytes=MEMORY, latency=5, watchdog=3000, compute_ratio=ratio)
    good = random_program(TINY, 1, 4)
    expected = good.run(EmulatorDevice(TINY, memory_bytes=MEMORY))
    wrong = []
    for number, case in enumerate(illegal_programs(TINY)):
        with pytest.raises(DeviceError) as stop:
            device.run(case.program, 0x8000)
        found = stop.value.cause, stop.value.offset, stop.value.engine
        if found != (case.cause, case.offset, case.engine):
            wrong.append(f"{case.name}: {found}")
        if number % 16 == 0:
            assert good.run(device) == expected, f"after {case.name}"
    device.close()
    assert not wrong


class Early(SingleWrite):
    """Says that a write is done when it is on its way."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        begun = Signal()
        m.d.sync += begun.eq(self.begun)
        m.d.comb += self.written.eq(begun)
        return m


class Fresh(RtlDevice):
    """With a model made anew of what the classes are at this moment."""

    def _library(self, variant):
        return build_model(self.config, variant, Top(self.config, two_clocks=True))


def late_write(device) -> bytes:
    """What a store reads that waits for a load whose writes must wait: the tensor engine uses their bank in every cycle."""
    row, semaphore, size = 20, 1 << 3, TINY.bus_bytes  # one write: the second would wait for room
    place = {"space": Space.ACCUMULATOR, "onchip_address": row * TINY.accumulator_row_bytes // size, "length": size}
    clear = harmless(Opcode.LOAD, **place, fill_only=1)
    busy = harmless(Opcode.MATMUL, count_y=100, count_x=16, y_limit=0, accumulator_step_x=1, accumulator_step_y=-15)
    load = harmless(Opcode.LOAD, **place, external_address=0x100, signal=semaphore)
    store = harmless(Opcode.STORE, **place, external_address=0x200, wait=semaphore)
    device.write(0x100, bytes(range(1, size + 1)))
    device.run(encode_program([clear]), 0x1000)
    device.run(encode_program([busy, load, store]), 0x1000)
    return device.read(0x200, size)


@pytest.mark.nightly
@pytest.mark.parametrize("bad", [False, True])
def test_a_load_is_done_when_its_memory_has_it(monkeypatch, bad):
    if bad:
        monkeypatch.setattr("hdl.memory.dual_accumulator.SingleWrite", Early)
    for ratio in (1, 2, 4):
        device = Fresh(TINY, memory_bytes=MEMORY, compute_ratio=ratio, latency=60, watchdog=5000)
        try:
            right = late_write(device) == bytes(range(1, TINY.bus_bytes + 1))
        finally:
            device.close()
        assert right != bad


@pytest.mark.nightly
def test_networks(capsys):
    """A matrix product and two digits, on `base`, at both speeds."""
    assert measure_clocks.main(["--images", "2", "--ratios", "1", "2"]) == 0


def test_impossible_ratios():
    for config, ratio, message in ((TINY, 17, "must not exceed 16"), (preset("nano"), 2, "must be 0 without dma")):
        with pytest.raises(InputError, match=f"option compute_ratio = {ratio}: {message}"):
            RtlDevice(config, compute_ratio=ratio)
    with pytest.raises(InputError, match="nano has no DMA, and so only one clock"):
        accelerator_of(preset("nano"), two_clocks=True)


def test_measurement_refuses_an_unknown_preset(capsys):
    assert measure_clocks.main(["--preset", "huge"]) == 2
    assert "unknown preset 'huge'" in capsys.readouterr().err
