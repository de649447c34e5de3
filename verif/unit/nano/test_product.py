"""The product of nano against verif/golden/nano_product.py, in Python integers; and the cycles it takes."""

import cocotb
import pytest

from hdl.nano.instructions import Out
from hdl.nano.product import Product
from verif import bench
from verif.golden import nano_product as golden

INT32 = -(1 << 31), (1 << 31) - 1
INT64 = -(1 << 63), (1 << 63) - 1
MANTISSA = (1 << 24) - 1
OWN = (Out.PUSH, Out.FACTOR_LOW, Out.FACTOR_HIGH, Out.MULTIPLY, Out.SHIFT)
FOREIGN = [port for port in range(32) if port not in OWN]


@pytest.mark.parametrize("case", ["nano"])
def test_product(simulate, case):
    simulate(Product(), case)


class Driver:
    """Writes ports of block and model alike, and compares what can be seen after each."""

    def __init__(self, dut, edge, rng):
        self.dut, self.edge, self.rng, self.model = dut, edge, rng, golden.Product()

    async def write(self, port: int, data: int) -> None:
        dut = self.dut
        cycles = self.model.write(port, data & 0xFFFF)
        dut.write.value, dut.port.value, dut.data.value = 1, int(port), data & 0xFFFF
        await self.edge
        assert dut.busy.value == 0
        for _ in range(cycles):
            self.garbage(write=self.rng.random() < 0.3)
            await self.edge
            assert dut.busy.value == 1
        self.garbage(write=False)
        await self.edge
        assert dut.busy.value == 0, (port, data)
        if self.model.value is not None:
            assert int(dut.low.value) == self.model.low, (port, data)
        if self.model.half is not None:
            assert (int(dut.half.value), int(dut.sticky.value)) == (self.model.half, self.model.sticky), (port, data)

    def garbage(self, write: bool) -> None:
        """What must not matter: a write while busy, or data without a write."""
        self.dut.write.value = int(write)
        self.dut.port.value, self.dut.data.value = int(self.rng.choice(OWN)), int(self.rng.integers(1 << 16))

    async def push(self, value: int) -> None:
        """A new value; `write` compares all of the old one on its way out."""
        for word in range(4):
            await self.write(Out.PUSH, value >> 16 * word)

    async def factor(self, value: int) -> None:
        await self.write(Out.FACTOR_LOW, value)
        await self.write(Out.FACTOR_HIGH, value >> 16)


async def start(dut) -> Driver:
    rng = bench.rng()
    driver = Driver(dut, await bench.start(dut, Product()), rng)
    # Its content is unknown until it has been pushed out.
    for _ in range(4):
        dut.write.value, dut.port.value, dut.data.value = 1, int(Out.PUSH), 0
        await driver.edge
    dut.write.value, driver.model.value = 0, 0
    return driver


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def products(dut):
    """Factors and multipliers at all extremes, and again with the same factor."""
    driver = await start(dut)
    rng = driver.rng
    factors = [*INT32, 0, 1, -1, 0x8000, -0x8000, 0xFFFF, -0x10000] + [int(rng.integers(*INT32)) for _ in range(12)]
    for factor in factors:
        await driver.factor(factor)
        for multiplier in (int(rng.choice([0, 1, MANTISSA, 1 << 23])), int(rng.integers(MANTISSA + 1))):
            await driver.push(multiplier)
            await driver.write(Out.MULTIPLY, int(rng.integers(1 << 16)))
            if rng.random() < 0.4:
                await driver.write(Out.SHIFT, int(rng.integers(64)))
    await driver.push(0)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def shifts(dut):
    """Every shift, of numbers with and without bits below the last one lost."""
    driver = await start(dut)
    rng = driver.rng
    for places in rng.permutation(64).tolist():
        half = 1 << max(places - 1, 0)
        numbers = [-half, half - 1, 3 * half + 1, *INT64, -1, int(rng.integers(*INT64))]
        for number in [*rng.choice(numbers, 2, replace=False).tolist(), int(rng.integers(1 << 30)) << places]:
            await driver.push(int(number))
            await driver.write(Out.SHIFT, places)
    await driver.push(0)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def writes_of_others(dut):
    """Ports that are not its own change nothing."""
    driver = await start(dut)
    rng = driver.rng
    await driver.factor(-5)
    await driver.push(77)
    for port in rng.permutation(FOREIGN).tolist():
        await driver.write(port, int(rng.integers(1 << 16)))
    await driver.write(Out.MULTIPLY, 0)
    for port in rng.permutation(FOREIGN).tolist():
        await driver.write(port, int(rng.integers(1 << 16)))
    assert driver.model.value == -385
    await driver.push(0)
