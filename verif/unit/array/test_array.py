"""The systolic array and its cell against verif/golden/array.py."""

import dataclasses

import cocotb
import numpy as np
import pytest

from hdl.array.array import SystolicArray
from hdl.array.cell import Cell
from verif import bench
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE
from verif.golden import array as golden

CONFIGS = {config.name: config for config in (TINY, TINY_WIDE, TINY_NARROW_BUS)}
CONFIGS["tiny-dot1"] = dataclasses.replace(TINY, dot=1)
DOTS = {"dot1": 1, "dot4": 4}
EXTREMES = (-128, 127)


@pytest.mark.parametrize("case", CONFIGS)
def test_array(simulate, case):
    simulate(SystolicArray(CONFIGS[case]), case, tests="tiles|no_bubble")


@pytest.mark.parametrize("case", DOTS)
def test_cell(simulate, case):
    simulate(Cell(DOTS[case]), case, tests="cell")


def int8(rng, *shape) -> np.ndarray:
    """Random int8, now and then all at one extreme."""
    if rng.random() < 0.2:
        return np.full(shape, rng.choice(EXTREMES))
    return np.where(rng.random(shape) < 0.2, rng.choice(EXTREMES, shape), rng.integers(-128, 128, shape))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def cell(dut):
    """Random activations, sums from above, loads and swaps at any distance."""
    dot, rng = DOTS[bench.case()], bench.rng()
    component, model = Cell(dot), golden.Cell(dot)
    layout = component.i.data.shape()
    edge = await bench.start(dut, component)
    sums: list[int | None] = []
    aboves: list[int] = []
    inputs: list[tuple] = []
    loaded, swapped = 0, 0
    for cycle in range(1500):
        swap = loaded == dot and rng.random() < 0.3
        loaded = 0 if swap else loaded
        load = loaded < dot and rng.random() < 0.7
        loaded += load
        swapped += swap
        activations, weight = int8(rng, dot).tolist(), int(int8(rng, 1)[0])
        above = int(rng.choice([-(2**31), 2**31 - 1, rng.integers(-(2**20), 2**20)]))
        dut.i__data.value = bench.pack(layout, activations)
        dut.i__swap.value, dut.i__load.value = bool(swap), bool(load)
        dut.weight.value, dut.above.value = bench.pack(8, weight), bench.pack(32, above)
        inputs.append((activations, int(swap), int(load)))
        sums.append(model.step(activations, swap, load, weight))
        aboves.append(above)
        await edge
        if cycle >= 1:
            out = bench.unpack(layout, dut.o__data.value), int(dut.o__swap.value), int(dut.o__load.value)
            assert out == inputs[cycle - 1], cycle
        then = cycle - component.latency
        if then >= 0 and sums[then] is not None:
            expected = bench.pack(32, sums[then] + aboves[cycle - 1])
            assert int(dut.below.value) == expected, cycle
    assert swapped > 50


@dataclasses.dataclass
class Tile:
    """Its weights, the cycle of each weight word, the cycle of its swap and those of its activation words."""

    weights: np.ndarray
    loads: list[int]
    swap: int
    words: dict[int, np.ndarray]


def plan(rng, config, component, tiles: int, steady: bool):
    """A schedule that uses the array's contract to the full: weights as early and as late as may be, tiles of any length."""
    before, after = component.WEIGHTS_BEFORE_SWAP, component.WEIGHTS_AFTER_SWAP
    result: list[Tile] = []
    free, room = 0, 0  # from when on activations and weights may follow
    for _ in range(tiles):
        hurry = steady or rng.random() < 0.6
        loads = [room + (0 if hurry else int(rng.integers(6)))]
        while len(loads) < config.rows:
            loads.append(loads[-1] + 1 + (0 if hurry else int(rng.integers(3))))
        swap = max(free, loads[-1] + before) + (0 if hurry else int(rng.integers(5)))
        length = config.rows if steady else int(rng.choice([1, 2, config.rows, 2 * config.rows + 1]))
        cycles = range(swap, swap + length)
        if not steady:
            # The swap may come without a word, and words with gaps.
            cycles = sorted(rng.choice(range(swap, swap + 2 * length), length, replace=False).tolist())
        words = {cycle: int8(rng, config.rows) for cycle in cycles}
        result.append(Tile(int8(rng, config.rows, config.columns), loads, swap, words))
        free, room = max(swap, *words) + 1, max(swap + after, loads[-1] + 1)
    shift = max(0, -min(result[0].loads))
    assert shift == 0
    return result


async def play(dut, config, component, edge, tiles):
    """Drives the tiles; compares every sum, and that nothing else is valid."""
    rng = bench.rng(1)
    row, word, sums = (value.shape() for value in (component.w.data, component.i.data, component.o.data))
    loads = {cycle: weights for tile in tiles for cycle, weights in zip(tile.loads, tile.weights)}
    swaps = {tile.swap for tile in tiles}
    words = {cycle: (values, tile) for tile in tiles for cycle, values in tile.words.items()}
    end = max(words) + component.latency + 2
    for cycle in range(end):
        weights, (values, _) = loads.get(cycle), words.get(cycle, (None, None))
        dut.w__valid.value, dut.i__valid.value = weights is not None, values is not None
        dut.i__swap.value = cycle in swaps
        dut.w__data.value = bench.pack(row, int8(rng, config.columns).tolist() if weights is None else weights.tolist())
        dut.i__data.value = bench.pack(word, int8(rng, config.rows).tolist() if values is None else values.tolist())
        await edge
        answered = words.get(cycle - component.latency)
        assert bool(dut.o__valid.value) == (answered is not None), cycle
        if answered:
            expected = golden.tile_product([answered[0]], answered[1].weights)[0].tolist()
            assert bench.unpack(sums, dut.o__data.value) == expected, cycle


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_tiles(dut):
    """Tiles of any length, weights and words with gaps."""
    config, rng = CONFIGS[bench.case()], bench.rng()
    component = SystolicArray(config)
    edge = await bench.start(dut, component)
    await play(dut, config, component, edge, plan(rng, config, component, 25, steady=False))
    # The next test begins with a tile half loaded: words are counted from reset.
    dut.w__valid.value = 1
    await edge


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def no_bubble(dut):
    """Tiles of as many words as there are rows follow each other without a gap."""
    config, rng = CONFIGS[bench.case()], bench.rng()
    component = SystolicArray(config)
    edge = await bench.start(dut, component)
    tiles = plan(rng, config, component, 12, steady=True)
    assert [tile.swap - tiles[0].swap for tile in tiles] == [config.rows * i for i in range(12)]
    await play(dut, config, component, edge, tiles)
