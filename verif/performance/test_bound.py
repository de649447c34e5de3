"""The bound of a layer: two independent functions agree, and both with what one can work out by hand."""

import pytest

from gemmary.bench import Memory
from gemmary.bench.bound import bound
from gemmary.config import preset
from gemmary.workloads import SUITES, Conv, Matmul, load, names, parse
from verif.performance import bound as golden


@pytest.mark.parametrize(
    ("config", "name"), [("base", name) for name in names()] + [("ulx3s-85f", name) for name in SUITES["tiny"]]
)
def test_agrees_on_every_layer(config, name):
    config = preset(config)
    for layer in load(name).layers:
        for rate in (config.bus_bytes, 2.5):
            expected = golden.bound(config, layer, rate)
            assert bound(config, layer, Memory(bytes_per_cycle=rate)) == pytest.approx(expected, rel=1e-12), layer.name


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("matmul:64,64,64", 64 * 4 * 4),  # the array
        ("matmul:17,17,17", 17 * 2 * 2),  # padded tiles
        ("matmul:1,1024,1024", (1024 * 1024 + 1024) / 16),  # weights
        ("matmul:64,16,1024", 64 * 64),  # 64 KiB of results take as long as the products
        ("conv:8,8,16,32,3,1,1,1", 64 * 9 * 2),
        ("conv:8,8,16,16,1,2,0,1", 16),  # every second row and column: 4 x 4 x 16 bytes, and the weights
        ("conv:14,14,64,64,3,1,1,64", 16 * 16 * 4),  # depthwise: the padded image, 16 channels at a time
        ("conv:14,14,64,64,5,1,2,64", 14 * 6 * 64),  # too large for the window: a line of outputs in a tile
    ],
)
def test_by_hand(text, cycles):
    config, layer = preset("base"), parse(text)
    if text == "conv:8,8,16,16,1,2,0,1":
        cycles = max(cycles, (16 * 16 + 256) / 16)
    assert bound(config, layer, Memory()) == cycles == golden.bound(config, layer, 16)


def test_wide_results_and_residuals_cost_bytes():
    config, shape = preset("base"), {"m": 256, "k": 16, "n": 16}
    plain, wide = (Matmul(name="l", **shape, output=output) for output in ("int8", "int32"))
    assert bound(config, plain, Memory()) == (256 * 16 + 256) / 16  # one row of tiles: the input takes longer
    assert bound(config, wide, Memory()) == 256 * 16 * 4 / 16
    added = Conv(name="l", height=16, width=16, cin=16, cout=16, kernel=(1, 1), residual=True)
    assert bound(config, added, Memory()) == (2 * 256 * 16 + 256) / 16
