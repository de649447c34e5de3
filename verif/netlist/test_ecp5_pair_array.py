"""A pair array as Yosys maps it, with the boards' multipliers, against the product of its tiles."""

import dataclasses

import numpy as np
import pytest
from amaranth.back import rtlil

from boards.chips.ecp5_pairs import FastDotProduct, PlacedPairs
from hdl.array.pair import PairArray
from hdl.verilog import from_rtlil
from verif.configs import TINY_PAIR

from .bench import simulate
from .models import cell_models
from .synthesis import synthesize

BLOCKS = dataclasses.replace(TINY_PAIR, rows=16, activation_bytes=2048, dot=8)
TILES = 6


def netlist(config, multiplier):
    component = PairArray(config, multiplier)
    return component, synthesize(from_rtlil(rtlil.convert(component, name="pair", emit_src=False)), "ecp5", "pair")


MIXED = dataclasses.replace(BLOCKS, dot=16)
MULTIPLIERS = {
    "placed": (BLOCKS, lambda: PlacedPairs(2, BLOCKS.columns), BLOCKS.rows),
    # Every second pair of rows in look-up tables, and the side column's too; the weights' products of two columns in a multiplier.
    "mixed": (MIXED, lambda: PlacedPairs(1, MIXED.columns, hard=1), MIXED.rows // 2),
    "anywhere": (TINY_PAIR, lambda: FastDotProduct, TINY_PAIR.rows),
}
"""The array, what makes its multipliers, and how many rows have some."""


@pytest.mark.parametrize(
    "multiplier", ["mixed", *(pytest.param(n, marks=pytest.mark.nightly) for n in ("placed", "anywhere"))]
)
def test_tiles(multiplier, tmp_path):
    config, make, hard = MULTIPLIERS[multiplier]
    rows, columns, bits = config.rows, config.columns, config.psum_bits
    component, mapped = netlist(config, make())
    terms = {"placed": 0, "mixed": 1, "anywhere": columns // 2}[multiplier]
    assert mapped.cells["MULT18X18D"] == hard * (columns + 1) // 2 + terms

    rng = np.random.default_rng(rows)
    weights, words = (rng.integers(-128, 128, (TILES, rows, width)) for width in (columns, rows))
    weights[1], words[1], words[2], weights[3] = -128, -128, 127, -128
    # A tile's weights come while the one before it computes; its first word a cycle behind the last of them.
    beats = [(weights[i] if i < TILES else None, words[i - 1] if i else None) for i in range(TILES + 1)]
    beats += [(None, None)] * (component.latency // rows + 1)
    w_data, i_data, stimulus = 8 * columns, 8 * rows, []
    for tile_weights, tile_words in beats:
        for row in range(rows):
            valid = tile_words is not None
            fields = [(int(tile_weights is not None), 1), (packed(tile_weights, row), w_data)]
            fields += [(int(valid), 1), (int(valid and row == 0), 1), (packed(tile_words, row), i_data)]
            value = at = 0
            for field, width in fields:
                value, at = value | field << at, at + width
            stimulus += [value << 1, value << 1 | 1]
    start, width = 1, 1 + w_data + 2 + i_data
    pins = ".clk(in[0]), .rst(reset)"
    for name, size in (("w__valid", 1), ("w__data", w_data), ("i__valid", 1), ("i__swap", 1), ("i__data", i_data)):
        pins += f", .{name}(in[{start + size - 1}:{start}])"
        start += size
    instances = "reg reset = 1; always @(negedge in[0]) reset <= 0;\n"
    instances += f"pair pair_1 ({pins}, .o__valid(out[0]), .o__data(out[{bits * columns}:1]));\n"
    idle = [0, 1] * 3 + [0]
    sources = [cell_models("ecp5"), mapped.verilog]
    skip = len(idle) + 2 * (rows + component.latency)
    found = simulate(sources, 1 + width, 1 + bits * columns, instances, idle + stimulus, tmp_path, start=skip)
    sums = [value >> 1 for value in found[::2] if value & 1]
    expected = (words.astype(np.int64) @ weights).reshape(-1, columns)
    mask = (1 << bits) - 1
    got = [[value >> bits * c & mask for c in range(columns)] for value in sums]
    assert got == (expected & mask).tolist()


def packed(tile, row: int) -> int:
    return 0 if tile is None else sum((int(value) & 255) << 8 * c for c, value in enumerate(tile[row]))
