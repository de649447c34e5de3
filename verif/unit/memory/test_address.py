"""Address generators: one iteration a step, against verif/golden/address.py."""

import cocotb
import pytest

from gemmary.isa import FORMATS, MAX_COUNT, Opcode, steps
from hdl.memory.address import Coordinate, LoopNest, Walk
from verif import bench
from verif.golden import address as golden

LOAD, MATMUL, VECTOR = (FORMATS[opcode] for opcode in (Opcode.LOAD, Opcode.MATMUL, Opcode.VECTOR))

NESTS = {"tensor": MATMUL.loops, "dma": LOAD.loops}
WALKS = {
    "activation": (MATMUL.loops, MATMUL.walk("activation").loops),
    "weight": (MATMUL.loops, MATMUL.walk("weight").loops),
    "residual": (VECTOR.loops, VECTOR.walk("residual").loops),
    "external": (LOAD.loops, LOAD.walk("external").loops, 40, 32),
}
COORDINATES = {
    "tensor-y": (MATMUL.loops, "ky", "y"),
    "vector-x": (VECTOR.loops, "x", "kx"),
}


@pytest.mark.parametrize("case", NESTS)
def test_loop_nest(simulate, case):
    simulate(LoopNest(NESTS[case]), case, tests="nest")


@pytest.mark.parametrize("case", WALKS)
def test_walk(simulate, case):
    simulate(Walk(*WALKS[case]), case, tests="walk")


@pytest.mark.parametrize("case", COORDINATES)
def test_coordinate(simulate, case):
    simulate(Coordinate(*COORDINATES[case]), case, tests="coordinate")


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def nests(dut):
    """``first``, ``advance`` and ``last`` of every iteration."""
    loops, rng = NESTS[bench.case()], bench.rng()
    nest = LoopNest(loops)
    edge = await bench.start(dut, nest)
    for counts in random_nests(rng, loops):
        dut.counts.value = bench.pack(nest.counts.shape(), counts)
        indices = list(golden.iterations(counts))
        async for iteration, loop in play(dut, edge, rng, counts):
            first = sum((index == 0) << i for i, index in enumerate(indices[iteration].values()))
            expected = (first, one_hot(loops, loop), loop is None)
            assert (int(dut.first.value), int(dut.advance.value), bool(dut.last.value)) == expected, (counts, iteration)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def walks(dut):
    """The address of every iteration, from steps as instructions hold them."""
    rng = bench.rng()
    walk = Walk(*WALKS[bench.case()])
    width, step_width = len(walk.start), bench.width(walk.steps.shape()) // len(walk.loops)
    edge = await bench.start(dut, walk)
    for counts in random_nests(rng, walk.nest):
        strides = {loop: extreme_signed(rng, step_width) for loop in walk.loops}
        by_loop = {k: v for k, v in steps(walk.nest, counts, strides, step_width).items() if k in walk.loops}
        start = extreme(rng, 0, 2**width - 1)
        dut.start.value = start
        dut.steps.value = bench.pack(walk.steps.shape(), by_loop)
        expected = list(golden.addresses(counts, start, by_loop, width))
        async for iteration, _ in play(dut, edge, rng, counts):
            dut.start.value = int(rng.integers(2**width))
            assert int(dut.address.value) == expected[iteration], (counts, by_loop, iteration)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def coordinates(dut):
    """Whether the coordinate is in bounds, in every iteration: near both limits and at the ends of every range."""
    nest, outer, inner = COORDINATES[bench.case()]
    rng = bench.rng()
    edge = await bench.start(dut, Coordinate(nest, outer, inner))
    for number, counts in enumerate(random_nests(rng, nest, extra=(outer, inner))):
        big = number % 3 == 0
        start = extreme_signed(rng, 16) if big else int(rng.integers(-6, 3))
        outer_step, inner_step = (extreme(rng, 0, 255) if big else int(rng.integers(0, 4)) for _ in range(2))
        limit = extreme(rng, 0, 65535) if big else int(rng.integers(0, 9))
        dut.start.value = bench.pack(16, start)
        dut.outer_step.value, dut.inner_step.value, dut.limit.value = outer_step, inner_step, limit
        indices = list(golden.iterations(counts))
        async for iteration, _ in play(dut, edge, rng, counts):
            index = indices[iteration]
            at = golden.coordinate(start, index[outer], outer_step, index[inner], inner_step)
            assert bool(dut.in_bounds.value) == golden.inside(at, limit), (counts, index, at, limit)


async def play(dut, edge, rng, counts):
    """Loads a nest and steps through it at random moments; yields (iteration, loop that then advances) after each cycle.

    ``advance`` is driven where it is an input.
    """
    driven = hasattr(dut, "start")
    dut.load.value = 1
    await edge
    dut.load.value = 0
    pace = rng.choice([0.3, 0.8, 1.0]) if max(counts.values()) < MAX_COUNT else 1.0
    for iteration, loop in enumerate(golden.advances(counts)):
        if driven:
            dut.advance.value = one_hot(tuple(counts), loop)
        step = False
        while not step:
            step = bool(rng.random() < pace)
            dut.step.value = step
            await edge
            yield iteration, loop
    dut.step.value = 0


def random_nests(rng, loops, extra=()):
    """Random counts, many of them 1; then long loops: the innermost one, and those of ``extra`` with a count of 2 inside."""
    for _ in range(25):
        counts, total = dict.fromkeys(loops, 1), 300
        for i in rng.permutation(len(loops)):
            if rng.random() < 0.7:
                counts[loops[i]] = int(rng.integers(1, min(total, 8) + 1))
                total //= counts[loops[i]]
        yield counts
    for loop in {loops[0], loops[-1], *extra}:
        yield dict.fromkeys(loops, 1) | {loops[-1]: 2} | {loop: MAX_COUNT}


def one_hot(loops, loop):
    return 0 if loop is None else 1 << loops.index(loop)


def extreme(rng, low, high):
    """An integer in low..high, often one of the two."""
    return int(rng.choice([low, high])) if rng.random() < 0.3 else int(rng.integers(low, high, endpoint=True))


def extreme_signed(rng, bits):
    return extreme(rng, -(1 << bits - 1), (1 << bits - 1) - 1)
