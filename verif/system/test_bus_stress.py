"""Random traffic on both buses of the accelerator, with every kind of delay and error: no violation, nothing lost or repeated.

Programs of loads and stores run one after another. Some meet an error on the bus, some are cut off by a soft reset. Each
burst, each byte written and each byte of memory must be what the program says; after an error or a soft reset, a beginning
of it. Checkers watch both buses in every cycle, and the registers are in use all the time.
"""

import json
import os
from collections import Counter
from unittest import mock

import cocotb
import pytest
from cocotb.triggers import Timer

from gemmary.config import Config
from gemmary.isa import Cause, Opcode, Space
from hdl.top import Top
from verif import bench, runner
from verif.agents.axi_registers import RegisterTraffic
from verif.agents.axi_traffic import DATA, FETCH, LOAD, Traffic, bus_traffic
from verif.agents.illegal import harmless
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE
from verif.system.machine import DONE, ERROR, START, Machine, driven_by_bench

WIDE_BUS = Config("wide-bus", 16, 16, 2, 4096, 1024, 16, 16, parameter_rows=4, outstanding=8)
CONFIGS = {config.name: config for config in (TINY, TINY_WIDE, TINY_NARROW_BUS, WIDE_BUS)}
MEMORY = DATA + (64 << 10)
LATENCIES = ((1, 1), (1, 8), (1, 40), (30, 150))
KINDS = (
    "well",
    "read SLVERR",
    "soft reset",
    "write DECERR",
    "well",
    "soft reset",
    "read DECERR",
    "write SLVERR",
    "fetch SLVERR",
)
TRANSACTIONS = 10**5
SEEN = {
    *KINDS,
    *(f"{kind} with bursts outstanding" for kind in KINDS if kind != "well"),
    *("beats without strobes", "bursts that end at 4 KiB", "beats with some strobes", "early write data"),
    *("interleaved read data", "r out of order", "r error 2", "r error 3", "b error 2", "b error 3"),
    *(f"registers: {what} first" for what in ("address", "data")),
    *(f"registers: {access} {response}" for access in ("read", "write") for response in ("OKAY", "SLVERR")),
}
"""What must have come up, by the names of the report."""
REPORT = runner.BUILD / "bus-stress.json"


@pytest.mark.nightly
@pytest.mark.parametrize("case", CONFIGS)
def test_stress(simulate, simulator, case, record_property):
    """10^5 bursts over all configs, in the fast simulator."""
    if simulator != "verilator":
        pytest.skip("for volume, one simulator is enough")
    _stress(simulate, case, TRANSACTIONS // len(CONFIGS), 60, record_property)


def test_short_stress(simulate, simulator, record_property):
    if simulator != "verilator":
        pytest.skip("for volume, one simulator is enough")
    _stress(simulate, TINY.name, 1000, 20, record_property)


def test_independence(simulate):
    simulate(Top(TINY), TINY.name, tests="one_direction_.*")


def test_pins(simulate):
    simulate(Top(TINY), TINY.name, tests="pins_.*")


def _stress(simulate, case: str, transactions: int, instructions: int, record_property) -> None:
    file = REPORT.with_stem(f"{REPORT.stem}-{case}")
    file.unlink(missing_ok=True)
    wanted = {"GEMMARY_TRANSACTIONS": transactions, "GEMMARY_INSTRUCTIONS": instructions, "GEMMARY_REPORT": file}
    with mock.patch.dict(os.environ, {name: str(value) for name, value in wanted.items()}):
        simulate(Top(CONFIGS[case]), case, tests="random_.*")
    report = json.loads(file.read_text())
    record_property("note", f"bus stress, {case}: {', '.join(f'{count:,} {what}' for what, count in report.items())}")
    assert report["bursts"] >= transactions
    assert set(report) >= SEEN, f"never came up: {sorted(SEEN - set(report))}"


@cocotb.test()
async def random_traffic(dut):
    stress = Stress(dut)
    await stress.machine.power_up()
    stress.begin()
    number = 0
    while number % len(KINDS) or stress.bursts < int(os.environ["GEMMARY_TRANSACTIONS"]):
        await stress.program(KINDS[number % len(KINDS)])
        number += 1
    for task in stress.registers.tasks:
        task.cancel()
    for _ in range(300):
        await stress.machine.edge
    stress.machine.check()
    with open(os.environ["GEMMARY_REPORT"], "w") as file:
        json.dump(stress.report(), file)


class Stress:
    """Runs programs and compares what they did to the bus with what they must."""

    def __init__(self, dut):
        self.config = CONFIGS[bench.case()]
        self.machine = Machine(dut, self.config, MEMORY)
        self.rng = bench.rng(2)
        self.machine.memory[:DATA] = self.rng.bytes(DATA)
        self.seen: Counter[str] = Counter()

    def begin(self) -> None:
        machine = self.machine
        self.axi, (self.checker, self.register_checker) = machine.axi, machine.checkers
        self.checker.outstanding = None
        self.registers = RegisterTraffic(machine.registers, self.config, machine.edge, self.rng)

    @property
    def bursts(self) -> int:
        return sum(self.checker.bursts.values())

    async def program(self, kind: str) -> None:
        machine, axi = self.machine, self.axi
        axi.latency = LATENCIES[self.rng.integers(len(LATENCIES))]
        for log in (axi.reads, axi.writes, axi.beats):
            log.clear()
        traffic = bus_traffic(self.config, self.rng, machine.memory[:DATA], int(os.environ["GEMMARY_INSTRUCTIONS"]))
        before = bytes(machine.memory[:DATA])
        machine.memory[traffic.address : traffic.address + len(traffic.program)] = traffic.program
        wanted = self._spoil(traffic, kind)
        await self._start(traffic)
        if kind == "soft reset":
            for _ in range(int(self.rng.integers(200, 4000))):
                await machine.edge
        else:
            await machine.interrupt()
        outstanding = self.axi.outstanding
        await self.registers.end()
        if kind == "well":
            assert await machine.read("INTERRUPT_STATUS") == DONE
            assert not axi.busy, "the program ended with bursts outstanding"
        elif kind != "soft reset":
            assert await machine.read("INTERRUPT_STATUS") == ERROR
            cause, _, _ = await machine.error(traffic.address)
            assert cause in wanted, f"{kind}: {cause}"
        if kind != "well":
            self.seen[f"{kind} with bursts outstanding"] += outstanding > 0
            await machine.soft_reset()
        await machine.write("INTERRUPT_STATUS", DONE | ERROR)
        axi.errors.clear()
        axi.missing.clear()
        self._compare(traffic, before, whole=kind == "well")
        self.seen[kind] += 1

    def _spoil(self, traffic: Traffic, kind: str) -> set[Cause]:
        """Chooses where the bus answers with an error; the causes that this may have."""
        if " " not in kind or kind == "soft reset":
            return set()
        access, response = kind.split()
        size = self.config.bus_bytes
        read = {byte for first, beats, _ in traffic.loads for byte in range(first, first + beats * size)}
        written = traffic.written
        if access == "fetch":
            byte = traffic.address + int(self.rng.integers(len(traffic.program)))
        else:
            byte = int(self.rng.choice(sorted(read - written if access == "read" else written - read)))
        spoilt = range(byte, byte + int(self.rng.choice([1, 1, 16])))
        (self.axi.errors if response == "SLVERR" else self.axi.missing).append(spoilt)
        causes = {Cause.BUS_READ} if access == "fetch" or read & set(spoilt) else set()
        return causes | ({Cause.BUS_WRITE} if written & set(spoilt) else set())

    async def _start(self, traffic: Traffic) -> None:
        machine = self.machine
        await machine.write("PROGRAM_ADDRESS_LOW", traffic.address)
        await machine.write("PROGRAM_LENGTH", len(traffic.program))
        await machine.write("WATCHDOG_LIMIT", 20_000)
        await machine.write("INTERRUPT_ENABLE", DONE | ERROR)
        await machine.write("CONTROL", START)
        self.registers.begin(len(traffic.program))

    def _compare(self, traffic: Traffic, before: bytes, whole: bool) -> None:
        axi = self.axi
        reads = {id: [burst for burst in axi.reads if burst[2] == id] for id in (FETCH, LOAD)}
        assert len(axi.reads) == sum(map(len, reads.values())), "a read has an ID that nobody has"
        for name, found, expected in (
            ("fetch", reads[FETCH], traffic.fetches),
            ("load", reads[LOAD], traffic.loads),
            ("store", axi.writes, traffic.stores),
        ):
            assert found == (expected if whole else expected[: len(found)]), (
                f"bursts of {name}: {_first(found, expected)}"
            )
        assert len(axi.beats) == sum(beats for _, beats, _ in axi.writes)
        for number, (found, expected) in enumerate(zip(axi.beats, traffic.beats)):
            # What had been promised is sent without strobes when the engine has stopped.
            kept = found == expected or (not whole and found[:2] == (expected[0], 0))
            assert kept, f"beat {number} is {found}, not {expected}"
        memory = self.machine.memory[:DATA]
        if whole:
            assert memory == traffic.external, "memory is not what the program makes of it"
        else:
            untouched = set(range(DATA)) - traffic.written
            assert all(memory[place] == before[place] for place in untouched), (
                "memory changed where the program never writes"
            )
            self.seen["beats without strobes"] += any(not strobe for _, strobe, _ in axi.beats)
        self.seen["beats with some strobes"] += sum(
            0 < strobe < (1 << self.config.bus_bytes) - 1 for _, strobe, _ in axi.beats
        )
        self.seen["bursts that end at 4 KiB"] += sum(
            (first + beats * self.config.bus_bytes) % 4096 == 0 for first, beats, _ in axi.reads + axi.writes
        )

    def report(self) -> dict[str, int]:
        registers = {f"registers: {name}": count for name, count in self.registers.done.items()}
        registers |= {f"registers: {name}": count for name, count in self.register_checker.seen.items()}
        return {
            "bursts": self.bursts,
            "register accesses": sum(self.register_checker.bursts.values()),
            "cycles": self.checker.cycle,
            **dict(sorted((self.seen + self.axi.seen).items())),
            **dict(sorted(registers.items())),
        }


def _first(found: list, expected: list) -> str:
    for number, (got, wanted) in enumerate(zip(found, expected)):
        if got != wanted:
            return f"number {number} is {got}, not {wanted}"
    return f"{len(found)}, not {len(expected)}"


@cocotb.test()
@cocotb.parametrize(stuck=["reads", "writes"])
async def one_direction_stands_still(dut, stuck):
    """While one direction of the memory bus stands still, the other one finishes its instruction."""
    machine = Machine(dut, TINY, DATA, latency=(1, 10))
    await machine.power_up()
    space = Space.ACTIVATION
    load = harmless(Opcode.LOAD, length=100, count_x=8, external_address=3, space=space)
    store = harmless(Opcode.STORE, length=100, count_x=8, external_address=0x1001, space=Space.WEIGHT)
    # What will stand still comes second, so both instructions have been fetched when it begins.
    pair = (store, load) if stuck == "reads" else (load, store)
    channels, other = (("ar", "r"), "STORE") if stuck == "reads" else (("aw", "w", "b"), "LOAD")
    begun = (
        (lambda: any(burst[2] == LOAD for burst in machine.axi.reads))
        if stuck == "reads"
        else (lambda: machine.axi.writes)
    )
    machine.memory[0x3000 : 0x3000 + 192] = b"".join(instruction.encode() for instruction in pair)
    await machine.write("PROGRAM_ADDRESS_LOW", 0x3000)
    await machine.write("PROGRAM_LENGTH", 192)
    await machine.write("INTERRUPT_ENABLE", DONE | ERROR)
    await machine.write("CONTROL", START)
    while not begun():
        await machine.edge
    gate = [False]
    for name in channels:
        machine.axi.pace[name] = _gated(machine.axi.pace[name], gate)
    assert await machine.read(f"{other}_RETIRED") == 0, "it ended before the other direction stood still"
    for _ in range(2000):
        if await machine.read(f"{other}_RETIRED"):
            break
    else:
        raise AssertionError(f"{other} does not finish while {stuck} stand still")
    blocked = "LOAD" if stuck == "reads" else "STORE"
    assert await machine.read(f"{blocked}_RETIRED") == 0
    gate[0] = True
    await machine.interrupt()
    assert await machine.read("INTERRUPT_STATUS") == DONE
    machine.check()


def _gated(pace, gate):
    while True:
        yield gate[0] and next(pace)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def pins_reset_is_asserted_at_once_and_released_with_the_clock(dut):
    """A manager may begin in the first cycle after the reset: what it offers is taken once the reset has ended inside, and not
    lost. In the reset nothing is taken, without any edge of the clock."""
    machine = Machine(dut, TINY, DATA)
    await machine.power_up()
    await machine.write("PROGRAM_LENGTH", 96)
    for cycles in range(6):
        await Timer(3, "ns")
        dut.aresetn.value = 0
        await Timer(1, "ns")
        readies = [getattr(dut, f"s_axil_{name}ready").value for name in ("aw", "w", "ar")]
        assert readies == [0, 0, 0], "a transfer could begin in the reset"
        for _ in range(2):
            await machine.edge
        dut.aresetn.value = 1
        for _ in range(cycles):
            await machine.edge
        assert await machine.read("PROGRAM_LENGTH") == 0
        await machine.write("PROGRAM_LENGTH", 96)
        assert await machine.read("PROGRAM_LENGTH") == 96
    machine.check()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def pins_inputs_act_at_the_next_edge(dut):
    """No output depends on an input of the same cycle, as AXI demands: other inputs, far from the edge, change nothing."""
    machine = Machine(dut, TINY, DATA)
    await machine.power_up()
    machine.axi.task.cancel()
    for checker in machine.checkers:
        checker.task.cancel()
    pins = [pin for pin in dut if pin._name.startswith(("s_axil_", "m_axi_"))]
    inputs = [pin for pin in pins if driven_by_bench(pin._name)]
    outputs = [dut.irq, *(pin for pin in pins if pin not in inputs)]
    for _ in range(400):
        for pin in inputs:  # no answer that nobody asked for
            pin.value = 0 if pin._name.startswith("m_axi_") else int(machine.rng.integers(1 << min(len(pin), 16)))
        await Timer(2, "ns")
        before, kept = [str(pin.value) for pin in outputs], [int(pin.value) for pin in inputs]
        for pin in inputs:
            pin.value = int(machine.rng.integers(1 << min(len(pin), 16)))
        await Timer(2, "ns")
        changed = [pin._name for pin, value in zip(outputs, before) if str(pin.value) != value]
        assert not changed, f"depends on an input of the same cycle: {changed}"
        for pin, value in zip(inputs, kept):
            pin.value = value
        await machine.edge
