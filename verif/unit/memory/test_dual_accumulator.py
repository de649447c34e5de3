"""The accumulator between two clocks against verif/golden/accumulator.py, in every relation of the clocks."""

import dataclasses

import cocotb
import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config
from hdl.crossing.flush import MARGIN, Flush, counter_bits
from hdl.crossing.write import SingleWrite
from hdl.interfaces import ACCUMULATE_DISTANCE, SUM_LEAD
from hdl.memory.dual_accumulator import DualAccumulator, passage
from verif import bench, runner
from verif.agents.clocks import RELATIONS, TwoClocks, start
from verif.agents.pace import paces
from verif.agents.streams import garbage
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE
from verif.golden import accumulator as golden
from verif.unit.crossing.harness import soft_reset

READ_LATENCY = 2


def patience(config: Config) -> int:
    """Cycles of ``sync`` that a write may take with nothing in its way: those of ``fast`` past the columns and there and back, where that is the slower
    clock."""
    slow, fast, _ = RELATIONS["slower"]
    return (config.columns + 20) * fast // slow


BROAD = dataclasses.replace(TINY, name="tiny-broad", rows=32, columns=32, activation_bytes=4096, weight_bytes=4096)
"""Its rows take longest to pass the columns."""

CONFIGS = {config.name: config for config in (TINY, TINY_WIDE, TINY_NARROW_BUS, BROAD)}


class Memory(wiring.Component):
    """The accumulator and the flush that empties it; ``quiet``: nothing is on its way."""

    def __init__(self, config):
        self.memory = DualAccumulator(config)
        members = {name: member for name, member in self.memory.signature.members.items() if name != "crossing"}
        super().__init__(members | {"resetting": In(1), "quiet": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.flush_crossing = flush = Flush(passage(self.memory.config))
        m.submodules.memory = memory = self.memory
        for name in ("accumulate", *golden.READS, *golden.WRITES):
            connect(m, flipped(getattr(self, name)), getattr(memory, name))
        m.d.comb += [
            flush.resetting.eq(self.resetting),
            memory.crossing.flush.eq(flush.flush),
            memory.crossing.closed.eq(self.resetting | flush.flushed),
            self.quiet.eq(flush.flushed & memory.crossing.empty),
        ]
        return m


def test_dual_accumulator(monkeypatch, tmp_path):
    """In one relation and under one simulator."""
    monkeypatch.setenv("GEMMARY_CASE", TINY.name)
    model = runner.build(TwoClocks(Memory(TINY)), "dual-accumulator", "icarus")
    runner.run(model, __name__, tmp_path, 1, tests="(random|a_soft).*relation=5.*")


@pytest.mark.nightly
@pytest.mark.parametrize("case", CONFIGS)
def test_dual_accumulator_in_every_relation(simulate, case):
    simulate(TwoClocks(Memory(CONFIGS[case])), case)


class Traffic:
    """Both sides draw requests as semaphores would let them: nobody reads or writes a row before the last accumulation into it is visible,
    nor accumulates into one that is about to be written. Reads of other rows are made too, but not looked at."""

    def __init__(self, dut, config, edges, rng):
        self.dut, self.config, self.rng = dut, config, rng
        self.slow, self.fast = edges
        self.model = golden.Accumulator(config.accumulator_words, config.columns)
        self.visible = SUM_LEAD + 3 + config.columns
        self.pace = {name: paces(rng, stretch=20) for name in ("accumulate", *golden.READS, *golden.WRITES)}
        self.span = 2
        self.accumulates, self.asks = True, True
        self.cycle, self.since = 0, {}  # of fast: now, and when each row was last accumulated into
        self.waiting: dict[str, tuple] = {}
        self.wanted: dict[str, tuple] = {}
        self.age = dict.fromkeys(golden.WRITES, 0)
        self.compared, self.served = 0, dict.fromkeys((*golden.READS, *golden.WRITES), 0)
        self.tasks = [cocotb.start_soon(self._accumulate()), cocotb.start_soon(self._access())]

    def row(self) -> int:
        return int(self.rng.integers(min(self.span, self.config.accumulator_words)))

    def settled(self, row: int) -> bool:
        return self.cycle - self.since.get(row, -self.visible) >= self.visible

    def about_to_be_written(self) -> set[int]:
        return {self.waiting[port][0] for port in golden.WRITES if port in self.waiting}

    # In fast.

    def _accumulation(self):
        """(row, sums, overwrite) or None."""
        row = self.row()
        recent = self.cycle - self.since.get(row, -ACCUMULATE_DISTANCE) < ACCUMULATE_DISTANCE
        if not next(self.pace["accumulate"]) or not self.accumulates or recent or row in self.about_to_be_written():
            return None
        limit = self.config.rows << 14
        sums = self.rng.integers(-limit, limit, self.config.columns, endpoint=True)
        if self.rng.random() < 0.2:
            sums[:] = self.rng.choice([-limit, limit])
        return row, sums.tolist(), bool(self.rng.random() < 0.2)

    async def _accumulate(self):
        dut, columns, bits = self.dut, self.config.columns, self.config.psum_bits
        on_the_way: list = [None] * (SUM_LEAD + columns)
        while True:
            request = self._accumulation()
            if request:
                self.since[request[0]] = self.cycle
                self._carry_out(request)
            row, _, overwrite = request or (self.row(), None, int(self.rng.integers(2)))
            dut.accumulate__valid.value = request is not None
            dut.accumulate__row.value, dut.accumulate__overwrite.value = row, overwrite
            on_the_way = [request, *on_the_way[:-1]]
            word = 0
            for c in range(columns):  # those of column c belong to the row of SUM_LEAD + c cycles ago
                of = on_the_way[SUM_LEAD + c]
                word |= (bench.pack(bits, of[1][c]) if of else garbage(bits)) << c * bits
            dut.accumulate__data.value = word
            await self.fast
            self.cycle += 1

    def _carry_out(self, request):
        """At once: nobody looks before it is visible."""
        for step in (request, *[None] * golden.WRITE_STAGE):
            self.model.access({}, [])
            self.model.accumulate(step)

    # In sync.

    def _request(self, port):
        """(row, first byte, size, data, enables) of a port that asks, or None."""
        row_bytes, row = self.model.row_bytes, self.row()
        if port in self.wanted:
            return self.wanted.pop(port)
        if not next(self.pace[port]) or not self.asks:
            return None
        writes = port in golden.WRITES
        if writes and (not self.settled(row) or row in self.about_to_be_written()):
            return None
        size = row_bytes if port.startswith("vector") else self.config.bus_bytes
        data, enables = b"", []
        if writes:
            parts = self.config.lane_groups if port == "vector_write" else 1
            # The vector engine puts its lane group into every place of the row.
            data = self.rng.bytes(size // parts) * parts
            mask = int(self.rng.integers(1 << parts)) if parts > 1 else 1
            enables = [bool(mask >> i * parts // size & 1) for i in range(size)]
        return row, int(self.rng.integers(row_bytes // size)) * size, size, data, enables

    def _drive(self):
        dut = self.dut
        for port in (*golden.READS, *golden.WRITES):
            if port not in self.waiting and (request := self._request(port)):
                self.waiting[port] = request
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

    async def _access(self):
        dut, expected = self.dut, [{}] * READ_LATENCY
        while True:
            self._drive()
            await self.slow
            granted = {port for port in self.waiting if getattr(dut, f"{port}__ready").value == 1}
            reading = [port for port in golden.READS if port in self.waiting]
            assert granted & set(golden.READS) == set(reading[:1]), "a read waits for nothing but the one before it"
            assert len(granted & set(golden.WRITES)) <= 1, "writes are accepted one at a time"
            for port, want in expected.pop(0).items():
                if not any(byte is not None for byte in want):
                    continue  # it may be X
                got = int(getattr(dut, f"{port}__data").value).to_bytes(len(want), "little")
                assert all(byte in (None, found) for byte, found in zip(want, got)), (port, want, list(got))
                self.compared += sum(byte is not None for byte in want)
            taken = {port: self.waiting[port] for port in sorted(granted)}
            # A row that somebody is writing is not looked at.
            busy = self.about_to_be_written()
            reads = {p: t[:3] for p, t in taken.items() if p in golden.READS}
            writes = [(row, first, data, on) for row, first, _, data, on in taken.values() if data]
            read = self.model.access(reads, writes)
            self.model.accumulate(None)
            for port, (row, _, size) in reads.items():
                if row in busy or not self.settled(row):
                    read[port] = [None] * size
            expected.append(read)
            for port in granted:
                del self.waiting[port]
                self.served[port] += 1
            for port, other in zip(golden.WRITES, reversed(golden.WRITES)):
                alone = port in self.waiting and other not in self.waiting and not self.accumulates
                self.age[port] = self.age[port] + 1 if alone else 0
                assert self.age[port] < patience(self.config), f"{port} is not accepted though nobody accumulates"

    # Of both.

    async def show_everything(self):
        """Lets everything end, then reads every row."""
        self.asks = self.accumulates = False
        for _ in range(3 * patience(self.config)):
            await self.slow
        assert not self.waiting
        for row in range(self.config.accumulator_words):
            self.wanted["vector_read"] = row, 0, self.model.row_bytes, b"", []
            while self.wanted:
                await self.slow
        for _ in range(READ_LATENCY + 2):
            await self.slow
        self.asks = self.accumulates = True

    def forget(self):
        """What was on its way is written or not."""
        for row in {*self.about_to_be_written(), *(row for row in self.since if not self.settled(row))}:
            self.model.defined[row] = False


def test_a_flush_lasts_until_all_has_arrived():
    """Also past more columns than its shortest time is for."""
    assert all(passage(config) > config.columns for config in CONFIGS.values())
    for cycles in (8, 55, 56, 66, 260):
        assert 2 ** counter_bits(cycles) - 1 >= cycles + MARGIN


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def random_traffic(dut, relation):
    """Every port at once: who is served, what reads give, and that a write accepted is in both copies and whole."""
    config, rng = CONFIGS[bench.case()], bench.rng()
    traffic = Traffic(dut, config, await start(dut, Memory(config), relation), rng)
    rounds = 0
    while (rounds := rounds + 1) <= 12 or min(traffic.served.values()) <= 15:  # the timeout sees who is never served
        traffic.span = int(rng.choice([2, 4, 8, config.accumulator_words]))
        traffic.accumulates = bool(rng.random() < 0.8)
        for _ in range(80):
            await traffic.slow
    await traffic.show_everything()
    assert traffic.compared > 500, traffic.compared


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def accumulations_come_first(dut, relation):
    """While one comes in every cycle no write is accepted; it is as soon as there is room, and nothing is lost."""
    config, rng = CONFIGS[bench.case()], bench.rng()
    traffic = Traffic(dut, config, await start(dut, Memory(config), relation), rng)
    rows = config.accumulator_words
    # Each row in turn, but for the last two, which are written.
    turn, sums = iter(range(10**6)), [1] * config.columns
    traffic._accumulation = lambda: (next(turn) % (rows - 2), sums, False) if traffic.accumulates else None
    traffic.asks = False
    for _ in range(patience(config)):
        await traffic.slow
    for port, row in zip(golden.WRITES, (rows - 2, rows - 1)):
        size = traffic.model.row_bytes if port == "vector_write" else config.bus_bytes
        parts = config.lane_groups if port == "vector_write" else 1
        traffic.wanted[port] = row, 0, size, rng.bytes(size // parts) * parts, [True] * size
    await traffic.slow
    await traffic.slow
    for _ in range(2 * patience(config)):
        await traffic.slow
        assert len(traffic.waiting) == 2, "a write that cannot have been made was accepted"
    await traffic.show_everything()


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(relation=[name for name in RELATIONS if name != "slower"])
async def a_soft_reset_leaves_nothing(dut, relation):
    """Amidst traffic: what is on its way is dropped, other rows keep what they hold, and what comes later finds all as new."""
    config, rng = CONFIGS[bench.case()], bench.rng()
    edges = await start(dut, Memory(config), relation)
    traffic = Traffic(dut, config, edges, rng)
    traffic.span = config.accumulator_words
    for round_ in range(8):
        for _ in range(int(rng.integers(1, 120))):
            await traffic.slow
        for task in traffic.tasks:
            task.cancel()
        traffic.forget()
        # The array is in reset; whoever writes is not yet.
        dut.accumulate__valid.value = 0
        for port in golden.READS if round_ % 2 else (*golden.READS, *golden.WRITES):
            getattr(dut, f"{port}__valid").value = 0
        await soft_reset(dut, traffic.slow, dut.quiet)
        for port in golden.WRITES:
            getattr(dut, f"{port}__valid").value = 0
        after = Traffic(dut, config, edges, rng)
        after.model, after.span, after.accumulates = traffic.model, traffic.span, False
        traffic = after
        while dut.quiet.value == 1:  # the flush has not yet gone, so no instruction has come
            await traffic.slow
        traffic.accumulates = True
    await traffic.show_everything()


class Early(SingleWrite):
    """Says that a write is done when it has begun to pass."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += m.submodules.acknowledged.i.valid.eq(self.o.valid & self.take)
        return m


@pytest.mark.nightly
def test_early_writes_are_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr("hdl.memory.dual_accumulator.SingleWrite", Early)
    monkeypatch.setenv("GEMMARY_CASE", TINY_NARROW_BUS.name)
    model = runner.build(TwoClocks(Memory(TINY_NARROW_BUS)), "dual-accumulator-early", "verilator")
    with pytest.raises(runner.BenchFailed):
        runner.run(model, __name__, tmp_path, 1, tests="random_traffic")
