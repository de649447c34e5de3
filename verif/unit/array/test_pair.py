"""The pair array and its cells: the array's contract is that of SystolicArray."""

import dataclasses

import cocotb
import pytest
from amaranth import Module
from amaranth.lib import wiring

from hdl.array.delay import Delay
from hdl.array.multiplier import DotProduct, DotSignature
from hdl.array.pair import PairArray
from hdl.array.pair_cell import PairCell, SideCell
from verif import bench
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE
from verif.golden import pair as golden
from verif.unit.array.test_array import int8, plan, play


class SlowProduct(wiring.Component):
    """DotProduct with the latency of a multiplier block and its adders."""

    latency = 5

    def __init__(self, length: int, bits: int = 8):
        self.length, self.bits = length, bits
        super().__init__(DotSignature(length, bits))

    def elaborate(self, platform):
        m = Module()
        m.submodules.product = product = DotProduct(self.length, self.bits)
        m.submodules.delay = delay = Delay(self.p.shape(), self.latency - product.latency)
        m.d.comb += [product.a.eq(self.a), product.w.eq(self.w), delay.i.eq(product.p), self.p.eq(delay.o)]
        return m


def pair(config, **changes):
    return dataclasses.replace(config, multiplier="pair", **changes)


CONFIGS = {config.name: pair(config) for config in (TINY, TINY_WIDE, TINY_NARROW_BUS)}
CONFIGS["tiny-dot2"] = pair(TINY, dot=2)
CONFIGS["tiny-wide-dot8"] = pair(TINY_WIDE, dot=8)
CONFIGS["tall"] = pair(TINY_NARROW_BUS, dot=2)
CONFIGS["square"] = pair(TINY_NARROW_BUS, columns=16, dot=8)
PRODUCTS = {"fast": DotProduct, "slow": SlowProduct}
QUICK = ("tiny-fast", "tiny-dot2-slow", "tiny-wide-dot8-slow", "dot8")
CASES = {f"{config}-{product}": (CONFIGS[config], PRODUCTS[product]) for config in CONFIGS for product in PRODUCTS}
DOTS = {"dot2": 2, "dot8": 8}


def some(cases):
    return [case if case in QUICK else pytest.param(case, marks=pytest.mark.nightly) for case in cases]


@pytest.mark.parametrize("case", some(CASES))
def test_array(simulate, case):
    simulate(PairArray(*CASES[case]), case, tests="tiles|no_bubble")


@pytest.mark.parametrize("case", some(DOTS))
def test_cell(simulate, case):
    simulate(PairCell(DOTS[case]), case, tests="pair_cell")


@pytest.mark.parametrize("case", some(DOTS))
def test_side_cell(simulate, case):
    simulate(SideCell(DOTS[case]), case, tests="side_cell")


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def pair_cell(dut):
    """Random activations, sums from above, loads and swaps at any distance."""
    dot, rng = DOTS[bench.case()], bench.rng()
    component, model = PairCell(dot), golden.Cell(dot)
    layout = component.i.data.shape()
    edge = await bench.start(dut, component)
    sums, aboves, inputs = [], [], []
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
            assert int(dut.below.value) == bench.pack(32, sums[then] + aboves[cycle - 1]), cycle
    assert swapped > 50


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def side_cell(dut):
    dot, rng = DOTS[bench.case()], bench.rng()
    component = SideCell(dot)
    edge = await bench.start(dut, component)
    terms, aboves = [], []
    for cycle in range(500):
        activations, above = int8(rng, dot).tolist(), int(rng.integers(-(2**31), 2**31))
        dut.i.value, dut.above.value = bench.pack(component.i.shape(), activations), bench.pack(32, above)
        terms.append(golden.own_term(activations))
        aboves.append(above)
        await edge
        if cycle >= component.latency:
            assert int(dut.below.value) == bench.pack(32, terms[cycle - component.latency] + aboves[cycle - 1]), cycle


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_tiles(dut):
    """Tiles of any length, weights and words with gaps."""
    config, product = CASES[bench.case()]
    rng, component = bench.rng(), PairArray(config, product)
    edge = await bench.start(dut, component)
    await play(dut, config, component, edge, plan(rng, config, component, 25, steady=False))
    # The next test begins with a tile half loaded: words are counted from reset, and terms summed up.
    for cycle in range(3 + component.latency):
        dut.w__valid.value = cycle < 3
        await edge


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def no_bubble(dut):
    """Tiles of as many words as there are rows follow each other without a gap."""
    config, product = CASES[bench.case()]
    rng, component = bench.rng(), PairArray(config, product)
    edge = await bench.start(dut, component)
    tiles = plan(rng, config, component, 12, steady=True)
    assert [tile.swap - tiles[0].swap for tile in tiles] == [config.rows * i for i in range(12)]
    await play(dut, config, component, edge, tiles)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def extreme_tiles(dut):
    """The largest sums and terms: every activation and every weight at an extreme, in all combinations."""
    config, product = CASES[bench.case()]
    rng, component = bench.rng(), PairArray(config, product)
    edge = await bench.start(dut, component)
    tiles = plan(rng, config, component, 8, steady=True)
    for number, tile in enumerate(tiles):
        tile.weights[:] = (-128, 127)[number % 2]
        for i, word in enumerate(tile.words.values()):
            word[:] = (-128, 127)[(i + number // 2) % 2]
    await play(dut, config, component, edge, tiles)
