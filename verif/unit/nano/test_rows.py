"""The rows of nano against verif/golden/nano_rows.py: which are asked for, from where, to where, and in which cycle."""

import cocotb
import pytest

from gemmary.config import PRESETS
from gemmary.isa import MAX_COUNT
from hdl.nano.instructions import Mode, Out
from hdl.nano.rows import SUMMED, Rows
from verif import bench
from verif.golden import nano_rows as golden

NANO = PRESETS["nano"]
COORDINATES = -(1 << 17), (1 << 17) - 1
"""Of a first row, inclusive."""


@pytest.mark.parametrize("case", ["nano"])
def test_rows(simulate, case):
    simulate(Rows(NANO), case)


class Driver:
    """Writes the ports, and records what happens in each cycle."""

    def __init__(self, dut, edge, rng):
        self.dut, self.edge, self.rng = dut, edge, rng
        self.setup = golden.Setup()
        self.slow = self.overwrite = False
        self.constant = 0

    async def write(self, port: Out, data: int) -> None:
        self.dut.write.value, self.dut.port.value, self.dut.data.value = 1, int(port), data & 0xFFFF
        await self.edge
        self.idle()

    def idle(self) -> None:
        self.dut.write.value = 0
        self.dut.port.value, self.dut.data.value = int(self.rng.integers(32)), int(self.rng.integers(1 << 16))

    async def prepare(self, slow=False, overwrite=False, constant=0, **fields) -> None:
        """Sets up what ``fields`` of `golden.Setup` name, and always the mode and x."""
        for name, value in fields.items():
            setattr(self.setup, name, value)
        self.slow, self.overwrite, self.constant = slow, overwrite, constant
        mode = constant & 0xFF | self.setup.y_inside << Mode.INSIDE | overwrite << Mode.OVERWRITE | slow << Mode.SLOW
        writes = [(port, fields[name]) for name, port in PORTS.items() if name in fields]
        writes += [(Out.X_LOW, self.setup.x), (Out.X_HIGH, self.setup.x >> 16), (Out.MODE, mode)]
        writes += [(Out.PUSH, 1), (Out.WEIGHTS, 2)]  # not its own
        for index in self.rng.permutation(len(writes)):
            await self.write(*writes[index])

    async def advance(self) -> None:
        await self.write(Out.ADVANCE, int(self.rng.integers(1 << 16)))
        self.setup.advance()

    async def go(self, count: int) -> None:
        """Sends rows and compares everything, cycle by cycle; cycle 0, of the first row, is the one after START."""
        dut = self.dut
        rows, failed = golden.walk(NANO, self.setup, count)
        await self.write(Out.START, count)
        trace = []
        while True:
            await self.edge
            trace.append({name: int(getattr(dut, name).value) for name in OUTPUTS})
            if not trace[-1]["busy"]:
                break
            assert len(trace) < 2 * count + 30, "busy for ever"
        for _ in range(3):
            await self.edge
            trace.append({name: int(getattr(dut, name).value) for name in OUTPUTS})
        assert [cycle["failed"] for cycle in trace[-4:]] == [failed] * 4
        self._compare(rows, failed, trace)

    def _compare(self, rows, failed, trace) -> None:
        cycles = {name: [cycle for cycle, values in enumerate(trace) if values[name]] for name in OUTPUTS}
        times = {(1 + self.slow) * number: row for number, row in enumerate(rows)}
        read, written = ([cycle + later for cycle in times] for later in (SUMMED, SUMMED + 1))
        asked = [cycle for cycle, row in times.items() if row.inside]
        if failed:
            # Of those before the failure the last may be dropped; the failing one may be read, but is not written.
            kept = len(cycles["written"])
            assert len(rows) - SUMMED <= kept <= len(rows)
            assert read[:kept] == cycles["summed"][:kept] and len(cycles["summed"]) <= kept + 1
            assert written[:kept] == cycles["written"]
            assert cycles["request"][: len(asked)] == asked
            assert not any(values["failed"] and (values["request"] or values["summed"]) for values in trace)
        else:
            assert (cycles["request"], cycles["summed"], cycles["written"]) == (asked, read, written)
            assert cycles["busy"] == list(range(written[-1] + 1))
        for cycle, row in times.items():
            now, answer = trace[cycle], trace[cycle + 1]
            assert not row.inside or now["activation"] == row.activation, (cycle, row)
            assert (answer["inside"], answer["constant"]) == (row.inside, self.constant & 0xFF), (cycle, row)
            if cycle + SUMMED + 1 in cycles["written"]:
                now, after = trace[cycle + SUMMED], trace[cycle + SUMMED + 1]
                assert now["accumulator"] == after["target"] == row.accumulator, (cycle, row)
                assert (after["overwrite"], after["busy"]) == (self.overwrite, 1), (cycle, row)


OUTPUTS = [
    "request",
    "activation",
    "inside",
    "constant",
    "overwrite",
    "summed",
    "accumulator",
    "written",
    "target",
    "busy",
    "failed",
]
PORTS = {
    "activation": Out.ACTIVATION_ADDRESS,
    "activation_step": Out.ACTIVATION_STEP,
    "accumulator": Out.ACCUMULATOR_ADDRESS,
    "accumulator_step": Out.ACCUMULATOR_STEP,
    "stride": Out.X_STRIDE,
    "limit": Out.X_LIMIT,
}


def fields(rng, count: int) -> dict:
    """Rows of which most lie in their memories, at all edges of them."""
    words = {"activation": NANO.activation_words, "accumulator": NANO.accumulator_words}
    values = {}
    for name, size in words.items():
        step = int(rng.choice([0, 1, size // 2, size - 1, 65535, 65536 - size, rng.integers(65536)]))
        if rng.random() < 0.6:
            step = int(rng.integers(-(size // count), size // count + 1)) % 65536
        start = int(rng.choice([0, size - 1, (-count // 2 * step) % size, rng.integers(size)]))
        values |= {name: start, f"{name}_step": step}
    stride = int(rng.choice([0, 1, 2, 255, rng.integers(256)]))
    limit = int(rng.choice([0, 1, 65535, rng.integers(1, 300)]))
    around = int(rng.choice([0, limit, 65536, -65536, rng.integers(-300, 300)]))
    x = around - int(rng.integers(count + 1)) * stride + int(rng.integers(-1, 2))
    return values | {"stride": stride, "limit": limit, "x": x, "y_inside": bool(rng.random() < 0.9)}


def mode(rng) -> dict:
    constant = int(rng.choice([-128, 127, 0, -1, rng.integers(-128, 128)]))
    return {"slow": bool(rng.random() < 0.3), "overwrite": bool(rng.random() < 0.5), "constant": constant}


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_rows(dut):
    """Any steps, bounds and modes; what is not written again, stays."""
    rng = bench.rng()
    driver = Driver(dut, await bench.start(dut, Rows(NANO)), rng)
    driver.idle()
    await driver.prepare(**fields(rng, 1), **mode(rng))
    failures = 0
    for _ in range(120):
        count = int(rng.choice([1, 2, rng.integers(1, 30)]))
        chosen = fields(rng, count)
        kept = [] if int(dut.failed.value) else list(PORTS)
        again = {name: value for name, value in chosen.items() if name not in kept or rng.random() < 0.7}
        await driver.prepare(**again, **mode(rng))
        for _ in range(int(rng.integers(3))):
            await driver.advance()
        await driver.go(count)
        failures += int(dut.failed.value)
    assert 15 <= failures <= 90, failures


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def addresses_outside(dut):
    """The last word of a memory is inside, the next is not; the addresses of a constant row do not matter."""
    rng = bench.rng()
    driver = Driver(dut, await bench.start(dut, Rows(NANO)), rng)
    steps = {"activation_step": 1, "accumulator_step": 1, "stride": 1, "limit": 10, "x": 0, "y_inside": True}
    sizes = {"activation": NANO.activation_words, "accumulator": NANO.accumulator_words}
    for name, size in sizes.items():
        for last in (size - 1, size, size + 1, 65535):
            await driver.prepare(**steps | {"activation": 7, "accumulator": 9} | {name: last})
            await driver.go(1)
            assert int(dut.failed.value) == (last >= size)
            await driver.prepare(**steps | {"activation": 7, "accumulator": 9} | {name: (last - 4) % 65536})
            await driver.go(6)
            assert int(dut.failed.value) == (last >= size - 1)
    await driver.prepare(**steps | {"activation": 65530, "accumulator": 0, "limit": 0})
    await driver.go(6)
    assert not int(dut.failed.value)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(start=[-(1 << 17), -32768, 60000, (1 << 17) - 1])
async def coordinates_do_not_wrap(dut, start):
    """The longest run there is, in the longest strides: once past its limit, x stays there."""
    driver = Driver(dut, await bench.start(dut, Rows(NANO)), bench.rng())
    still = {"activation": 1, "activation_step": 0, "accumulator": 2, "accumulator_step": 0}
    await driver.prepare(**still, stride=255, limit=65535, x=start, y_inside=True)
    await driver.go(MAX_COUNT if start == 60000 else 900)
