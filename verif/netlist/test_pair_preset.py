"""The netlist of ``ulx3s-pair``, with the board's multipliers, passes and two clocks: a matrix product and an image of digits, bit for bit."""

from functools import cache

import numpy as np
import pytest

from boards.board import board
from boards.ulx3s import multipliers
from gemmary.compiler import compile_network
from gemmary.compiler.matmul import compile_matmul
from gemmary.config import PRESETS
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
PAIR = PRESETS["ulx3s-pair"]
SIZE = 64
RATIO = 3
"""Cycles of the tensor engine's clock in one of the other: about what the board has."""


@cache
def netlist() -> Netlist:
    accelerator = Accelerator(PAIR, multiplier=multipliers(PAIR), two_clocks=True)
    return synthesize(to_verilog(PAIR, Top(PAIR, accelerator, two_clocks=True)), "ecp5")


@pytest.fixture(scope="module")
def device():
    opened = NetlistDevice(PAIR, "ecp5", netlist().verilog, memory_bytes=1 << 20, latency=3, compute_ratio=RATIO)
    yield opened
    opened.close()


def test_it_is_the_boards():
    """All multipliers of the array are the board's, its resets come through the board's buffer, and the board has two clocks for it."""
    cells = netlist().cells
    assert cells["MULT18X18D"] == 128 + 8 + 6 + 12 and cells["DCCA"] and board("ulx3s-85f").of(PAIR).compute_mhz


def test_matmul(device):
    rng = np.random.default_rng(SIZE)
    a, b = (rng.integers(-128, 128, (SIZE, SIZE), np.int8) for _ in range(2))
    a[0], b[:, 0], a[1], b[:, 1] = -128, -128, 127, -128
    program = compile_matmul(PAIR, SIZE, SIZE, SIZE, result=DType.INT32)
    found = execute(device, program, {"a": a, "b": b}).tensors["y"]
    assert (found == a.astype(np.int32) @ b.astype(np.int32)).all()


def test_digits(device):
    digits = load_digits()
    program = compile_network(PAIR, digits.network, 1)
    result = execute(device, program, {program.inputs[0]: digits.images[:1]})
    wanted = golden.run(digits.network, digits.images[:1])
    for layer in program.layers:
        assert np.array_equal(result.tensors[layer.output], wanted[layer.name]), layer.name
