"""The netlists of ``ulx3s-pair`` and ``ulx3s-mixed``, with the board's multipliers, passes and two clocks: a matrix product and an image of digits, bit for bit."""

from functools import cache

import numpy as np
import pytest

from boards.board import board
from boards.ulx3s import multipliers
from gemmary.compiler import compile_network
from gemmary.compiler.matmul import compile_matmul
from gemmary.config import PRESETS, Config
from gemmary.isa import DType
from gemmary.models.digits import load_digits
from gemmary.runtime.execute import execute
from hdl.accelerator import Accelerator
from hdl.top import Top
from hdl.verilog import to_verilog
from verif.golden import network as golden

from .device import NetlistDevice
from .synthesis import Netlist, synthesize

pytestmark = pytest.mark.nightly
CONFIGS = [PRESETS[name] for name in ("ulx3s-pair", "ulx3s-mixed")]
SIZE = 64
RATIO = 3
"""Cycles of the tensor engine's clock in one of the other: about what the board has."""


@cache
def netlist(config: Config) -> Netlist:
    accelerator = Accelerator(config, multiplier=multipliers(config), two_clocks=True)
    return synthesize(to_verilog(config, Top(config, accelerator, two_clocks=True)), "ecp5")


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda config: config.name)
def config(request):
    return request.param


@pytest.fixture(scope="module")
def device(config):
    opened = NetlistDevice(
        config, "ecp5", netlist(config).verilog, memory_bytes=1 << 20, latency=3, compute_ratio=RATIO
    )
    yield opened
    opened.close()


def test_it_is_the_boards(config):
    """All multipliers of the array are the board's (of 32 rows those of 16), its resets come through the board's buffer, and the board has two
    clocks for it."""
    cells = netlist(config).cells
    assert cells["MULT18X18D"] == 128 + 8 + 6 + 12 and cells["DCCA"] and board("ulx3s-85f").of(config).compute_mhz


def test_matmul(config, device):
    rng = np.random.default_rng(SIZE)
    a, b = (rng.integers(-128, 128, (SIZE, SIZE), np.int8) for _ in range(2))
    a[0], b[:, 0], a[1], b[:, 1] = -128, -128, 127, -128
    program = compile_matmul(config, SIZE, SIZE, SIZE, result=DType.INT32)
    found = execute(device, program, {"a": a, "b": b}).tensors["y"]
    assert (found == a.astype(np.int32) @ b.astype(np.int32)).all()


def test_digits(config, device):
    digits = load_digits()
    program = compile_network(config, digits.network, 1)
    result = execute(device, program, {program.inputs[0]: digits.images[:1]})
    wanted = golden.run(digits.network, digits.images[:1])
    for layer in program.layers:
        assert np.array_equal(result.tensors[layer.output], wanted[layer.name]), layer.name
