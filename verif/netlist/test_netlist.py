"""Netlists of the accelerator against the emulator: a matrix product and random programs, in process."""

import re
from contextlib import suppress
from functools import cache

import numpy as np
import pytest

from boards.chips.ecp5 import Ecp5DotProduct
from boards.chips.ice40 import Ice40MultiplierPair
from gemmary.compiler.matmul import compile_matmul
from gemmary.config import PRESETS, Config
from gemmary.emulator.device import EmulatorDevice
from gemmary.errors import GemmaryError
from gemmary.isa import DType
from gemmary.runtime.device import DeviceError
from gemmary.runtime.execute import execute
from hdl.accelerator import Accelerator
from hdl.nano.accelerator import NanoAccelerator
from hdl.top import Top
from hdl.verilog import to_verilog
from verif.agents.programs import random_program
from verif.configs import TINY

from .device import NetlistDevice
from .synthesis import Netlist, synthesize

pytestmark = pytest.mark.nightly
MEMORY = 1 << 20
NANO = PRESETS["nano"]


@cache
def netlist(family: str) -> Netlist:
    # As on the chip: with the multiplier blocks that the board puts in.
    if family == "ecp5":
        return synthesize(to_verilog(TINY, Top(TINY, Accelerator(TINY, multiplier=Ecp5DotProduct))), family)
    return synthesize(to_verilog(NANO, Top(NANO, NanoAccelerator(NANO, multiplier=Ice40MultiplierPair))), family)


CONFIGS = {"ice40": NANO, "ecp5": TINY}
PROGRAMS = {"ice40": (12, 60), "ecp5": (12, 60)}
"""How many, of how many instructions: nano takes a million cycles for one, the ECP5's netlist is a hundred times slower."""


def device(family: str, text: str, **options) -> NetlistDevice:
    return NetlistDevice(CONFIGS[family], family, text, memory_bytes=MEMORY, **options)


def product(config: Config, opened, m: int, k: int, n: int) -> np.ndarray:
    """Of random matrices; the expected one is their product in NumPy."""
    rng = np.random.default_rng([m, k, n])
    a, b = (rng.integers(-128, 128, shape, np.int8) for shape in ((m, k), (k, n)))
    found = execute(opened, compile_matmul(config, m, k, n, result=DType.INT32), {"a": a, "b": b}).tensors["y"]
    return found - a.astype(np.int32) @ b.astype(np.int32)


@pytest.mark.parametrize("family", CONFIGS)
def test_matmul(family):
    opened = device(family, netlist(family).verilog, latency=3)
    assert not product(CONFIGS[family], opened, 7, 13, 9).any()
    opened.close()


@pytest.mark.parametrize("family", CONFIGS)
def test_random_programs(family):
    opened = device(family, netlist(family).verilog, latency=7)
    emulator = EmulatorDevice(CONFIGS[family], memory_bytes=MEMORY)
    count, instructions = PROGRAMS[family]
    wrong = []
    for seed in range(count):
        case = random_program(CONFIGS[family], seed, instructions)
        if case.run(opened) != case.run(emulator):
            wrong.append(seed)
    opened.close()
    assert not wrong, f"seeds {wrong}"


def test_block_rams_have_no_reset():
    """Nobody has shown that a read through the reset of a DP16KD works on silicon as Yosys' map takes for granted."""
    for cell in netlist("ecp5").json["modules"]["gemmary"]["cells"].values():
        if cell["type"] == "DP16KD":
            assert [cell["connections"][pin] for pin in ("RSTA", "RSTB")] == [["0"], ["0"]]


def test_every_multiplier_block_is_the_boards():
    """Yosys' ice40_dsp loses registers between blocks and takes placed blocks apart: nothing may change them."""
    cells = netlist("ice40").json["modules"]["gemmary"]["cells"].values()
    blocks = [cell for cell in cells if cell["type"] == "SB_MAC16"]
    assert len(blocks) == NANO.rows * NANO.columns // 2
    for block in blocks:
        assert int(block["parameters"]["MODE_8x8"], 2) == 1
        assert "x" not in "".join(map(str, block["connections"]["C"] + block["connections"]["D"]))


def flip_a_lut(text: str) -> str:
    """One bit of a LUT that drives an address of a scratchpad: its output for zeros."""
    written = re.search(r"\.ADDRESS\(\{([^}]*)\}\)", text)[1].replace(" ", "").split(",")
    pattern = r"\.LUT_INIT\(16'h([0-9a-f]{4})\)\s*\) \w+ \([^;]*?\.O\((\w+)\)\s*\);"
    for lut in re.finditer(pattern, text):
        if lut[2] in written:
            return text[: lut.start(1)] + f"{int(lut[1], 16) ^ 1:04x}" + text[lut.end(1) :]
    raise AssertionError("no LUT drives a scratchpad")


def unsigned_block(text: str) -> str:
    return re.sub(r"\.A_SIGNED\(1'h1\)", ".A_SIGNED(1'h0)", text, count=1)


@pytest.mark.parametrize("fault", [flip_a_lut, unsigned_block])
def test_a_broken_netlist_is_noticed(fault):
    good = netlist("ice40").verilog
    bad = fault(good)
    assert bad != good
    opened = device("ice40", bad, latency=3, max_cycles=5_000_000)
    with suppress(DeviceError, GemmaryError):  # a stop is noticed as well
        assert product(NANO, opened, 7, 13, 9).any()
    opened.close()
