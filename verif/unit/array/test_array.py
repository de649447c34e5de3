"""The systolic array and its cell against verif/golden/array.py."""

import dataclasses

import cocotb
import numpy as np
import pytest

from hdl.array.array import SystolicArray
from hdl.array.cell import Cell
from verif import bench
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE, TINY_WINDOW
from verif.golden import array as golden

CONFIGS = {config.name: config for config in (TINY, TINY_WIDE, TINY_NARROW_BUS, TINY_WINDOW)}
CONFIGS["tiny-dot1"] = dataclasses.replace(TINY, dot=1)
DOTS = {f"tiny-window-dot{dot}": dataclasses.replace(TINY_WINDOW, dot=dot) for dot in (1, 2, 16)}
CELLS = {"dot1": Cell(1), "dot4": Cell(4), "dot4-window": Cell(4, window=True)}
EXTREMES = (-128, 127)


@pytest.mark.parametrize("case", CONFIGS)
def test_array(simulate, case):
    simulate(SystolicArray(CONFIGS[case]), case, tests="tiles|no_bubble")


@pytest.mark.nightly
@pytest.mark.parametrize("case", DOTS)
def test_windows_over_other_cells(simulate, case):
    simulate(SystolicArray(DOTS[case]), case, tests="tiles|no_bubble")


@pytest.mark.parametrize("case", CELLS)
def test_cell(simulate, case):
    simulate(CELLS[case], case, tests="cell")


def int8(rng, *shape) -> np.ndarray:
    """Random int8, now and then all at one extreme."""
    if rng.random() < 0.2:
        return np.full(shape, rng.choice(EXTREMES))
    return np.where(rng.random(shape) < 0.2, rng.choice(EXTREMES, shape), rng.integers(-128, 128, shape))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def cell(dut):
    """Random activations, sums from above, loads and swaps at any distance."""
    component, rng = CELLS[bench.case()], bench.rng()
    dot, model = component.dot, golden.Cell(component.dot)
    layout = component.i.data.shape()
    edge = await bench.start(dut, component)
    sums: list[int | None] = []
    aboves: list[int] = []
    inputs: list[tuple] = []
    windows: list[bool] = []
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
        if component.window:
            taps, window = int8(rng, dot).tolist(), bool(rng.integers(2))
            dut.taps.value, dut.i__window.value = bench.pack(layout, taps), window
            windows.append(window)
            activations = taps if window else activations
        sums.append(model.step(activations, swap, load, weight))
        aboves.append(above)
        await edge
        if cycle >= 1:
            out = bench.unpack(layout, dut.o__data.value), int(dut.o__swap.value), int(dut.o__load.value)
            taken = component.window and windows[cycle - 1]
            # Where there is a window, the cell on the right takes taps of its own.
            assert out[taken:] == inputs[cycle - 1][taken:], cycle
            assert not component.window or bool(dut.o__window.value) == taken, cycle
        then = cycle - component.latency
        if then >= 0 and sums[then] is not None:
            expected = bench.pack(32, sums[then] + aboves[cycle - 1])
            assert int(dut.below.value) == expected, cycle
    assert swapped > 50


@dataclasses.dataclass
class Tile:
    """Its weights, the cycle of each weight word, the cycle of its swap and those of its activation words. ``line``: how many
    words a line of a window has, 0 for an ordinary tile."""

    weights: np.ndarray
    loads: list[int]
    swap: int
    words: dict[int, np.ndarray]
    line: int = 0

    def positions(self) -> dict[int, int]:
        """In its line, of each word by its cycle."""
        return {cycle: number % max(1, self.line) for number, cycle in enumerate(sorted(self.words))}


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
        line = 0
        if config.window_line and rng.random() < 0.6:
            line = int(
                rng.choice([4, 8, 16] if steady else [3, 3, config.window_line, rng.integers(3, config.window_line)])
            )
            length = length if steady else line * int(rng.integers(1, 5))
        cycles = range(swap, swap + length)
        if not steady:
            # The swap may come without a word, and words with gaps.
            cycles = sorted(rng.choice(range(swap, swap + 2 * length), length, replace=False).tolist())
        words = {cycle: int8(rng, config.rows) for cycle in cycles}
        result.append(Tile(int8(rng, config.rows, config.columns), loads, swap, words, line))
        free, room = max(swap, *words) + 1, max(swap + after, loads[-1] + 1)
    shift = max(0, -min(result[0].loads))
    assert shift == 0
    return result


def expected_sums(tiles: list[Tile], config) -> dict[int, list[int] | None]:
    """By the cycle of the word; None where they are undefined."""
    window, result = golden.Window(config.window_line), {}
    for tile in tiles:
        positions = tile.positions()
        for cycle in sorted(tile.words):
            if tile.line:
                window.take(positions[cycle], tile.words[cycle])
                result[cycle] = window.sums(tile.weights)
            else:
                result[cycle] = golden.tile_product([tile.words[cycle]], tile.weights)[0].tolist()
    return result


async def play(dut, config, component, edge, tiles):
    """Drives the tiles; compares every sum that is defined, and that nothing else is valid."""
    rng = bench.rng(1)
    sums_of = expected_sums(tiles, config)
    positions = {cycle: position for tile in tiles if tile.line for cycle, position in tile.positions().items()}
    row, word, sums = (value.shape() for value in (component.w.data, component.i.data, component.o.data))
    loads = {cycle: weights for tile in tiles for cycle, weights in zip(tile.loads, tile.weights)}
    swaps = {tile.swap for tile in tiles}
    words = {cycle: values for tile in tiles for cycle, values in tile.words.items()}
    end = max(words) + component.latency + 2
    for cycle in range(end):
        weights, values = loads.get(cycle), words.get(cycle)
        dut.w__valid.value, dut.i__valid.value = weights is not None, values is not None
        dut.i__swap.value = cycle in swaps
        dut.w__data.value = bench.pack(row, int8(rng, config.columns).tolist() if weights is None else weights.tolist())
        dut.i__data.value = bench.pack(word, int8(rng, config.rows).tolist() if values is None else values.tolist())
        if config.window_line:
            # Without a word the flag is garbage, and so is the position where nothing asks for it.
            dut.i__window.value = cycle in positions if cycle in words else int(rng.integers(2))
            dut.i__position.value = positions.get(cycle, int(rng.integers(config.window_line)))
        await edge
        answered = words.get(cycle - component.latency)
        assert bool(dut.o__valid.value) == (answered is not None), cycle
        expected = sums_of.get(cycle - component.latency)
        if expected is not None:
            assert bench.unpack(sums, dut.o__data.value) == expected, cycle


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_tiles(dut):
    """Tiles of any length, weights and words with gaps."""
    config, rng = (CONFIGS | DOTS)[bench.case()], bench.rng()
    component = SystolicArray(config)
    edge = await bench.start(dut, component)
    tiles = plan(rng, config, component, 25, steady=False)
    await play(dut, config, component, edge, tiles)
    windows = [cycle for tile in tiles if tile.line for cycle in tile.words]
    assert not config.window_line or sum(expected_sums(tiles, config)[cycle] is not None for cycle in windows) > 100
    # The next test begins with a tile half loaded: words are counted from reset.
    dut.w__valid.value = 1
    await edge


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def no_bubble(dut):
    """Tiles of as many words as there are rows follow each other without a gap."""
    config, rng = (CONFIGS | DOTS)[bench.case()], bench.rng()
    component = SystolicArray(config)
    edge = await bench.start(dut, component)
    tiles = plan(rng, config, component, 12, steady=True)
    assert [tile.swap - tiles[0].swap for tile in tiles] == [config.rows * i for i in range(12)]
    await play(dut, config, component, edge, tiles)
