"""From a config to a shared library that simulates its accelerator: elaborate, Verilate, compile, and keep the result."""

import dataclasses
import fcntl
import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from amaranth.lib import wiring

import gemmary
from gemmary.config import Config
from gemmary.errors import GemmaryError

from ..verilog import find_yosys, to_verilog
from .tools import Verilator, compiler_launcher, find_compiler, find_verilator, require_header

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1]

log = logging.getLogger(__name__)

VERILATOR_FLAGS = [
    "--cc",
    "--prefix",
    "Vgemmary",
    "--top-module",
    "gemmary",
    "-O3",
    "-fno-merge-cond-motion",  # takes most of the time on a large design and makes nothing faster
    "--x-assign",
    "fast",
    "--no-assert",
    "--no-timing",
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
]
# Measured on `base`: -O1 runs 15 % slower and compiles in 2/3 of the time, -O3 gains nothing, -Os is slower and smaller.
FAST, SLOW, HARNESS = ["-O2", "-fno-tree-vectorize"], ["-O0"], ["-O2"]
GIVEN = ["-O1"]
"""For Verilog that comes from elsewhere: a netlist is ten times the code and runs a thousand times less."""
DEFINES = [f"-DVM_{name}=0" for name in ("COVERAGE", "SC", "TIMING")]
WAVES = {None: 0, "fst": 1, "vcd": 2}


@dataclass(frozen=True)
class Variant:
    """``waves``: None, "fst" or "vcd". ``random_initial``: registers and memories start with random values instead of their
    initial ones, which shows what is not reset. ``two_clocks``: the tensor engine has one of its own."""

    waves: str | None = None
    random_initial: bool = False
    two_clocks: bool = False

    def verilog(self, config: Config, top: wiring.Component | None = None) -> str:
        return to_verilog(config, top, initial_values=not self.random_initial, two_clocks=self.two_clocks)


PLAIN = Variant()


def cache_folder() -> Path:
    """Where models are kept: environment variable GEMMARY_CACHE, else build/models of the checkout, else ~/.cache/gemmary."""
    if folder := os.environ.get("GEMMARY_CACHE"):
        return Path(folder)
    return SOURCES / "build" / "models" if (SOURCES / "pyproject.toml").exists() else Path.home() / ".cache" / "gemmary"


def build_model(
    config: Config,
    variant: Variant = PLAIN,
    top: wiring.Component | None = None,
    verilog: str | None = None,
    harness: Path = HERE / "harness.cpp",
) -> Path:
    """The shared library for ``config``, built unless an equal one is in the cache. Several processes may ask at once.

    ``top`` replaces ``Top(config)``, and ``verilog`` (a netlist) what either would be written as; the cache then goes by the
    Verilog. ``harness`` is the C++ around the model. InputError if a tool is missing.
    """
    compiler, compiler_version = find_compiler()
    verilator = find_verilator()
    if variant.waves == "fst":
        require_header(compiler, "lz4.h", "liblz4-dev")
        require_header(compiler, "zlib.h", "zlib1g-dev")
    tools = [metadata.version("amaranth"), find_yosys()[0], verilator.version, compiler_version, platform.machine()]
    fast = FAST if verilog is None else GIVEN
    if verilog is None and top is not None:
        verilog = variant.verilog(config, top)
    recipe = [
        dataclasses.asdict(config),
        dataclasses.asdict(variant),
        tools,
        VERILATOR_FLAGS,
        fast,
        SLOW,
        HARNESS,
        verilog or _sources(),
    ]
    if harness.parent != HERE:  # _sources() has those
        recipe.append(harness.read_text())
    folder = cache_folder() / f"{config.name}-{_digest(json.dumps(recipe))}"
    library = folder / "model.so"
    if not library.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock")):
            if not library.exists():
                start = time.monotonic()
                log.info("building the simulation model of %s with %s", config.name, verilator.version)
                _Build(config, variant, verilator, compiler, folder.parent, harness, fast).run(verilog, folder)
                log.info("built in %.0f s", time.monotonic() - start)
    return library


class _Build:
    """One build, in a scratch folder that becomes the cached one when all has gone well."""

    def __init__(
        self,
        config: Config,
        variant: Variant,
        verilator: Verilator,
        compiler: str,
        cache: Path,
        harness: Path,
        fast: list[str],
    ):
        self.config, self.variant, self.verilator, self.compiler = config, variant, verilator, compiler
        self.cache, self.harness, self.fast = cache, harness, fast
        self.code = f"-I{verilator.include}", f"-I{verilator.include / 'vltstd'}"
        waves = WAVES[variant.waves]
        self.options = [
            *("-std=gnu++20", "-fPIC", "-fvisibility=hidden", "-DVL_TIME_CONTEXT", *DEFINES),
            *(f"-DVM_TRACE={int(waves > 0)}", f"-DVM_TRACE_FST={int(waves == 1)}", f"-DVM_TRACE_VCD={int(waves == 2)}"),
        ]

    def run(self, verilog: str | None, folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self.cache, prefix="building-") as scratch:
            work, result = Path(scratch, "work"), Path(scratch, "result")
            result.mkdir()
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                runtime = [pool.submit(self._runtime_object, name) for name in self._runtime_sources()]
                text = verilog or self.variant.verilog(self.config)
                (result / "gemmary.v").write_text(text)
                self._verilate(result / "gemmary.v", work)
                model = [pool.submit(self._compile, *job) for job in self._jobs(work)]
                objects = [job.result() for job in model + runtime]
            libraries = ["-pthread"] + (["-llz4", "-lz"] if self.variant.waves == "fst" else [])
            self._tool(self.compiler, "-shared", "-o", result / "model.so", *objects, *libraries)
            shutil.rmtree(folder, ignore_errors=True)
            result.rename(folder)

    def _verilate(self, source: Path, work: Path) -> None:
        flags = [*VERILATOR_FLAGS, "--x-initial", "unique" if self.variant.random_initial else "fast"]
        if self.variant.waves:
            flags += [f"--trace-{self.variant.waves}", "--trace-structs"]
        environment = os.environ | {"VERILATOR_ROOT": str(self.verilator.root)}
        self._tool(self.verilator.binary, *flags, "--Mdir", work, source, env=environment)

    def _jobs(self, work: Path) -> Iterator[tuple[Path, Path, list[str]]]:
        """What to compile: (source, object, options), the longest first. What runs once goes into one file, uncompiled by -O."""
        include = [f"-I{work}", *self.options]
        sources = sorted(work.glob("*.cpp"), key=lambda path: -path.stat().st_size)
        slow = [path for path in sources if "__Slow" in path.name]
        unity = work / "slow.cc"
        unity.write_text("".join(f'#include "{path.name}"\n' for path in slow))
        for path in sources:
            if path not in slow:
                yield path, path.with_suffix(".o"), self.fast + include
        interface = [f"-DGM_DMA={int(self.config.dma)}", f"-DGM_BUS_BYTES={self.config.bus_bytes}"]
        interface += [
            f"-DGM_WAVES={WAVES[self.variant.waves]}",
            f"-DGM_RANDOM_INITIAL={int(self.variant.random_initial)}",
            f"-DGM_TWO_CLOCKS={int(self.variant.two_clocks)}",
        ]
        yield self.harness, work / "harness.o", HARNESS + interface + include
        yield unity, work / "slow.o", SLOW + include

    def _runtime_sources(self) -> list[str]:
        waves = [f"verilated_{self.variant.waves}_c"] if self.variant.waves else []
        return ["verilated", "verilated_threads", *waves]

    def _runtime_object(self, name: str) -> Path:
        """Verilator's own code, compiled once for all models."""
        options = FAST + self.options
        recipe = [find_compiler(), self.verilator.version, options, platform.machine(), name]
        target = self.cache / f"{name}-{_digest(json.dumps(recipe))}.o"
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=self.cache, prefix="building-") as scratch:
                self._compile(self.verilator.include / f"{name}.cpp", Path(scratch, "object.o"), options).replace(
                    target
                )
        return target

    def _compile(self, source: Path, target: Path, options: list[str]) -> Path:
        self._tool(*compiler_launcher(), self.compiler, "-c", source, "-o", target, *options, *self.code)
        return target

    def _tool(self, *command, env=None) -> None:
        run = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
        if run.returncode:
            raise GemmaryError(f"{Path(command[0]).name} failed to build the model: {run.stderr.strip()[-2000:]}")


def _sources() -> str:
    """A digest of everything that the model is made from."""
    paths = [path for path in (SOURCES / "hdl").rglob("*.py") if path.parent != HERE or path.name == "build.py"]
    paths += [*HERE.glob("*.cpp"), *HERE.glob("*.h")]
    paths += [Path(gemmary.__file__).with_name(f"{name}.py") for name in ("config", "isa", "registers")]
    texts = {str(path.relative_to(SOURCES)): path.read_text() for path in sorted(paths)}
    return _digest(json.dumps(texts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
