"""The Verilog that `gemmary verilog` writes."""

import os
import re
import subprocess
import sys

import pytest
from amaranth.back import rtlil

from gemmary.cli import main
from gemmary.errors import InputError
from hdl import rtlil as passes
from hdl import verilog
from hdl.top import Top
from hdl.verilog import to_verilog
from verif.configs import TINY

FLATTEN = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in (f"read_rtlil {sys.argv[1]}", "hierarchy -top gemmary", "flatten", f"write_rtlil {sys.argv[2]}"):
    libyosys.run_pass("tee -q " + command, design)
"""


@pytest.fixture(scope="module")
def text() -> str:
    return to_verilog(TINY)


def flattened(design: str, folder) -> str:
    source, target = folder / "design.il", folder / "flat.il"
    source.write_text(design)
    subprocess.run([sys.executable, "-c", FLATTEN, source, target], check=True, stdout=subprocess.DEVNULL)
    # Which module a cell came from is all that may differ.
    return re.sub(r'^(\s*attribute \\module "\S+"|autoidx \d+)\n', "", target.read_text(), flags=re.MULTILINE)


def test_shared_modules_make_the_same_design(tmp_path):
    design = passes._NOISE.sub("", rtlil.convert(Top(TINY), name="gemmary", emit_src=False))
    shared = passes.share_modules(design)
    assert shared.count("\nmodule ") < design.count("\nmodule ")
    assert sorted(flattened(shared, tmp_path).split("\n")) == sorted(flattened(design, tmp_path).split("\n"))


def test_equal_modules_only_are_shared():
    leaf = "module \\{0}\n  wire {1}\nend\n"
    pair = "module \\{0}\n  cell \\{0}.x \\x\n  end\n  cell \\{0}.y \\y\n  end\nend\n"
    design = "".join(
        [
            "module \\t\n  cell \\t.a \\a\n  end\n  cell \\t.b \\b\n  end\nend\n",
            *(pair.format(name) for name in ("t.a", "t.b")),
            *(leaf.format(name, wire) for name, wire in (("t.a.x", 1), ("t.a.y", 2), ("t.b.x", 1), ("t.b.y", 2))),
        ]
    )
    shared = passes.share_modules(design)
    assert re.findall(r"^module (\S+)", shared, re.MULTILINE) == ["\\t_a_x", "\\t_a_y", "\\t_a", "\\t"]
    assert re.findall(r"cell (\S+ \S+)", shared) == ["\\t_a_x \\x", "\\t_a_y \\y", "\\t_a \\a", "\\t_a \\b"]


def test_the_same_bytes_every_time(text):
    """Whatever the order in which this process goes through its sets."""
    script = "from verif.configs import TINY; from hdl.verilog import to_verilog; print(to_verilog(TINY), end='')"
    environment = os.environ | {"PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"}
    again = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True, text=True)
    assert again.stdout == text


def test_simulators_take_it(text, tmp_path):
    assert "always @*" not in text
    file = tmp_path / "gemmary.v"
    file.write_text(text)
    subprocess.run(["iverilog", "-g2001", "-t", "null", file], check=True)


def test_header_and_ports(text):
    assert text.startswith("// Gemmary ")
    assert f"// Preset tiny, identity 0x{TINY.identity:08x}" in text
    assert "rows = 4" in text
    ports = re.search(r"^module gemmary\((.*?)\);", text, re.MULTILINE | re.DOTALL)[1].replace("\n", "").split(", ")
    assert {"aclk", "aresetn", "irq"} < set(ports)
    assert len([port for port in ports if port.startswith("s_axil_")]) == 19
    assert len([port for port in ports if port.startswith("m_axi_")]) == 33


def test_without_initial_values(text):
    register = re.compile(r"^  reg .* = .*;$", re.MULTILINE)
    assert register.search(text)
    text = to_verilog(TINY, name="unknown", initial_values=False)
    assert not register.search(text)
    assert "\nmodule unknown(" in text


@pytest.mark.parametrize("arguments", [["--preset", "huge"], ["-o", "/no/such/folder/gemmary.v"]])
def test_bad_input(arguments, capsys):
    assert main(["verilog", *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err


def test_missing_yosys(monkeypatch):
    monkeypatch.setattr(verilog, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"Yosys 0\.40 or later is missing: pip install"):
        to_verilog(TINY)
