"""The RAM in the place of external memory: both its buses against one array of bytes."""

import dataclasses

import cocotb
import pytest
from cocotb.triggers import ClockCycles, RisingEdge, gather
from cocotbext.axi import AxiBus, AxiMaster, AxiResp

from hdl.interfaces import RegisterBus
from verif import bench
from verif.agents.axi_checker import AxiChecker
from verif.agents.pace import paces
from verif.boards.harness import FlatRam
from verif.configs import TINY, TINY_NARROW_BUS

CONFIGS = {"4": TINY, "8": dataclasses.replace(TINY_NARROW_BUS, bus_bytes=8)}
SIZE = 8192
_BUS = RegisterBus()
REQUEST, RESPONSE = (_BUS.members[name].signature.members["payload"].shape for name in ("request", "response"))
HIGH = 1 << 31


@pytest.mark.parametrize("case", CONFIGS)
def test_ram(simulate, case):
    simulate(FlatRam(CONFIGS[case], SIZE), case)


class Setup:
    """Both buses after reset, and what the memory should hold; it starts with random bytes, written by the host."""

    def __init__(self, dut, pause=True):
        self.dut, self.config, self.rng, self.pause = dut, CONFIGS[bench.case()], bench.rng(), pause

    async def start(self):
        self.edge = await bench.start(self.dut, FlatRam(self.config, SIZE))
        self.checker = AxiChecker(self.dut, "s_axi", self.dut.clk, self.dut.rst)
        self.axi = AxiMaster(AxiBus.from_prefix(self.dut, "s_axi"), self.dut.clk, self.dut.rst)
        if self.pause:
            self._pause(self.axi)
        self.bytes = bytearray(SIZE)
        await self.write(0, self.rng.bytes(SIZE))
        return self

    def _pause(self, axi):
        writes, reads = axi.write_if, axi.read_if
        for channel in (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel):
            channel.set_pause_generator(not goes for goes in paces(self.rng, (1.0, 1.0, 0.4)))

    async def write(self, address, data):
        self.bytes[address : address + len(data)] = data
        assert (await self.axi.write(address, data)).resp == AxiResp.OKAY

    async def read(self, address, size):
        answer = await self.axi.read(address, size)
        assert answer.resp == AxiResp.OKAY
        assert answer.data == self.bytes[address : address + size], (address, size)

    async def host(self, address, data=None, strobe=15):
        """(data, error) of an access by the host."""
        dut = self.dut
        fields = {"address": address, "write": int(data is not None), "data": data or 0, "strobe": strobe}
        dut.host__request__payload.value, dut.host__request__valid.value = bench.pack(REQUEST, fields), 1
        await self._until(dut.host__request__ready)
        dut.host__request__valid.value, dut.host__response__ready.value = 0, 1
        await self._until(dut.host__response__valid)
        dut.host__response__ready.value = 0
        answer = bench.unpack(RESPONSE, dut.host__response__payload.value)
        return answer["data"], bool(answer["error"])

    async def _until(self, handle):
        for _ in range(100):
            await self.edge
            if handle.value == 1:
                return
        raise AssertionError("the host gets no answer")

    def word(self, address):
        return int.from_bytes(self.bytes[address : address + 4], "little")


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def random_traffic(dut):
    """Reads and writes of any length and alignment on both buses at once, each in a part of its own."""
    setup = await Setup(dut).start()
    half, rng = SIZE // 2, setup.rng

    async def hosts():
        for _ in range(150):
            address = half + 4 * int(rng.integers(half // 4))
            if rng.random() < 0.5:
                data, strobe = int(rng.integers(1 << 32)), int(rng.choice([15, 15, 1, 6, 8]))
                for lane in range(4):
                    if strobe >> lane & 1:
                        setup.bytes[address + lane] = data >> 8 * lane & 0xFF
                assert not (await setup.host(address | HIGH, data, strobe))[1]
            else:
                assert await setup.host(address | HIGH) == (setup.word(address), False)

    task = cocotb.start_soon(hosts())
    for _ in range(40):
        address = int(rng.integers(half - 1))
        size = int(rng.integers(1, min(600, half - address) + 1))
        if rng.random() < 0.5:
            await setup.write(address, rng.bytes(size))
        else:
            await setup.read(address, size)
    await task
    await setup.read(0, SIZE)
    setup.checker.check()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def full_speed(dut):
    """A beat a cycle each way, across bursts."""
    setup = await Setup(dut, pause=False).start()
    beats = {"r": [], "w": []}
    cycle = 0

    async def count():
        nonlocal cycle
        while True:
            await RisingEdge(dut.clk)
            cycle += 1
            for name, seen in beats.items():
                if getattr(dut, f"s_axi_{name}valid").value == 1 and getattr(dut, f"s_axi_{name}ready").value == 1:
                    seen.append(cycle)

    cocotb.start_soon(count())
    bus = setup.config.bus_bytes
    size = 300 * bus
    await gather(setup.write(0, setup.rng.bytes(size)), setup.read(SIZE - size, size))
    for seen in beats.values():
        assert len(seen) == 300 and seen[-1] - seen[0] < 300 + 6, (len(seen), seen[-1] - seen[0])
    await setup.read(0, SIZE)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def answers_wait(dut):
    """Nobody takes answers for a while: none is lost."""
    setup = await Setup(dut, pause=False).start()
    bus, axi = setup.config.bus_bytes, setup.axi
    channels = axi.write_if.b_channel, axi.read_if.r_channel
    for channel in channels:
        channel.pause = True
    tasks = [cocotb.start_soon(setup.write(bus * i, setup.rng.bytes(bus))) for i in range(12)]
    tasks.append(cocotb.start_soon(setup.read(SIZE - 40 * bus, 40 * bus)))
    await ClockCycles(dut.clk, 100)
    for channel in channels:
        channel.pause = False
    await gather(*tasks)
    await setup.read(0, SIZE)
    setup.checker.check()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def errors(dut):
    """Beyond the memory DECERR, an unknown kind of burst SLVERR; neither writes. The host gets errors too."""
    setup = await Setup(dut).start()
    data = setup.rng.bytes(64)
    for address, options, wanted in (
        (SIZE, {}, AxiResp.DECERR),
        (1 << setup.config.address_bits - 1, {}, AxiResp.DECERR),
        (64, {"size": 1}, AxiResp.SLVERR),
        (64, {"burst": 0}, AxiResp.SLVERR),
    ):
        assert (await setup.axi.write(address, data, **options)).resp == wanted
        assert (await setup.axi.read(address, 64, **options)).resp == wanted
    for address in (SIZE, 1 << 30):
        assert (await setup.host(address | HIGH))[1]
        assert (await setup.host(address | HIGH, 1))[1]
    assert await setup.host(SIZE - 4) == (setup.word(SIZE - 4), False)
    await setup.read(0, SIZE)
    setup.checker.check()
