"""The array of nano and its multipliers against NumPy."""

import cocotb
import numpy as np
import pytest

from gemmary.config import PRESETS
from hdl.nano.array import Array
from hdl.nano.multiplier import LATENCY, MultiplierPair
from verif import bench
from verif.golden.array import tile_product

NANO = PRESETS["nano"]
EXTREMES = (-128, 127)
CYCLES = 1500


@pytest.mark.parametrize("case", ["nano"])
def test_array(simulate, case):
    simulate(Array(NANO), case, tests="tiles")


@pytest.mark.parametrize("case", ["pair"])
def test_multiplier(simulate, case):
    simulate(MultiplierPair(), case, tests="products")


def int8(rng, *shape) -> np.ndarray:
    """Random int8, extremes often, now and then all at one."""
    if rng.random() < 0.2:
        return np.full(shape, rng.choice(EXTREMES))
    return np.where(rng.random(shape) < 0.2, rng.choice(EXTREMES, shape), rng.integers(-128, 128, shape))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def products(dut):
    """Weights at any time: those loaded with ``a`` count for it, later ones do not."""
    rng, component = bench.rng(), MultiplierPair()
    pair, result = component.a.shape(), component.p.shape()
    edge = await bench.start(dut, component)
    weights, expected = None, []
    for cycle in range(CYCLES):
        load = cycle == 0 or rng.random() < 0.3
        a, w = int8(rng, 2), int8(rng, 2)
        dut.load.value = int(load)
        dut.a.value, dut.w.value = bench.pack(pair, a.tolist()), bench.pack(pair, w.tolist())
        weights = w if load else weights
        expected.append((a * weights).tolist())
        await edge
        if cycle >= LATENCY:
            assert bench.unpack(result, dut.p.value) == expected[cycle - LATENCY], cycle


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def tiles(dut):
    """Words in every cycle; weights in order with gaps, also between words; sums only where they are asked for."""
    rng, component = bench.rng(), Array(NANO)
    word_shape, row_shape, sums = component.word.shape(), component.weights.shape(), component.sums.shape()
    edge = await bench.start(dut, component)
    active = np.zeros((NANO.rows, NANO.columns), int)
    row, waiting, known = 0, None, False
    results: list[np.ndarray | None] = []
    valids: list[bool] = []
    pace = 1.0
    for cycle in range(CYCLES):
        if cycle % 50 == 0:
            pace = rng.choice([0.0, 0.2, 0.6, 1.0]) if cycle else 1.0
        load, valid = rng.random() < pace, rng.random() < 0.7
        word, weights = int8(rng, NANO.rows), int8(rng, NANO.columns)
        dut.load.value, dut.valid.value = int(load), int(valid)
        dut.row.value = row if load else int(rng.integers(NANO.rows))
        dut.word.value = bench.pack(word_shape, word.tolist())
        dut.weights.value = bench.pack(row_shape, weights.tolist())
        if load:
            if row % 2:
                active[row - 1 : row + 1] = waiting, weights
            waiting, known = weights, known or row == NANO.rows - 1
            row = (row + 1) % NANO.rows
        results.append(tile_product([word], active)[0] if known else None)
        valids.append(valid)
        await edge
        then = cycle - LATENCY - 1
        if then >= 0 and (results[then] is not None or not valids[cycle - 1]):
            expected = results[then].tolist() if valids[cycle - 1] else [0] * NANO.columns
            assert bench.unpack(sums, dut.sums.value) == expected, cycle
