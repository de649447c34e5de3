"""Lost cycles add up, and have the cause that they must have."""

import pytest

from gemmary.bench import Memory, Task
from gemmary.bench.lost import lost_cycles
from gemmary.bench.measure import measure
from gemmary.bench.row import CAUSES
from gemmary.config import preset
from gemmary.performance.model import Estimate
from gemmary.registers import State
from gemmary.runtime.device import Report
from gemmary.workloads import parse

LAYERS = ("matmul:1,256,256", "matmul:100,33,70", "conv:12,12,16,24,3,2,1,1", "conv:9,9,3,16,5,1,2,1")


def model(text, **memory):
    return measure(Task("layer", parse(text), preset("base"), Memory(**memory), "model"))


@pytest.mark.parametrize("text", LAYERS)
@pytest.mark.parametrize("latency", [1, 400])
def test_add_up(text, latency):
    row = model(text, latency=latency)
    assert set(row.lost) == set(CAUSES)
    assert sum(row.lost.values()) == pytest.approx(row.cycles - row.macs / 256)
    assert min(row.lost.values()) >= -1  # rounding


def test_with_counters_they_add_up_to_what_was_measured():
    expected = Estimate(1000, {}, 600, {"fill_drain": 100, "load": 300})
    counters = dict.fromkeys((state.name.lower() for state in State), 0)
    counters |= {"busy": 640, "stall_memory": 30, "stall_hazard": 10, "idle": 420}
    lost = lost_cycles(expected, 512.0, Report(1, 1100, counters={"tensor": counters}))
    assert lost["padding"] == 128 and lost["conflict"] == 40
    assert lost["fill_drain"] == pytest.approx(105) and lost["load"] == pytest.approx(315)
    assert sum(lost.values()) == pytest.approx(1100 - 512)


def test_a_machine_without_counters_does_not_say():
    assert lost_cycles(Estimate(1000, {}, 600, {"load": 400}), 512.0, Report(1, 1100)) is None


def test_causes():
    assert model("matmul:17,16,16").lost["padding"] == 0
    assert model("matmul:64,17,16").lost["padding"] == 64 * 2 - 64 * 17 * 16 / 256
    thin = model("matmul:1,256,512")  # every tile waits for its weights, 15 of 16 cycles
    assert thin.lost["weights"] > 0.7 * thin.cycles
    slow = model("matmul:128,512,512", bytes_per_cycle=1)
    assert slow.lost["load"] + slow.lost["weights"] > 0.5 * slow.cycles
