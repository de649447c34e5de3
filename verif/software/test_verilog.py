"""The Verilog that `gemmary verilog` writes."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth import Module
from amaranth.back import rtlil
from amaranth.lib import memory, wiring

from gemmary import __version__
from gemmary.cli import main
from gemmary.config import PRESETS
from gemmary.errors import InputError
from hdl import rtlil as passes
from hdl import verilog
from hdl.memory.dual_ram import DualRam
from hdl.memory.ram import Ram, RamSignature
from hdl.simulation.build import build_model
from hdl.simulation.tools import find_verilator
from hdl.top import Top, port_groups, ports
from hdl.verilog import CROSSINGS, TWO_CLOCKS_WAIVERS, WAIVERS, to_verilog
from scripts.generate_docs import DOCS
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


def test_collisions_are_forgotten_where_a_memory_says_so():
    """And nowhere else: others may rely on the old word."""

    class Plain(wiring.Component):
        def __init__(self):
            super().__init__(RamSignature(16, 8))

        def elaborate(self, platform):
            m = Module()
            m.submodules.memory = storage = memory.Memory(shape=8, depth=16, init=[])
            read, write = storage.read_port(), storage.write_port()
            m.d.comb += [read.addr.eq(self.read_address), self.read_data.eq(read.data)]
            m.d.comb += [
                write.addr.eq(self.write_address),
                write.data.eq(self.write_data),
                write.en.eq(self.write_enable),
            ]
            return m

    for design, mask in ((Ram(16, 8), "1'1"), (Plain(), "1'0")):
        relaxed = passes.forget_collisions(rtlil.convert(design, emit_src=False))
        assert set(re.findall(r"COLLISION_X_MASK (\S+)", relaxed)) == {mask}


def test_collisions_of_two_clocks_are_left_alone():
    """Yosys wants nothing said of ports that have no cycle in common; those beside them are as ever."""
    for design, masks in (
        (DualRam(16, 8, 2, "fast"), {"clk": "1'1", "fast_clk": "1'0"}),
        (Ram(16, 8, write_domain="fast"), {"clk": "1'0"}),
    ):
        relaxed = passes.forget_collisions(rtlil.convert(design, emit_src=False))
        ports = re.findall(r"cell \$memrd_v2 .*?^\s*end$", relaxed, re.MULTILINE | re.DOTALL)
        found = {
            (re.search(r"connect \\CLK \\(\S+)", port)[1], re.search(r"COLLISION_X_MASK (\S+)", port)[1])
            for port in ports
        }
        assert found == set(masks.items())


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


def lint(file, top: str = "gemmary") -> str:
    """What Verilator says about a file with every warning enabled; empty if it says nothing."""
    found = find_verilator()
    command = [found.binary, "--lint-only", "-Wall", "-Wno-fatal", "--top-module", top, file]
    environment = os.environ | {"VERILATOR_ROOT": str(found.root)}
    return subprocess.run(command, env=environment, capture_output=True, text=True).stderr


NIGHTLY_LINT = ("small", "ulx3s-85f", "ulx3s-pair", "ulx3s-mixed")  # what base and nano consist of, in other sizes


@pytest.mark.parametrize(
    "preset", [pytest.param(p, marks=pytest.mark.nightly) if p in NIGHTLY_LINT else p for p in PRESETS]
)
def test_lint(preset):
    """The file that the simulation model is made from is that of the command."""
    file = build_model(PRESETS[preset]).with_name("gemmary.v")
    assert f"// Written by gemmary verilog --preset {preset} with" in file.read_text()[:500]
    assert lint(file) == ""


def test_no_waiver_is_in_vain(tmp_path):
    file = tmp_path / "gemmary.v"
    text = build_model(PRESETS["small"]).with_name("gemmary.v").read_text()
    file.write_text(re.sub(r"^/\* verilator lint_.*\n", "", text, flags=re.MULTILINE))
    assert set(re.findall(r"^%\w+-(\w+):", lint(file), re.MULTILINE)) == set(WAIVERS)


def test_waivers_end_with_the_file(text, tmp_path):
    """What follows it in a user's design is checked in full."""
    file = tmp_path / "gemmary.v"
    file.write_text(text + "module user(output o, input [1:0] i); assign o = i[0]; endmodule\n")
    assert "%Warning-UNUSEDSIGNAL" in lint(file, "user")


def test_header(text):
    header = text[: text.index("\n\n")]
    assert all(line.startswith("//") for line in header.split("\n"))
    for part in (
        f"Gemmary {__version__}: ",
        "Written by hdl.verilog.to_verilog with",  # it is no preset
        f"Preset tiny, config identity 0x{TINY.identity:08x} ",
        *(
            f"  {field.name} = {getattr(TINY, field.name)}"
            for field in dataclasses.fields(TINY)
            if field.name != "name"
        ),
        *(f"  {rule}" for rule in WAIVERS),
    ):
        assert f"// {part}" in header
    assert not undescribed(text)


def ports_of(text: str) -> set[str]:
    names = re.search(r"^module gemmary\((.*?)\);", text, re.MULTILINE | re.DOTALL)[1]
    return set(names.replace("\n", "").split(", "))


def undescribed(text: str) -> list[str]:
    """The ports of which the header says nothing."""
    named = tuple(re.findall(r"^//   (\w+)\*? ", text[: text.index("\n\n")], re.MULTILINE))
    return [port for port in ports_of(text) if not port.startswith(named)]


def test_ports(text):
    found = ports_of(text)
    assert {"aclk", "aresetn", "irq"} < found
    assert len([port for port in found if port.startswith("s_axil_")]) == 19
    assert len([port for port in found if port.startswith("m_axi_")]) == 33


def two_clocks(preset: str, folder) -> Path:
    """What the command writes."""
    file = folder / "gemmary.v"
    assert main(["verilog", "--preset", preset, "--two-clocks", "-o", str(file)]) == 0
    return file


def test_two_clocks(monkeypatch, tmp_path):
    """Header and ports, as the command writes them."""
    monkeypatch.setitem(PRESETS, TINY.name, TINY)
    text = two_clocks(TINY.name, tmp_path).read_text()
    header = text[: text.index("\n\n")]
    assert "// Written by gemmary verilog --preset tiny --two-clocks with" in header
    for line in CROSSINGS:
        assert f"// {line}\n" in header
    for name, doc in (port_groups(TINY, two_clocks=True) | TWO_CLOCKS_WAIVERS).items():
        assert re.search(rf"^//   {re.escape(name)} +{re.escape(doc)}$", header, re.MULTILINE)
    assert not undescribed(text)
    assert ports_of(text) == set(ports(TINY, two_clocks=True)) == set(ports(TINY)) | {"compute_aclk"}


@pytest.mark.nightly
@pytest.mark.parametrize("preset", [name for name, config in PRESETS.items() if config.dma])
def test_lint_of_two_clocks(preset, tmp_path):
    """No waiver for two clocks is in vain."""
    file = two_clocks(preset, tmp_path)
    assert lint(file) == ""
    text = file.read_text()
    for rule in TWO_CLOCKS_WAIVERS:
        text = text.replace(f"/* verilator lint_off {rule} */\n", "")
    file.write_text(text)
    assert set(re.findall(r"^%\w+-(\w+):", lint(file), re.MULTILINE)) == set(TWO_CLOCKS_WAIVERS)


@pytest.mark.nightly
def test_the_same_bytes_of_two_clocks():
    script = (
        "from verif.configs import TINY; from hdl.verilog import to_verilog; print(to_verilog(TINY, two_clocks=True))"
    )
    one, two = (
        subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True)
        for seed in "12"
    )
    assert one.stdout == two.stdout and b"compute_aclk" in one.stdout


def test_constraints_of_two_clocks():
    """Those of docs/integration.md name ports that are there and clocks that they make, and bound both directions."""
    text = (DOCS / "integration.md").read_text(encoding="utf-8").split("## Two clocks\n")[1].split("\n## ")[0]
    lines = re.findall(r"^    ((?:create|set)_.*)$", text, re.MULTILINE)
    periods = {}
    for line in lines:
        assert set(re.findall(r"get_ports (\w+)", line)) <= set(ports(TINY, two_clocks=True))
        if made := re.fullmatch(r"create_clock -name (\w+) -period ([0-9.]+) \[get_ports \1\]", line):
            periods[made[1]] = made[2]
        assert set(re.findall(r"get_clocks (\w+)", line)) <= set(periods)
    for start, end in (("aclk", "compute_aclk"), ("compute_aclk", "aclk")):
        between = f"-from [get_clocks {start}] -to [get_clocks {end}]"
        assert {f"set_max_delay {periods[start]} {between}", f"set_false_path -hold {between}"} <= set(lines)


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


def test_two_clocks_need_dma(tmp_path, capsys):
    file = tmp_path / "gemmary.v"
    assert main(["verilog", "--preset", "nano", "--two-clocks", "-o", str(file)]) == 2
    assert (
        "--two-clocks: preset nano has no DMA, and so only one clock: leave the option out" in capsys.readouterr().err
    )
    assert not file.exists()


def test_missing_yosys(monkeypatch):
    monkeypatch.setattr(verilog, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"Yosys 0\.40 or later is missing: pip install"):
        to_verilog(TINY)


def test_missing_extra():
    """Without Amaranth the command says what to install."""
    script = """if True:
        import sys
        sys.modules["amaranth"] = sys.modules["amaranth.back"] = None
        from gemmary.cli import main
        sys.exit(main(["verilog"]))
    """
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.endswith("pip install 'gemmary[rtl]'\n")
