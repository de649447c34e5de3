"""The array's multipliers for the ECP5 against the portable ones and NumPy."""

from itertools import pairwise

import numpy as np
import pytest
from amaranth.back import rtlil

from boards.chips.ecp5 import DSP_ROWS, Ecp5DotProduct
from boards.chips.ecp5_floorplan import BLOCK_COLUMNS
from boards.chips.ecp5_pairs import PlacedPairs, SoftProduct, places
from boards.chips.ecp5_soft import SoftDotProduct
from hdl.array.multiplier import DotProduct
from hdl.array.pair_cell import SUM_BITS
from hdl.verilog import from_rtlil

from .bench import simulate
from .models import OURS

MODEL = (OURS / "MULT18X18D.v").read_text()
PAIRS, MIXED = PlacedPairs(2, 16), PlacedPairs(2, 16)
PRODUCTS = {
    "int8": (lambda: Ecp5DotProduct(4), 4, 8),
    "sums": (lambda: Ecp5DotProduct(4, bits=SUM_BITS), 4, SUM_BITS),
    "two sums": (lambda: Ecp5DotProduct(2, bits=SUM_BITS), 2, SUM_BITS),
    "look-up tables": (SoftProduct, 1, 8),
    "soft": (lambda: SoftDotProduct(4), 4, 8),
    "soft, a pair": (lambda: SoftDotProduct(2, latency=5), 2, 8),
    "soft, one": (lambda: SoftDotProduct(1), 1, 8),
    "soft sums": (lambda: SoftDotProduct(4, SUM_BITS, 6), 4, SUM_BITS),
    "soft sums, one": (lambda: SoftDotProduct(1, SUM_BITS), 1, SUM_BITS),
    "placed cell": (lambda: PAIRS(4, bits=SUM_BITS), 4, SUM_BITS),
    "placed side": (lambda: PAIRS(4), 4, 8),
    "mixed cell": (lambda: MIXED(8, bits=SUM_BITS), 8, SUM_BITS),
    "mixed side": (lambda: MIXED(8), 8, 8),
    "placed weights": (lambda: PAIRS(1), 1, 8),
}
"""The component, its length, bits of an operand."""


def operands(rng, steps: int, length: int, bits: int) -> np.ndarray:
    """`[step, a or w, length]`, often extremes; of a single product of int8 every one."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    if length == 1:
        every = np.arange(low, high + 1)
        return np.stack(np.meshgrid(every, every), axis=-1).reshape(-1, 2, 1)
    numbers = rng.integers(low, high + 1, (steps, 2, length))
    extreme = rng.random((steps, 2, 1)) < 0.4
    return np.where(extreme | (rng.random(numbers.shape) < 0.2), rng.choice([low, high], numbers.shape), numbers)


def module(component, name: str) -> str:
    return from_rtlil(rtlil.convert(component, name=name, emit_src=False))


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name, tmp_path):
    make, length, bits = PRODUCTS[name]
    components = {"chip": make(), "portable": DotProduct(length, bits)}
    wide, most = length * bits, max(component.latency for component in components.values())
    instances = ""
    for i, kind in enumerate(components):
        vectors = f".a(in[{wide}:1]), .w(in[{2 * wide}:{wide + 1}]), .p(out[{32 * i} +: 32])"
        instances += f"{kind} {kind}_1 (.clk(in[0]), .rst(1'b0), {vectors});\n"
    drawn = operands(np.random.default_rng(length * bits), 3000, length, bits)
    stimulus = []
    for vectors in [*drawn.reshape(len(drawn), -1).tolist(), *[[0] * 2 * length] * most]:
        packed = sum((value & (1 << bits) - 1) << bits * i for i, value in enumerate(vectors))
        stimulus += [packed << 1, packed << 1 | 1]
    sources = [MODEL, *(module(component, kind) for kind, component in components.items())]
    found = simulate(sources, 1 + 2 * wide, 64, instances, stimulus, tmp_path, start=2 * most)
    expected = (drawn[:, 0] * drawn[:, 1]).sum(axis=1)[most:]
    for i, (kind, component) in enumerate(components.items()):
        # The rising edge of step 2 k + 1 takes operands k; after it the product of k - (latency - 1) is there.
        shown = [value >> 32 * i & 0xFFFFFFFF for value in found[1::2]][component.latency - 1 :]
        wrong = [k for k, (got, want) in enumerate(zip(shown, expected.tolist())) if got != want & 0xFFFFFFFF]
        assert not wrong, f"{kind}: product of {drawn[most + wrong[0]].tolist()}"
        assert len(shown) >= len(expected)


@pytest.mark.parametrize(("rows", "columns"), [(1, 9), (1, 39), (2, 17), (2, 19), (3, 13)])
def test_every_cell_has_a_block_near_its_neighbours(rows, columns):
    found = places(rows, columns)
    blocks = [block for row in found for block in row]
    assert len(set(blocks)) == len(blocks) == rows * columns
    assert set(blocks) <= {(x, y) for x in BLOCK_COLUMNS for y in range(len(DSP_ROWS))}
    for row in found:
        for (x, y), (next_x, next_y) in pairwise(row):
            away = abs(BLOCK_COLUMNS.index(x) - BLOCK_COLUMNS.index(next_x))
            assert away <= rows if y == next_y else away < rows


def test_no_more_cells_than_blocks():
    with pytest.raises(AssertionError, match="more cells than blocks"):
        places(2, 20)
