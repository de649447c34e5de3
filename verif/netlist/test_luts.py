"""The fast models of look-up tables are those of Yosys."""

import re
import subprocess
import sys

import pytest

from .models import LUTS, cell_models

_RUN = "import sys; from pyosys import libyosys as ys; ys.run_pass('tee -q script run.ys', ys.Design())"
PARAMETER = {"LUT4": "INIT", "SB_LUT4": "LUT_INIT"}
INITS = (0x0000, 0xFFFF, 0x8000, 0x0001, 0xCAFE, 0x1234, 0x6996)


@pytest.mark.parametrize("cell", LUTS)
def test_look_up_tables(cell, tmp_path):
    """Proved for some contents, for all inputs."""
    family = "ice40" if cell.startswith("SB") else "ecp5"
    for name, fast in (("slow", False), ("fast", True)):
        model = re.search(rf"^module {cell}\b.*?\bendmodule\b", cell_models(family, fast), re.MULTILINE | re.DOTALL)
        (tmp_path / f"{name}.v").write_text(model[0].replace("`ICE40_DEFAULT_ASSIGNMENT_0", ""))
    steps = []
    for init in INITS:
        for name in ("slow", "fast"):
            steps += ["design -reset", f"read_verilog -sv {name}.v", f"chparam -set {PARAMETER[cell]} {init} {cell}"]
            steps += [f"hierarchy -top {cell}", "proc", "flatten", "opt_clean", f"rename {cell} {name}"]
            steps += [f"design -stash {name}_{init}"]
        steps += ["design -reset"]
        steps += [f"design -copy-from {name}_{init} -as {name} {name}" for name in ("slow", "fast")]
        steps += ["miter -equiv -flatten -make_outputs slow fast miter", "sat -verify -prove trigger 0 miter"]
    (tmp_path / "run.ys").write_text("\n".join(steps) + "\n")
    run = subprocess.run([sys.executable, "-c", _RUN], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, (run.stdout + run.stderr)[-2000:]
