"""The accelerator behind its pins: a memory on its AXI4, a host on its AXI4-Lite, checkers on both."""

import logging
import os

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from gemmary.config import Config
from gemmary.isa import Cause, Engine
from gemmary.registers import ADDRESS
from verif import bench
from verif.agents.axi_checker import AxiChecker
from verif.agents.axi_memory import AxiMemory
from verif.agents.clocks import RELATIONS

WATCHDOG = 2000
"""Cycles: longer than anything that these benches wait for."""
PATIENCE = 200_000
"""Cycles after which a program counts as hung."""
START, SOFT_RESET = 1, 2
DONE, ERROR = 1, 2
BUSY_BIT, ERROR_BIT, RESETTING_BIT = 0, 2, 4


class Machine:
    """Drives ``hdl.top.Top``: memory, registers, programs."""

    def __init__(self, dut, config: Config, memory_bytes: int, latency=(1, 30)):
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        self.dut, self.config, self.edge = dut, config, RisingEdge(dut.aclk)
        self.rng = bench.rng()
        self.memory = bytearray(memory_bytes)
        self.latency = latency

    async def power_up(self) -> None:
        """Clock, reset, agents and checkers."""
        dut = self.dut
        for handle in dut:
            if handle._name.startswith(("s_axil_", "m_axi_")) and driven_by_bench(handle._name):
                handle.value = 0
        dut.aresetn.value = 0
        await self._clocks()
        for _ in range(4):
            await self.edge
        dut.aresetn.value = 1
        for _ in range(4):
            await self.edge
        self.axi = AxiMemory(dut, "m_axi", self.edge, self.rng, self.memory, self.latency)
        self.checkers = [AxiChecker(dut, prefix, dut.aclk, dut.aresetn, 0) for prefix in ("m_axi", "s_axil")]
        bus = AxiLiteBus.from_prefix(dut, "s_axil")
        self.registers = AxiLiteMaster(bus, dut.aclk, dut.aresetn, reset_active_level=False)

    async def _clocks(self) -> None:
        """The second one, of a machine that has it, in the relation to the first that CLOCKS names."""
        second = getattr(self.dut, "compute_aclk", None)
        if second is None:
            Clock(self.dut.aclk, bench.PERIOD_NS, unit="ns").start()
            return
        first_ps, second_ps, phase = RELATIONS[os.environ["CLOCKS"]]
        second.value = 0
        Clock(self.dut.aclk, first_ps, unit="ps").start()
        if phase:
            await Timer(phase, unit="ps")
        Clock(second, second_ps, unit="ps").start()

    async def write(self, register: str, value: int) -> None:
        await self.registers.write_dword(ADDRESS[register], value)

    async def read(self, register: str) -> int:
        return await self.registers.read_dword(ADDRESS[register])

    async def run(self, program: bytes, address: int) -> tuple[Cause, int, Engine | None] | None:
        """Runs ``program`` to its end; (cause, offset, engine) if it was stopped."""
        self.memory[address : address + len(program)] = program
        await self.write("PROGRAM_ADDRESS_LOW", address)
        await self.write("PROGRAM_ADDRESS_HIGH", 0)
        await self.write("PROGRAM_LENGTH", len(program))
        await self.write("WATCHDOG_LIMIT", WATCHDOG)
        await self.write("INTERRUPT_ENABLE", DONE | ERROR)
        await self.write("CONTROL", START)
        await self.interrupt()
        status = await self.read("INTERRUPT_STATUS")
        assert status in (DONE, ERROR), f"interrupt status {status}"
        await self.write("INTERRUPT_STATUS", status)
        assert self.dut.irq.value == 0, "the interrupt stays after its status was cleared"
        return None if status == DONE else await self.error(address)

    async def interrupt(self) -> None:
        for _ in range(PATIENCE):
            await self.edge
            if self.dut.irq.value:
                return
        raise AssertionError(f"no interrupt after {PATIENCE} cycles: the accelerator hangs")

    async def error(self, address: int) -> tuple[Cause, int, Engine | None]:
        assert await self.read("STATUS") >> ERROR_BIT & 1
        value = await self.read("ERROR_CAUSE")
        low, high = await self.read("ERROR_ADDRESS_LOW"), await self.read("ERROR_ADDRESS_HIGH")
        engine = value >> 8 & 15
        return Cause(value & 0xFF), (high << 32 | low) - address, Engine(engine) if engine < len(Engine) else None

    async def soft_reset(self) -> None:
        """Recovers from an error; every burst has been answered when it is over."""
        await self.write("CONTROL", SOFT_RESET)
        for _ in range(1000):
            if not await self.read("STATUS") & (1 << ERROR_BIT | 1 << RESETTING_BIT):
                assert not self.axi.busy, "soft reset ended while bursts were outstanding"
                return
        raise AssertionError("soft reset does not end")

    def check(self) -> None:
        for checker in self.checkers:
            checker.check()


def driven_by_bench(name: str) -> bool:
    """Whether the pin is an input of the accelerator."""
    bus, _, pin = name.rpartition("_")
    ours = ("aw", "w", "ar") if bus == "s_axil" else ("b", "r")
    channel = next(c for c in ("aw", "ar", "w", "b", "r") if pin.startswith(c))
    return (channel in ours) != pin.endswith("ready")


def config_of_case(configs) -> Config:
    return next(config for config in configs if config.name == bench.case().split("-on-")[-1])


__all__ = ["Machine", "cocotb", "config_of_case", "driven_by_bench"]
