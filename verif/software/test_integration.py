"""docs/integration.md: its register sequences work as printed, and it says what the hardware is."""

import json
import re

import numpy as np
import pytest

from gemmary.compiler import compile_matmul
from gemmary.config import PRESETS
from gemmary.isa import Cause, DType, Engine, Opcode
from gemmary.registers import ADDRESS
from hdl.simulation.build import build_model
from hdl.simulation.library import Model, Stop
from scripts import generate_docs, measure_resources
from scripts.integration import RECOVER_TITLE, START_TITLE
from verif.agents.illegal import harmless

PAGE = (generate_docs.DOCS / "integration.md").read_text(encoding="utf-8")
CONFIG = PRESETS["small"]
MEMORY = 1 << 16
MEASURED = json.loads(measure_resources.FILE.read_text())["presets"]
PATIENCE = 100_000
ROW = re.compile(r"^\| \d+ \| (\w+) \| (\w+) \| (0x\w+)? ?\| `?([^`|]*?)`? \|", re.MULTILINE)


def steps(title: str) -> list[tuple[str, str, str]]:
    """(access, register, value) of each row of the first table below ``title``."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = ROW.findall(section)
    assert len(rows) == len(re.findall(r"^\| \d", section, re.MULTILINE)) > 0
    for _, register, address, _ in rows:
        assert register == "irq" or int(address, 16) == ADDRESS[register]
    return [(access, register, value) for access, register, _, value in rows]


class Host:
    """Does what a table says, with an accelerator whose memory holds one matrix product; ``values``: what names stand for."""

    def __init__(self, **options):
        rng = np.random.default_rng(1)
        self.a, b = (rng.integers(-128, 128, shape, np.int8) for shape in ((20, 30), (30, 10)))
        self.wanted = self.a.astype(np.int32) @ b.astype(np.int32)
        self.program = compile_matmul(CONFIG, 20, 30, 10, weights=b, result=DType.INT32)
        (run,) = self.program.layers[0].runs
        self.address, self.code = self.program.code_address, run.code
        self.memory = np.zeros(MEMORY, np.uint8)
        source = self.program.tensors["a"]
        for place, data in (*self.program.constants, (source.address, source.pack(self.a)), (self.address, self.code)):
            self.memory[place : place + len(data)] = np.frombuffer(data, np.uint8)
        settings = dict(latency=20, read_bytes_per_cycle=8, write_bytes_per_cycle=8, stall_probability=0.1, seed=1)
        settings |= dict(error_low=0, error_high=0) | options
        self.model = Model(build_model(CONFIG), self.memory, None, **settings)
        self.values = {
            "identity": CONFIG.identity,
            "address[31:0]": self.address & 0xFFFF_FFFF,
            "address[63:32]": self.address >> 32,
            "length": len(self.code),
        }

    def follow(self, title: str) -> dict[str, int]:
        """Every step of the table; what was read, by register. Fails where a value is not the printed one."""
        read = {}
        for access, register, value in steps(title):
            if access == "wait":
                assert self.model.run(PATIENCE) == Stop.INTERRUPT
            elif access == "write":
                self.model.write(ADDRESS[register], np.array([self.number(value)], np.uint32))
            else:
                read[register] = self.read(register)
                if access == "poll":
                    mask = self.number(re.fullmatch(r"& (\w+) = 0", value)[1])
                    for _ in range(1000):
                        if not self.read(register) & mask:
                            break
                    assert not self.read(register) & mask
                elif value:
                    assert read[register] == self.number(value.removeprefix("= ")), register
        return read

    def read(self, register: str) -> int:
        return int(self.model.read(ADDRESS[register], 1)[0])

    def number(self, value: str) -> int:
        return self.values[value] if value in self.values else int(value, 0)

    def result(self) -> np.ndarray:
        target = self.program.tensors["y"]
        return target.unpack(self.memory[target.address : target.address + target.size].tobytes())


def test_from_reset_to_the_first_result():
    host = Host()
    host.follow(START_TITLE)
    assert np.array_equal(host.result(), host.wanted)
    assert host.model.run(100) == Stop.CYCLES, "the interrupt stays"
    host.follow(START_TITLE)  # and again, without a reset


def test_when_a_program_is_stopped():
    """By a bus error on the activations; afterwards, with memory repaired, the product comes out."""
    host = Host()
    source = host.program.tensors["a"].address
    host = Host(error_low=source, error_high=source + 8)
    with pytest.raises(AssertionError, match="INTERRUPT_STATUS"):
        host.follow(START_TITLE)
    read = host.follow(RECOVER_TITLE)
    assert read["ERROR_CAUSE"] & 0xFF == Cause.BUS_READ
    assert read["ERROR_CAUSE"] >> 8 & 15 == Engine.LOAD
    stopped = (read["ERROR_ADDRESS_HIGH"] << 32 | read["ERROR_ADDRESS_LOW"]) - host.address
    assert 0 <= stopped < len(host.code)
    assert host.read("INTERRUPT_STATUS") == 0
    # The error range of the simulated memory is fixed: the next program lies and reads elsewhere.
    other = harmless(Opcode.LOAD, fill_only=1).encode()
    host.memory[0x8000 : 0x8000 + len(other)] = np.frombuffer(other, np.uint8)
    host.values |= {"address[31:0]": 0x8000, "length": len(other)}
    host.follow(START_TITLE)


def test_page_has_what_was_measured():
    """A row for each preset, with the numbers of the data."""
    assert set(MEASURED) <= set(PRESETS)
    for name in PRESETS:
        (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", PAGE, re.MULTILINE)
        *cells, clock = (cell.strip() for cell in row.split("|"))
        found = MEASURED.get(name, {"cells": {}})
        expected = [f"{found['cells'][kind]:,}" if found["cells"] else "–" for kind in measure_resources.CELLS]
        assert cells == expected
        assert clock == (f"{found['mhz']:.0f} MHz" if found.get("mhz") else found.get("note", "not measured"))


@pytest.mark.nightly
@pytest.mark.parametrize("preset", MEASURED)
def test_measured_cells_still_hold(preset):
    """Within 5 %, of each kind: else `python -m scripts.measure_resources` is due."""
    found = measure_resources.measure(PRESETS[preset], place=False)["cells"]
    assert found == pytest.approx(MEASURED[preset]["cells"], rel=0.05)
