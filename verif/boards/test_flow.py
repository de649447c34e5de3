"""What the flow makes of the tools' output, when it builds and when not, what its clocks are made of, bad input."""

import json
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from boards.board import MODULES, board
from boards.chips import ecp5, ecp5_floorplan, ice40
from boards.flow import build, report
from boards.flow.tools import Tool
from gemmary.errors import InputError
from scripts import fpga

CLOCK = float(board("ulx3s-85f").clock_mhz)
ROUTED = {
    "fmax": {"clk": {"achieved": CLOCK + 1.234, "constraint": CLOCK}, "pll": {"achieved": 400.0, "constraint": 25.0}},
    "utilization": {
        "TRELLIS_COMB": {"available": 83640, "used": 30000},
        "TRELLIS_FF": {"available": 83640, "used": 20000},
        "MULT18X18D": {"available": 156, "used": 152},
        "DP16KD": {"available": 208, "used": 191},
    },
}
# A stand-in for each tool: it notes that it ran, and leaves the files that the real one would.
TOOL = """
import json, pathlib, sys
name, arguments = sys.argv[1], sys.argv[2:]
with open("runs", "a") as file: file.write(name + " ")
if name == "yosys":
    pathlib.Path("netlist.json").write_text(pathlib.Path("../netlist.json").read_text())
    print("1.2. Executing OPT pass (performing simple optimizations).", "     777   LUT4", sep="\\n")
elif name == "router":
    options = dict(a[2:].split("=") for a in arguments if "=" in a)
    pathlib.Path(options["textcfg"]).write_text("routed with " + options["seed"])
    pathlib.Path(options["report"]).write_text(pathlib.Path("../routed.json").read_text())
else:
    pathlib.Path(arguments[-1]).write_text("bits")
"""


def netlist(*rams: str) -> dict:
    """A flat design of nothing but these block RAMs."""
    cells = {name: {"type": "DP16KD", "attributes": {}} for name in rams}
    return {"modules": {"top": {"attributes": {"top": "1"}, "ports": {}, "cells": cells}}}


@pytest.fixture
def flow(tmp_path, monkeypatch):
    """A folder to build in, with tools that only pretend."""
    (tmp_path / "tool.py").write_text(TOOL)
    (tmp_path / "routed.json").write_text(json.dumps(ROUTED))
    (tmp_path / "netlist.json").write_text(json.dumps(netlist()))

    def tool(name):
        return lambda *_: Tool((sys.executable, str(tmp_path / "tool.py"), name), f"{name} 1.0")

    monkeypatch.setattr(build, "find_yosys", tool("yosys"))
    monkeypatch.setattr(build, "find", lambda name: tool("packer" if "pack" in name else "router")())
    monkeypatch.setattr(build, "elaborate", lambda *_: ("design", "pins"))
    monkeypatch.setattr(build, "source_texts", lambda: {"a.py": "1"})
    monkeypatch.setattr(build, "BUILD", tmp_path)
    return tmp_path


def ran(folder: Path) -> list[str]:
    """The tools that ran since the last call."""
    path = folder / "ulx3s-85f" / "runs"
    names = path.read_text().split() if path.exists() else []
    path.write_text("")
    return names


def test_report(flow, capsys):
    assert fpga.main(["bitstream", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((flow / "ulx3s-85f" / "report.json").read_text())
    wanted = {
        "device": "LFE5U-85F-6CABGA381", "preset": "ulx3s-85f", "fmax_mhz": round(CLOCK + 1.23, 2), "clock_mhz": CLOCK,
        "timing_met": True,
        "lut4": 777, "trellis_comb": 30000, "ff": 20000, "dsp": 152, "bram": 191, "macs_per_cycle": 128,
        "peak_gops": round(0.256 * CLOCK, 3), "seed": 1, "cached": False,
    }  # fmt: skip
    assert found | wanted == found
    assert found["tools"]["router"] == "router 1.0" and found["wall_s"] >= 0
    assert [domain["name"] for domain in found["domains"]] == ["clk", "pll"]
    assert (flow / "ulx3s-85f" / "ulx3s-85f.bit").read_text() == "bits"
    assert ran(flow) == ["yosys", "router", "packer"]


def test_nothing_is_built_twice(flow, monkeypatch):
    def fpga_runs(*arguments, status=0):
        assert fpga.main(["fpga", *arguments]) == status
        return ran(flow)

    assert fpga_runs() == ["yosys", "router"]
    assert fpga_runs() == []
    report = json.loads((flow / "ulx3s-85f" / "report.json").read_text())
    assert report["cached"] is True
    monkeypatch.setattr(build, "source_texts", lambda: {"a.py": "a comment more"})
    assert fpga_runs() == []  # the design is the same
    monkeypatch.setattr(build, "elaborate", lambda *_: ("another design", "pins"))
    assert fpga_runs() == []  # as the sources are
    monkeypatch.setattr(build, "source_texts", lambda: {"a.py": "2"})
    assert fpga_runs() == ["yosys", "router"]
    assert fpga_runs("--seed", "4") == ["yosys", "router"]
    assert (flow / "ulx3s-85f" / "routed.config").read_text() == "routed with 4"
    assert fpga.main(["bitstream", "--seed", "4"]) == fpga.main(["bitstream", "--seed", "4"]) == 0
    assert ran(flow) == ["packer"]


@pytest.mark.parametrize("slow", ["clk", "pll"])
def test_missed_timing_is_status_1_and_no_bitstream(flow, capsys, slow):
    routed = json.loads(json.dumps(ROUTED))
    routed["fmax"][slow]["achieved"] = routed["fmax"][slow]["constraint"] - 0.1
    assert fpga.main(["bitstream"]) == 0
    (flow / "routed.json").write_text(json.dumps(routed))
    for step in ("fpga", "bitstream", "fpga"):
        assert fpga.main([step, "--seed", "2"]) == 1
        assert "timing is not met" in capsys.readouterr().err
    assert not (flow / "ulx3s-85f" / "ulx3s-85f.bit").exists()
    assert json.loads((flow / "ulx3s-85f" / "report.json").read_text())["timing_met"] is False


def test_a_failing_tool_is_status_1(flow, capsys):
    (flow / "tool.py").write_text("print('ERROR: out of luck'); raise SystemExit(1)")
    assert fpga.main(["fpga"]) == 1
    assert "out of luck" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--board", "abacus"], "unknown board 'abacus': choose one of ulx3s-85f, icebreaker"),
        (["--preset", "huge"], "unknown preset 'huge'"),
        (["--board", "icebreaker", "--preset", "small"], "which icebreaker lacks"),
        (["--seed", "-1"], "SEED = '-1' must be"),
    ],
)
def test_bad_input_is_status_2(capsys, arguments, named):
    assert fpga.main(["fpga", *arguments]) == 2
    assert named in capsys.readouterr().err


def test_a_clock_without_a_constraint_is_not_met(tmp_path):
    (tmp_path / "routed").write_text(json.dumps({"fmax": {}, "utilization": {}}))
    (tmp_path / "log").write_text("")
    chosen = board("ulx3s-85f")
    found = report.report(chosen, chosen.config(), 1, tmp_path / "routed", tmp_path / "log")
    assert found["timing_met"] is False and found["fmax_mhz"] is None


@pytest.mark.parametrize("name", MODULES)
def test_divisors_are_whole(name):
    chosen = board(name)
    assert chosen.divisor * chosen.baud == chosen.clock_mhz * 1_000_000


@pytest.mark.parametrize("wanted", [50, 60, 62.5, 75, 100])
def test_ecp5_dividers(wanted):
    wanted = Fraction(wanted)
    reference, feedback, output = ecp5.dividers(Fraction(25), wanted)
    assert Fraction(25) / reference * feedback == wanted
    assert ecp5.VCO[0] <= wanted * output <= ecp5.VCO[1]


@pytest.mark.parametrize("wanted", [18, 24, 27, 30, 48])
def test_ice40_dividers(wanted):
    reference, feedback, output = ice40.dividers(Fraction(12), Fraction(wanted))
    assert Fraction(12) * (feedback + 1) / (reference + 1) / 2**output == wanted
    assert ice40.VCO[0] <= wanted * 2**output <= ice40.VCO[1]


@pytest.mark.parametrize("family", [ecp5, ice40])
def test_a_clock_that_no_divider_makes(family):
    with pytest.raises(InputError, match="no divider"):
        family.dividers(Fraction(25), Fraction(60) + Fraction(1, 1009))


def test_block_rams_are_placed_by_their_names():
    """A place that is taken or beyond the chip is left to the placer; so is a RAM without a rule."""
    design = netlist("bank_0.1", "bank_0.1x", "bank_3.1", "bank_9.12", "other_0")
    rules = {r"bank_(\d+)\.(\d+)": lambda bank, byte: (1, byte, bank), r"other_(\d)": lambda n: (1, 1, n)}
    assert ecp5_floorplan.place_block_rams(design, rules) == 2
    placed = {name: cell["attributes"] for name, cell in design["modules"]["top"]["cells"].items()}
    assert placed == {
        "bank_0.1": {"BEL": "X13/Y46/EBR0"},
        "bank_0.1x": {},
        "bank_3.1": {"BEL": "X19/Y46/EBR3"},
        "bank_9.12": {},
        "other_0": {},
    }
