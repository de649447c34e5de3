"""The core file for FuseSoC, with the real one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gemmary import __version__
from gemmary.config import PRESETS
from hdl.simulation.tools import find_verilator

ROOT = Path(__file__).resolve().parents[2]
CORE = "gemmary:ip:gemmary"
USER = """CAPI=2:
name: user:soc:top:1.0
filesets:
  rtl:
    files: [top.v]
    file_type: verilogSource
    depend: [gemmary:ip:gemmary]
targets:
  default: &default
    filesets: [rtl]
    toplevel: top
  lint:
    <<: *default
    flow: lint
    flow_options: {tool: verilator, verilator_options: [-Wno-PINMISSING]}
"""


def fusesoc(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Runs it in ``folder``, which may hold cores of its own. It must not look through .venv and build."""
    (folder / "library").mkdir(exist_ok=True)
    for name in ("gemmary.core", "scripts"):
        if not (link := folder / "library" / name).exists():
            link.symlink_to(ROOT / name)
    verilator = find_verilator()
    path = [str(Path(sys.executable).parent), str(verilator.root / "bin"), os.environ["PATH"]]
    environment = {"PATH": os.pathsep.join(path), "HOME": str(folder), "VERILATOR_ROOT": str(verilator.root)}
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", ".", *arguments]
    return subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)


def test_core_file(tmp_path):
    """FuseSoC takes it, and it has every preset and the version of the project."""
    shown = fusesoc(tmp_path, "core", "show", CORE)
    assert shown.returncode == 0, shown.stderr
    core = yaml.safe_load((ROOT / "gemmary.core").read_text())
    assert core["name"] == f"{CORE}:{__version__}"
    assert {part["parameters"]["preset"] for part in core["generate"].values()} == set(PRESETS)


@pytest.mark.nightly
def test_lint_target(tmp_path):
    """As docs/integration.md says: the default preset is linted without a word."""
    run = fusesoc(tmp_path, "run", "--target", "lint", CORE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "%Warning" not in run.stdout + run.stderr
    (file,) = tmp_path.glob("build/*/lint/src/*/gemmary-base.v")
    assert "module gemmary(" in file.read_text()


@pytest.mark.nightly
@pytest.mark.parametrize("preset", ["nano", "small"])
def test_a_core_that_depends_on_it(preset, tmp_path):
    """A user's core gets the chosen preset, and FuseSoC fails where the user's Verilog is wrong."""
    (tmp_path / "user.core").write_text(USER)
    top = tmp_path / "top.v"
    top.write_text("module top(input clk, output irq); gemmary core(.aclk(clk), .irq(irq)); endmodule\n")
    arguments = ["run", "--target", "lint", "--flag", preset, "user:soc:top"]
    run = fusesoc(tmp_path, *arguments)
    assert "%Error" not in run.stdout + run.stderr
    assert list(tmp_path.glob(f"build/*/lint/src/*/gemmary-{preset}.v"))
    top.write_text(top.read_text().replace(".aclk", ".no_such_port"))
    run = fusesoc(tmp_path, *arguments)
    assert run.returncode != 0
    assert "no_such_port" in run.stdout + run.stderr


def test_the_generator_says_what_is_wrong(tmp_path):
    request = tmp_path / "request.yml"
    request.write_text("vlnv: a:b:c:1\nparameters: {preset: huge}\n")
    command = [sys.executable, ROOT / "scripts" / "fusesoc_generator.py", request]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert "unknown preset 'huge'" in run.stderr
