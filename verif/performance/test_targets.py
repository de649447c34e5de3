"""The utilization that is promised: in the cycle model on every run, on RTL at night.

A figure below is what the project promises of a network, not what it measures: docs/bench.md has both.
"""

import pytest

from gemmary.bench import Clocks, Memory, network_totals
from gemmary.bench.fused import measure_network
from gemmary.bench.measure import measure
from gemmary.bench.task import NetworkTask, tasks_of
from gemmary.config import preset
from gemmary.workloads import load

BASE = preset("base")
OF_PEAK = {"resnet50": 0.97, "resnet18": 0.95, "bert-base-128": 0.985, "bert-base-384": 0.985, "vit-b16": 0.985}
OF_PEAK_AS_A_WHOLE = {"mobilenet-v2": 0.75}
"""Networks of which no layer by itself is promised anything."""
OF_BOUND = {"gpt2-decode-1024": 0.95}
"""Of the others, 96 %."""
AS_ONE = {"resnet8": 0.96, "ds-cnn": 0.96, "mobilenet-v1-025": 0.96, "autoencoder": 0.9}
"""Networks as one program, of the sum of their layers' bounds."""
BOARD_MEMORY, BOARD_MHZ = Memory(bytes_per_cycle=6.67), 30.0
"""200 MB/s."""
OF_BOARDS = {("ulx3s-pair", "resnet8"): 12.1, ("ulx3s-mixed", "resnet8"): 14.4, ("ulx3s-pair", "ds-cnn"): 3.5}
"""GOPS of networks as one program with one clock by the cycle model, which is up to a fifth too fast where there are few banks."""
OF_TWO_CLOCKS = {
    ("ulx3s-pair", "resnet8", 4): 15.6,
    ("ulx3s-pair", "ds-cnn", 4): 3.6,
    ("ulx3s-mixed", "resnet8", 4): 14.9,
    ("ulx3s-mixed", "ds-cnn", 4): 3.5,
}
"""On RTL, by the ratio of the clocks."""
BEST, LEAST, LEAST_FIRST = 0.995, 0.85, 0.75
SAMPLE = {
    "resnet50": "conv1 layer1.0.conv1 layer1.conv2 layer1.conv3 layer2.0.conv2 layer2.0.downsample layer3.conv1 layer4.conv2",
    "gpt2-decode-1024": "query-key-value scores context projection mlp.1",
}
"""What is compiled on every run; of other networks, all."""


def rows(name, device, some=None, whole=False):
    tasks = tasks_of([name], [], whole=whole, config=BASE, memory=Memory(), device=device)
    return [measure(task) for task in tasks if some is None or task.layer.name in some.split()]


def check(name, found):
    """What is promised of the network ``name``, of ``found``, some or all of its layers."""
    (total,) = network_totals(found, BASE.macs_per_cycle)
    assert not total.missing and total.roofline_efficiency >= OF_BOUND.get(name, 0.96)
    assert total.utilization >= OF_PEAK_AS_A_WHOLE.get(name, 0)
    if name not in OF_PEAK:
        return
    assert total.utilization >= OF_PEAK[name]
    assert max(row.utilization for row in found) >= BEST
    first = load(name).layers[0].name
    for row in found:
        if row.m > 1:  # not a head of one row
            least = LEAST_FIRST if row.layer == first and row.kind == "conv" else LEAST
            assert row.utilization >= least, row.layer


@pytest.mark.parametrize("name", ["resnet50", "bert-base-128", "vit-b16", "gpt2-decode-1024"])
def test_model(name):
    check(name, rows(name, "model", SAMPLE.get(name)))


def test_model_depthwise():
    """Layers by themselves: what they lose to their beginnings and ends, the dense ones make good."""
    names = "features.1.depthwise features.2.depthwise features.8.depthwise features.15.depthwise"
    (total,) = network_totals(rows("mobilenet-v2", "model", names), BASE.macs_per_cycle)
    assert total.roofline_efficiency >= 0.89


@pytest.mark.parametrize("name", AS_ONE)
def test_model_of_a_network_as_one_program(name):
    assert measure_network(NetworkTask(load(name), BASE, device="model")).roofline_efficiency >= AS_ONE[name]


@pytest.mark.parametrize(("name", "network"), OF_BOARDS)
def test_model_of_a_network_on_a_board(name, network):
    assert gops_on_a_board(name, network, device="model") >= OF_BOARDS[name, network]


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "network", "ratio"), OF_TWO_CLOCKS)
def test_rtl_of_a_network_on_a_board(name, network, ratio):
    assert gops_on_a_board(name, network, ratio) >= OF_TWO_CLOCKS[name, network, ratio]


def gops_on_a_board(name, network, ratio=0, **options):
    clocks = Clocks(BOARD_MHZ, ratio)
    found = measure_network(NetworkTask(load(network), preset(name), BOARD_MEMORY, clocks=clocks, **options))
    assert not found.mismatches
    return clocks.gops(load(network).macs / found.cycles)


@pytest.mark.nightly
@pytest.mark.parametrize("name", AS_ONE)
def test_rtl_of_a_network_as_one_program(name):
    found = measure_network(NetworkTask(load(name), BASE))
    assert found.roofline_efficiency >= AS_ONE[name]
    assert found.mismatches == 0 and abs(found.model_error) <= 0.005


@pytest.mark.nightly
@pytest.mark.parametrize("name", [*OF_PEAK, *OF_PEAK_AS_A_WHOLE, "minilm-l6", "gpt2-prefill-128", "gpt2-decode-1024"])
def test_rtl(name):
    found = rows(name, "rtl")
    check(name, found)
    assert all(row.mismatches == 0 and abs(row.model_error) <= 0.02 for row in found)


@pytest.mark.nightly
def test_rtl_mobilenet_v2_without_its_depthwise_layers():
    found = rows("mobilenet-v2", "rtl")
    assert all(row.mismatches == 0 for row in found)
    (total,) = network_totals([row for row in found if "depthwise" not in row.layer], BASE.macs_per_cycle)
    assert total.utilization >= 0.84


@pytest.mark.nightly
def test_resnet50_whole():
    """All 54 layers with values of their own, in at most 120 s of simulation."""
    found = rows("resnet50", "rtl", whole=True)
    assert len(found) == 54 and all(row.mismatches == 0 for row in found)
    assert sum(row.seconds for row in found) <= 120
