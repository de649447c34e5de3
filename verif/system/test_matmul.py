"""Matrix products on the simulated accelerator, every preset, through the command that users type."""

import json

import pytest

from gemmary.cli import main
from gemmary.config import PRESETS

SHAPES = ("1x1x1", "37x129x65", "64x64x64", "200x300x100")
MEMORIES = (("20",), ("100",), ("400",), ("50", "0.3"))
"""Latency in cycles, and the probability of a pause."""


def matmul(capsys, shape: str, *options: str) -> dict:
    """What ``gemmary matmul --json`` prints; it must exit with 0."""
    m, k, n = shape.split("x")
    status = main(["matmul", "-m", m, "-k", k, "-n", n, "--json", *options])
    result = json.loads(capsys.readouterr().out)
    assert status == 0, result
    return result


@pytest.mark.parametrize(
    "preset", [pytest.param(p, marks=pytest.mark.nightly) if PRESETS[p].multiplier == "pair" else p for p in PRESETS]
)
def test_every_preset(preset, capsys):
    """Each shape meets another memory; `test_every_memory` has all combinations."""
    for number, shape in enumerate(SHAPES):
        latency, *stalls = MEMORIES[number] if PRESETS[preset].dma else ("1",)
        options = ["--preset", preset, "--latency", latency, *(["--stalls", *stalls] if stalls else [])]
        assert matmul(capsys, shape, *options, "--seed", str(number))["mismatches"] == 0


@pytest.mark.nightly
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("result", ["int8", "int32"])
@pytest.mark.parametrize("memory", MEMORIES, ids="-".join)
def test_every_memory(preset, result, memory, capsys):
    latency, *stalls = memory
    options = ["--preset", preset, "--result", result, "--latency", latency, *(["--stalls", *stalls] if stalls else [])]
    for seed, shape in enumerate(SHAPES):
        assert matmul(capsys, shape, *options, "--seed", str(seed))["mismatches"] == 0


def test_large_product_keeps_the_array_busy(capsys):
    """The promise: 97 % of 256 multiply-accumulates a cycle, from the first fetch to the last response."""
    result = matmul(capsys, "512x512x512", "--latency", "100", "--bytes-per-cycle", "16")
    assert result["mismatches"] == 0
    assert result["macs"] == 512**3
    assert result["utilization"] >= 0.97
    assert result["utilization"] == pytest.approx(512**3 / (result["cycles"] * 256), abs=1e-5)
