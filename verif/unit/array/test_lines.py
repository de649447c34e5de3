"""The sequencer for a fast clock: every row of any instruction, as verif/golden/address.py counts them."""

from collections.abc import Iterator
from math import prod

import cocotb
import pytest

from gemmary.config import Config
from gemmary.isa import MAX_COUNT, Instruction, Opcode
from hdl.array.lines import LineSequencer, held_layout
from hdl.interfaces import ACCUMULATE_DISTANCE, instruction_layout
from verif import bench, runner
from verif.agents.pace import always
from verif.agents.streams import Replayed, Source, garbage
from verif.configs import TINY, TINY_NARROW_BUS
from verif.golden import address as golden
from verif.golden.vector import bounded, steps

LAYOUT = instruction_layout(Opcode.MATMUL)
LOOPS = ("n", "k", "ky", "kx", "y", "x")
SHORTEST, BETWEEN, LATENCY = 3, 5, 20
"""Cycles of a line, of a new instruction, and until the first row is there and the last one has gone."""

CONFIGS = {config.name: config for config in (TINY, TINY_NARROW_BUS)}


def test_line_sequencer(monkeypatch, tmp_path):
    """Under one simulator."""
    monkeypatch.setenv("GEMMARY_CASE", TINY.name)
    model = runner.build(LineSequencer(TINY), "lines", "icarus")
    runner.run(model, __name__, tmp_path, 1, tests="rows|without_pauses")


@pytest.mark.nightly
@pytest.mark.parametrize("case", CONFIGS)
def test_line_sequencer_at_length(simulate, case):
    simulate(LineSequencer(CONFIGS[case]), case)


def rows(instruction: Instruction, offset: int, config: Config) -> Iterator[dict]:
    """What docs/isa-semantics.md says of every iteration, without ``hold``."""
    counts = instruction.counts
    walks = {
        walk: golden.addresses(counts, getattr(instruction, f"{walk}_address"), steps(instruction, walk))
        for walk in ("activation", "accumulator")
    }
    indices = list(golden.iterations(counts))
    for number, (index, activation, accumulator) in enumerate(zip(indices, walks["activation"], walks["accumulator"])):
        read = bounded(instruction, index)
        yield {
            "activation": activation,
            "accumulator": accumulator,
            "read": read,
            "constant": instruction.constant,
            "overwrite": not instruction.accumulate and index["k"] == index["ky"] == index["kx"] == 0,
            "swap": index["y"] == index["x"] == 0,
            "beyond": bool(
                (read and activation >= config.activation_words)
                or accumulator >= config.accumulator_words
                or instruction.window
            ),
            "last": number == len(indices) - 1,
            "signal": instruction.signal,
            "offset": offset,
        }


def with_hold(sequence: list[dict]) -> list[dict]:
    """``hold`` keeps rows of one accumulator row ACCUMULATE_DISTANCE cycles apart, whatever else makes them wait; it means nothing where a row
    that is never issued is among them."""
    result = []
    for number, row in enumerate(sequence):
        before = sequence[max(0, number - ACCUMULATE_DISTANCE + 1) : number][::-1]
        hold = None
        if not any(other["beyond"] for other in (row, *before)):
            ages = [age for age, other in enumerate(before) if other["accumulator"] == row["accumulator"]]
            hold = ACCUMULATE_DISTANCE - 1 - ages[0] if ages else 0
        result.append(row | {"hold": hold})
    return result


class Draw:
    """Instructions of every shape; most are legal, near the borders of the memories."""

    def __init__(self, config: Config, rng):
        self.config, self.rng = config, rng

    def below(self, end: int) -> int:
        return int(self.rng.integers(end))

    def counts(self, total: int) -> dict[str, int]:
        """Lines of 1, 2, 3 and more rows, and other loops that often do not turn."""
        x = int(self.rng.choice([1, 1, 2, 2, 3, 3, 4, 5, 20]))
        counts, total = dict.fromkeys(LOOPS, 1) | {"x": x}, max(1, total // x)
        for loop in self.rng.permutation(LOOPS[:-1]):
            if self.rng.random() < 0.5:
                counts[str(loop)] = 1 + self.below(min(total, 5))
                total //= counts[str(loop)]
        return counts

    def axis(self, axis: str) -> dict[str, int]:
        big = self.rng.random() < 0.2
        start, step, limit = (1 << 15, 256, 1 << 16) if big else (5, 4, 9)
        return {
            f"{axis}_start": self.below(2 * start) - start,
            f"{axis}_stride": self.below(step),
            f"{axis}_dilation": self.below(step),
            f"{axis}_limit": self.below(limit),
        }

    def walk(self, walk: str, words: int, anywhere: bool) -> dict[str, int]:
        steps = {f"{walk}_step_{loop}": int(self.rng.choice([0, 0, 1, 1, 2, 3])) for loop in LOOPS}
        if anywhere:
            steps = {name: self.below(1 << 16) - (1 << 15) for name in steps}
        return steps | {f"{walk}_address": self.below(1 << 16 if anywhere else words)}

    def same_rows(self, x: int) -> Instruction:
        """One whose lines of ``x`` rows all have the same accumulator rows."""
        counts = {f"count_{loop}": 1 for loop in LOOPS} | {"count_x": x, "count_y": 6}
        steps = {"accumulator_step_x": 1, "accumulator_step_y": 1 - x, "accumulator_address": 3}
        return self.instruction(**counts, **steps, y_limit=0, window=0)

    def instruction(self, total: int = 120, **fields) -> Instruction:
        names = [name for name, _ in LAYOUT if name not in ("offset", "wait") and not name.endswith("dtype")]
        drawn = {}
        for name in names:
            low, width = (-(1 << LAYOUT[name].width - 1) if LAYOUT[name].shape.signed else 0), LAYOUT[name].width
            drawn[name] = low + self.below(1 << width)
        drawn |= {f"count_{loop}": count for loop, count in self.counts(total).items()}
        drawn |= self.axis("y") | self.axis("x")
        for walk, words in (
            ("activation", self.config.activation_words),
            ("accumulator", self.config.accumulator_words),
        ):
            drawn |= self.walk(walk, words, self.rng.random() < 0.15)
        drawn["window"] = int(self.rng.random() < 0.1)
        return Instruction(Opcode.MATMUL, **(drawn | fields))


class Lingering(Source):
    """Leaves the payload as it is for a cycle after the transfer, without ``valid``: the engine takes it away no sooner."""

    async def _run(self):
        while True:
            if not self.items or not next(self.pace):
                await self.edge
                continue
            self.valid.value, self.payload.value = 1, bench.pack(self.shape, self.items[0])
            await self.edge
            while self.ready.value != 1:
                await self.edge
            self.items.popleft()
            self.sent += 1
            self.valid.value = 0
            await self.edge
            self.payload.value = garbage(self.width)


class Setup:
    def __init__(self, dut):
        self.dut, self.config, self.rng = dut, CONFIGS[bench.case()], bench.rng()
        self.draw, self.expected, self.sent = Draw(self.config, self.rng), [], []

    async def start(self, pace=None):
        self.edge = await bench.start(self.dut, LineSequencer(self.config))
        self.source = Lingering(self.dut, "i", LAYOUT, self.edge, self.rng, pace=pace and pace())
        self.sink = Replayed(self.dut, "o", held_layout(self.config), self.edge, self.rng, pace=pace and pace())
        return self

    def send(self, instruction: Instruction) -> None:
        offset = self.draw.below(1 << 24)
        fields = {name: getattr(instruction, name) for name, _ in LAYOUT if name != "offset"}
        self.source.send(fields | {"offset": offset})
        self.sent.append(instruction)
        self.expected += rows(instruction, offset, self.config)

    async def compare(self, cycles: int):
        """Within so many cycles every row comes, and none after them."""
        for _ in range(cycles):
            if len(self.sink.items) >= len(self.expected):
                break
            await self.edge
        for _ in range(LATENCY):
            await self.edge
        assert len(self.sink.items) == len(self.expected), "rows lost or too many"
        for number, (got, want) in enumerate(zip(self.sink.items, with_hold(self.expected))):
            for field, value in want.items():
                assert value is None or got[field] == value, (number, field, got, want)


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def random_rows(dut):
    """Instructions at any distance, rows taken at random."""
    setup = await Setup(dut).start()
    while len(setup.expected) < 2500:
        setup.send(setup.draw.instruction())
        if setup.rng.random() < 0.2:
            setup.send(setup.draw.same_rows(1 + setup.draw.below(4)))
    await setup.compare(60 * len(setup.expected))
    sequence = with_hold(setup.expected)
    assert {row["hold"] for row in sequence} == {None, *range(ACCUMULATE_DISTANCE)}
    for field in ("read", "overwrite", "swap", "beyond"):
        assert 50 < sum(bool(row[field]) for row in sequence) < len(sequence) - 50, field


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def rows_without_pauses(dut):
    """Back to back, and always taken: lines of 3 rows or more without a gap, no shorter one and no instruction takes longer than it may."""
    setup = await Setup(dut).start(always)
    for x in (1, 2, 3, 4, 5, 20, 1, 1, 3, 2):
        setup.send(setup.draw.instruction(count_x=x))
    lines = [
        prod(word.counts[loop] for loop in LOOPS[:-1]) * max(SHORTEST, word.count_x) + BETWEEN for word in setup.sent
    ]
    await setup.compare(sum(lines) + LATENCY)


@cocotb.test(timeout_time=3, timeout_unit="ms")
async def the_longest_line(dut):
    """MAX_COUNT rows, and as many lines."""
    setup = await Setup(dut).start(always)
    for loop in ("x", "y"):
        ones = {f"count_{other}": 1 for other in LOOPS}
        setup.send(setup.draw.instruction(**(ones | {f"count_{loop}": MAX_COUNT})))
    await setup.compare(5 * MAX_COUNT)
