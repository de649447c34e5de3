"""A bench that should fail does, and says how to run it again."""

import os

import cocotb
import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import Event

from verif import bench
from verif.runner import BenchFailed, BuildFailed


class Delay(wiring.Component):
    """``o`` is ``i`` one cycle later."""

    i: In(8)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


class Unbuildable(Delay):
    """Two drivers for one signal."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.submodules.other = other = Module()
        other.d.sync += self.o.eq(Signal(8))
        return m


class Untranslatable(Delay):
    """Whose Verilog is spoilt."""


def test_good_bench_passes(simulate):
    simulate(Delay(), tests="delays")


def test_case_and_seed_reach_the_bench(simulate):
    simulate(Delay(), "some case", tests="knows_its_case")


@pytest.mark.parametrize("tests", ["expects_no_delay", "hangs", "never_ends"])
def test_failure_says_how_to_replay(simulate, request, tests):
    with pytest.raises(BenchFailed, match=r'Replay: make test SIM=\w+ K="test_failure_says.*" SEED=\d+$') as failure:
        simulate(Delay(), tests=f"{tests}$")
    assert tests in str(failure.value)


def test_one_failure_among_many_counts(simulate):
    with pytest.raises(BenchFailed, match="expects_no_delay"):
        simulate(Delay(), tests="delays|expects_no_delay")


def test_no_test_is_a_failure(simulate):
    with pytest.raises(BenchFailed, match="no test ran"):
        simulate(Delay(), tests="nothing_of_that_name")


def test_death_of_the_simulator_is_a_failure(simulate):
    with pytest.raises(BenchFailed):
        simulate(Delay(), tests="kills_the_simulator")


def test_unbuildable_component_is_no_bench_failure(simulate):
    with pytest.raises(Exception, match="driven") as failure:
        simulate(Unbuildable())
    assert not isinstance(failure.value, BenchFailed)


def test_verilog_that_does_not_compile_is_no_bench_failure(simulate, monkeypatch):
    monkeypatch.setattr("verif.runner.from_rtlil", lambda design: "module top(; endmodule")
    with pytest.raises(BuildFailed):
        simulate(Untranslatable())


async def compare(dut, delay):
    edge = await bench.start(dut, Delay())
    sent = bench.rng().integers(256, size=50).tolist()
    for i, value in enumerate(sent):
        dut.i.value = value
        await edge
        assert i < delay or int(dut.o.value) == sent[i - delay]


@cocotb.test(timeout_time=10, timeout_unit="us")
async def delays(dut):
    await compare(dut, 1)


@cocotb.test(timeout_time=10, timeout_unit="us")
async def expects_no_delay(dut):
    await compare(dut, 0)


@cocotb.test(timeout_time=10, timeout_unit="us")
async def knows_its_case(dut):
    assert bench.case() == "some case"
    first, again, other = (bench.rng(*salt).integers(1 << 30) for salt in ((), (), (1,)))
    assert first == again != other


@cocotb.test(timeout_time=10, timeout_unit="us")
async def hangs(dut):
    edge = await bench.start(dut, Delay())
    while True:
        await edge


@cocotb.test()
async def never_ends(dut):
    """Nothing is left to happen, so the simulator stops."""
    await Event().wait()


@cocotb.test()
async def kills_the_simulator(dut):
    os._exit(0)
