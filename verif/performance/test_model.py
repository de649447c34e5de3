"""The cycle model against RTL."""

import statistics

import pytest

from gemmary.bench import Memory
from gemmary.bench.measure import measure
from gemmary.bench.task import tasks_of
from gemmary.compiler import compile_layer
from gemmary.config import preset
from gemmary.isa import Engine, Instruction, Opcode, decode_program
from gemmary.performance.model import Timing, estimate
from gemmary.workloads import parse

BASE = preset("base")


def rows(names, layers=(), **options):
    tasks = tasks_of(names, list(map(parse, layers)), config=BASE, memory=Memory(**options))
    return [measure(task) for task in tasks]


def check(found, mean, worst):
    """Errors within bounds, results right, nothing below its bound, nothing that cannot be compiled."""
    assert not [row for row in found if row.error]
    errors = {row.layer: abs(row.model_error) for row in found}
    assert max(errors.values()) <= worst, sorted(errors.items(), key=lambda item: -item[1])[:3]
    assert statistics.mean(errors.values()) <= mean
    assert all(row.mismatches == 0 and row.bound <= row.cycles for row in found)


@pytest.mark.parametrize(("latency", "bytes_per_cycle"), [(100, 16), (20, 8)])
def test_small_layers(latency, bytes_per_cycle):
    layers = "matmul:1,200,40", "matmul:70,64,96", "conv:10,10,16,32,3,1,1,1", "conv:16,16,3,16,3,1,1,1"
    check(rows([], layers, latency=latency, bytes_per_cycle=bytes_per_cycle), mean=0.01, worst=0.025)


def test_encoded_or_not():
    run = compile_layer(BASE, parse("matmul:40,50,60")).layers[0].runs[0]
    assert estimate(Timing(BASE), run.code) == estimate(Timing(BASE), decode_program(run.code))


def test_latency_and_bandwidth_cost_cycles():
    code = compile_layer(BASE, parse("matmul:40,300,60")).layers[0].runs[0].code
    usual = estimate(Timing(BASE), code).cycles
    assert estimate(Timing(BASE, latency=300), code).cycles >= usual + 400  # fetch, load and store, one after the other
    assert estimate(Timing(BASE, bytes_per_cycle=2), code).cycles > 2 * usual


def test_a_program_that_hangs_is_refused():
    counts = dict.fromkeys((f"count_{loop}" for loop in ("n", "k", "ky", "kx", "y", "x")), 1)
    with pytest.raises(RuntimeError, match="hangs"):
        estimate(Timing(BASE), [Instruction(Opcode.MATMUL, wait=1, **counts)])


def test_busy_cycles():
    code = compile_layer(BASE, parse("matmul:64,64,64")).layers[0].runs[0].code
    found = estimate(Timing(BASE), code)
    assert found.rows == found.busy[Engine.TENSOR] == 64 * 16
    assert found.rows + sum(found.idle.values()) == found.cycles


@pytest.mark.nightly
@pytest.mark.parametrize(("latency", "worst"), [(20, 0.03), (100, 0.02), (400, 0.025)])
def test_tiny_networks(latency, worst):
    """The bound of 2 % is for a latency of 100. At 20 conv1 of MobileNetV1 is 2.3 % off: its loads meet the vector engine's writes
    more often than the model thinks; at 400 the last layer of the autoencoder 2.2 %."""
    check(rows(["tiny"], latency=latency), mean=0.005, worst=worst)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["resnet50", "bert-base-128", "mobilenet-v2"])
def test_network(name):
    check(rows([name]), mean=0.005, worst=0.02)


@pytest.mark.nightly
def test_results_are_right_with_random_stalls():
    assert all(row.error is None and row.mismatches == 0 for row in rows(["tiny"], stalls=0.2))
