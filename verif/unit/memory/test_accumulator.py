"""The accumulator against verif/golden/accumulator.py: every port in every cycle."""

import cocotb
import pytest

from hdl.memory.accumulator import Accumulator
from verif import bench
from verif.agents.pace import paces
from verif.agents.streams import garbage
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE
from verif.golden import accumulator as golden

READ_LATENCY = 2
CONFIGS = {config.name: config for config in (TINY, TINY_WIDE, TINY_NARROW_BUS)}


@pytest.mark.parametrize("case", CONFIGS)
def test_accumulator(simulate, case):
    simulate(Accumulator(CONFIGS[case]), case)


class Traffic:
    """Draws requests for all ports and drives them."""

    def __init__(self, dut, component, config, rng):
        self.dut, self.component, self.config, self.rng = dut, component, config, rng
        self.model = golden.Accumulator(config.accumulator_words, config.columns)
        self.pace = {name: paces(rng, stretch=20) for name in ("accumulate", *golden.READS, *golden.WRITES)}
        self.waiting: dict[str, tuple] = {}
        self.recent: list = [None] * (golden.DISTANCE - 1)
        self.span = 1

    def row(self) -> int:
        """Few rows at a time, on both sides of the border between the banks."""
        rows = self.config.accumulator_words
        return int(self.rng.integers(-self.span, self.span) + rows // 2) % rows

    def accumulation(self):
        """(row, sums, overwrite) or None; no row again sooner than DISTANCE, nor one that is about to be written."""
        row = self.row()
        written = {self.waiting[port][0] for port in golden.WRITES if port in self.waiting}
        if row in self.recent or row in written or not next(self.pace["accumulate"]):
            return None
        limit = self.config.rows << 14
        sums = self.rng.integers(-limit, limit, self.config.columns, endpoint=True)
        if self.rng.random() < 0.2:
            sums[:] = self.rng.choice([-limit, limit])
        return row, sums.tolist(), bool(self.rng.random() < 0.2)

    def request(self, port):
        """(row, first byte, size, data, enables) of a port that asks, or None."""
        row_bytes, row = self.model.row_bytes, self.row()
        if not next(self.pace[port]) or (port in golden.WRITES and row in self.recent):
            return None
        size = row_bytes if port.startswith("vector") else self.config.bus_bytes
        data, enables = b"", []
        if port in golden.WRITES:
            data, parts = self.rng.bytes(size), self.config.lane_groups if port == "vector_write" else 1
            if self.rng.random() < 0.2:
                data = int(self.rng.choice([-(2**31), 2**31 - 1])).to_bytes(4, "little", signed=True) * (size // 4)
            mask = int(self.rng.integers(1 << parts)) if parts > 1 else 1
            enables = [bool(mask >> i * parts // size & 1) for i in range(size)]
        return row, int(self.rng.integers(row_bytes // size)) * size, size, data, enables

    def drive(self, accumulation):
        dut, rng = self.dut, self.rng
        row, sums, overwrite = accumulation or (self.row(), [0] * self.config.columns, bool(rng.integers(2)))
        dut.accumulate__valid.value = accumulation is not None
        dut.accumulate__row.value, dut.accumulate__overwrite.value = row, overwrite
        dut.accumulate__data.value = bench.pack(self.component.accumulate.data.shape(), sums)
        for port in (*golden.READS, *golden.WRITES):
            valid, address = getattr(dut, f"{port}__valid"), getattr(dut, f"{port}__address")
            valid.value = port in self.waiting
            if port not in self.waiting:
                address.value = garbage(len(address))
                continue
            row, first, size, data, enables = self.waiting[port]
            address.value = (row * self.model.row_bytes + first) // size
            if port in golden.WRITES:
                getattr(dut, f"{port}__data").value = int.from_bytes(data, "little")
                parts = len(mask := getattr(dut, f"{port}__mask"))
                mask.value = sum(enables[part * size // parts] << part for part in range(parts))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_traffic(dut):
    """Who is served, and the data of every read."""
    config, rng = CONFIGS[bench.case()], bench.rng()
    component = Accumulator(config)
    traffic = Traffic(dut, component, config, rng)
    model, waiting = traffic.model, traffic.waiting
    edge = await bench.start(dut, component)
    expected: list[dict] = [{}] * READ_LATENCY
    for cycle in range(1500):
        if cycle % 50 == 0:
            traffic.span = int(rng.choice([2, 4, config.accumulator_rows]))
        accumulation = traffic.accumulation()
        traffic.recent = [*traffic.recent[1:], accumulation and accumulation[0]]
        for port in (*golden.READS, *golden.WRITES):
            if port not in waiting and (request := traffic.request(port)):
                waiting[port] = request
        traffic.drive(accumulation)
        await edge
        granted = {port for port in waiting if getattr(dut, f"{port}__ready").value == 1}
        rows = {port: request[0] for port, request in waiting.items()}
        assert granted == model.grants(rows, accumulation), (cycle, rows, accumulation)
        for port, want in expected.pop(0).items():
            got = int(getattr(dut, f"{port}__data").value).to_bytes(len(want), "little")
            assert all(byte in (None, found) for byte, found in zip(want, got)), (cycle, port, want, list(got))
        taken = {port: waiting.pop(port) for port in sorted(granted)}
        writes = [(row, first, data, on) for row, first, _, data, on in taken.values() if data]
        expected.append(model.access({p: request[:3] for p, request in taken.items() if p in golden.READS}, writes))
        model.accumulate(accumulation)
