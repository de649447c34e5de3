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
    """FuseSoC takes it, and it has every preset, with one clock and two, and the version of the project."""
    shown = fusesoc(tmp_path, "core", "show", CORE)
    assert shown.returncode == 0, shown.stderr
    core = yaml.safe_load((ROOT / "gemmary.core").read_text())
    assert core["name"] == f"{CORE}:{__version__}"
    parameters = [part["parameters"] for part in core["generate"].values()]
    made = {(part["preset"], part.get("two_clocks", False)) for part in parameters}
    assert made == {(preset, two_clocks) for preset in PRESETS for two_clocks in (False, True)}


@pytest.mark.nightly
def test_lint_target(tmp_path):
    """As docs/integration.md says: the default preset is linted without a word."""
    run = fusesoc(tmp_path, "run", "--target", "lint", CORE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "%Warning" not in run.stdout + run.stderr
    (file,) = tmp_path.glob("build/*/lint/src/*/gemmary-base.v")
    assert "module gemmary(" in file.read_text()


@pytest.mark.nightly
@pytest.mark.parametrize("flags", [["nano"], ["small"], ["two_clocks"], ["small", "two_clocks"]], ids="-".join)
def test_a_core_that_depends_on_it(flags, tmp_path):
    """A user's core gets the chosen preset, and FuseSoC fails where the user's Verilog is wrong."""
    (tmp_path / "user.core").write_text(USER)
    top = tmp_path / "top.v"
    top.write_text("module top(input clk, output irq); gemmary core(.aclk(clk), .irq(irq)); endmodule\n")
    arguments = ["run", "--target", "lint", *(word for flag in flags for word in ("--flag", flag)), "user:soc:top"]
    run = fusesoc(tmp_path, *arguments)
    assert "%Error" not in run.stdout + run.stderr
    name = {"two_clocks": "base-two-clocks", "small-two_clocks": "small-two-clocks"}.get("-".join(flags), flags[0])
    (file,) = tmp_path.glob("build/*/lint/src/*/gemmary-*.v")
    assert file.name == f"gemmary-{name}.v"
    top.write_text(top.read_text().replace(".aclk", ".no_such_port"))
    run = fusesoc(tmp_path, *arguments)
    assert run.returncode != 0
    assert "no_such_port" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("parameters", "message"),
    [("preset: huge", "unknown preset 'huge'"), ("preset: nano, two_clocks: true", "preset nano has no DMA")],
)
def test_the_generator_says_what_is_wrong(parameters, message, tmp_path):
    request = tmp_path / "request.yml"
    request.write_text(f"vlnv: a:b:c:1\nparameters: {{{parameters}}}\n")
    command = [sys.executable, ROOT / "scripts" / "fusesoc_generator.py", request]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert message in run.stderr
