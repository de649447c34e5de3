"""What the flow makes of the tools' output, when it builds and when not, what its clocks are made of, bad input."""

import dataclasses
import json
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from boards.board import MODULES, board
from boards.chips import ecp5, ecp5_floorplan, ice40
from boards.flow import build, limits, modules, paths, report, seeds
from boards.flow.tools import Tool
from gemmary.config import preset
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
    own = pathlib.Path(f"../routed-{options['seed']}.json")
    if own.exists() and not own.read_text():
        sys.exit("ERROR: no way")
    pathlib.Path(options["report"]).write_text((own if own.exists() else pathlib.Path("../routed.json")).read_text())
    pathlib.Path(options["write"]).write_text(pathlib.Path("../written.json").read_text())
else:
    pathlib.Path(arguments[-1]).write_text("bits")
"""


ARRAY = "system.accelerator.tensor.array"
PLACED = {
    f"{ARRAY}.cell_0.sum_TRELLIS_FF_Q": ("TRELLIS_FF", "X5/Y11/SLICEA.FF0"),
    **{f"{ARRAY}.cell_0.sum_LUT4_Z_{i}": ("TRELLIS_COMB", f"X5/Y1{i}/SLICEA.COMB0") for i in range(4)},
    **{f"{ARRAY}.cell_0.multiplier_{i}": ("MULT18X18D", f"X{4 + i}/Y10/MULT18_{i}") for i in range(2)},
    "system.accelerator.vector.lane_0.x_MULT18X18D_P0": ("MULT18X18D", "X8/Y10/MULT18_4"),
    "system.accelerator.activation.bank_0.memory.0.1": ("DP16KD", "X4/Y22/EBR0"),
    "system.link.frames.crc_LUT4_Z_C_CCU2C_S0$CCU2_COMB0": ("TRELLIS_COMB", "X60/Y80/SLICEB.COMB1"),
    "tx": ("TRELLIS_IO", "X0/Y80/PIOA"),
}
SCOPES = (ARRAY, f"{ARRAY}.cell_0", "system", "system.accelerator", "system.accelerator.vector", "system.link.frames")


def netlist(*rams: str, scopes=()) -> dict:
    """A flat design of nothing but these block RAMs, on the clock ``clk``, and the names of modules."""
    cells = {name: cell("DP16KD", DATA_WIDTH_A="10010", DATA_WIDTH_B="10010", CLKA=[2], CLKB=[2]) for name in rams}
    cells |= {name: cell("$scopeinfo") for name in scopes}
    names = {"clk": {"bits": [2]}, "data": {"bits": [3]}}
    return {"modules": {"top": {"attributes": {"top": "1"}, "ports": {}, "cells": cells, "netnames": names}}}


def cell(kind: str, **values) -> dict:
    """A cell of the netlist: lists are nets at its inputs, others parameters."""
    nets = {name: value for name, value in values.items() if isinstance(value, list)}
    parameters = {name: value for name, value in values.items() if name not in nets}
    directions = dict.fromkeys(nets, "input")
    return {
        "type": kind,
        "attributes": {},
        "parameters": parameters,
        "connections": nets,
        "port_directions": directions,
    }


def written() -> dict:
    """The router's netlist of PLACED."""
    cells = {name: {"type": kind, "attributes": {"NEXTPNR_BEL": bel}} for name, (kind, bel) in PLACED.items()}
    return {"modules": {"top": {"cells": cells}}}


def reaches(mhz: float) -> str:
    """A report of the router with that much for the board's clock."""
    routed = json.loads(json.dumps(ROUTED))
    routed["fmax"]["clk"]["achieved"] = mhz
    return json.dumps(routed)


@pytest.fixture
def flow(tmp_path, monkeypatch):
    """A folder to build in, with tools that only pretend."""
    (tmp_path / "tool.py").write_text(TOOL)
    (tmp_path / "routed.json").write_text(json.dumps(ROUTED))
    (tmp_path / "netlist.json").write_text(json.dumps(netlist(scopes=SCOPES)))
    (tmp_path / "written.json").write_text(json.dumps(written()))

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
    # Two of the three multipliers and 4 of the 5 tables are the array's.
    assert (found["macs_per_dsp_multiplier"], found["comb_per_mac_array"]) == (64, 0.03)
    assert found["comb_per_mac"] == round(30000 / 128, 2)
    assert (found["macs_soft"], found["comb_per_mac_soft"]) == (0, None)
    modules = {module["module"]: module for module in found["modules"]}
    assert modules[f"{ARRAY}.cell_0"]["trellis_comb"] == 4 and modules[f"{ARRAY}.cell_0"]["group"] == "array"
    assert modules["system.link.frames"]["trellis_comb"] == 1 and modules["system.accelerator.vector"]["dsp"] == 1
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
    assert fpga_runs() == ["yosys"]  # which makes the same netlist
    (flow / "netlist.json").write_text(json.dumps(netlist("ram", scopes=SCOPES)))
    monkeypatch.setattr(build, "source_texts", lambda: {"a.py": "3"})
    monkeypatch.setattr(build, "elaborate", lambda *_: ("a third design", "pins"))
    assert fpga_runs() == ["yosys", "router"]
    assert fpga_runs("--seed", "4") == ["router"]  # of the same netlist
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


def test_the_best_of_several_seeds_is_kept(flow, capsys):
    """Met before not met, then what has the most time left; what is routed is not routed again."""
    for seed, mhz in ((1, CLOCK + 1), (2, CLOCK - 1), (3, CLOCK + 9), (4, CLOCK + 5)):
        (flow / f"routed-{seed}.json").write_text(reaches(mhz))
    assert fpga.main(["bitstream", "--seeds", "4", "--jobs", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["seed"] for row in found["seeds"]] == [1, 2, 3, 4] and found["seed"] == 3
    assert [row["timing_met"] for row in found["seeds"]] == [True, False, True, True]
    assert found["fmax_mhz"] == round(CLOCK + 9, 2) and found["cached"] is False
    assert (flow / "ulx3s-85f" / "routed.config").read_text() == "routed with 3"
    assert sorted(ran(flow)) == ["packer", "router", "router", "router", "router", "yosys"]
    assert fpga.main(["fpga", "--seeds", "5"]) == 0
    assert ran(flow) == ["router"] and "3 │" in (shown := capsys.readouterr().out) and "kept" in shown
    assert fpga.main(["bitstream", "--seed", "2", "--seeds", "1"]) == 1
    assert ran(flow) == [] and not (flow / "ulx3s-85f" / "ulx3s-85f.bit").exists()  # that one was seed 3


def test_a_seed_without_a_way_does_not_stop_the_others(flow, capsys):
    (flow / "routed-1.json").write_text("")
    assert fpga.main(["fpga", "--seeds", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seed"] == 2 and [row["domains"] == [] for row in found["seeds"]] == [True, False]
    ran(flow)
    assert fpga.main(["fpga", "--seeds", "2"]) == 0
    assert ran(flow) == ["router"] and "not routed" in capsys.readouterr().out  # that one is tried again
    assert fpga.main(["fpga", "--seeds", "1"]) == 1
    assert "no way" in capsys.readouterr().err


def test_no_clock_passes_the_limits_of_the_blocks(flow, capsys):
    """Seed 1 reaches more than a block RAM may run at."""
    (flow / "netlist.json").write_text(json.dumps(netlist("ram", scopes=SCOPES)))
    (flow / "routed.json").write_text(reaches(500.0))
    assert fpga.main(["fpga", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fmax_mhz"] == found["bram_internal_limit_mhz"] == 211.95
    clocks = {domain["name"]: domain for domain in found["domains"]}
    assert clocks["clk"]["routed_mhz"] == 500 and clocks["clk"]["timing_met"]
    assert "could not be read" in found["data_sheet"]
    # A clock with another name than in the netlist may have any block on it.
    assert clocks["pll"]["bram_internal_limit_mhz"] == 211.95


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
        (["--seeds", "0"], "SEEDS = '0' must be a whole number from 1 to 100"),
        (["--jobs", "many"], "JOBS = 'many' must be"),
        (["--compute-mhz", "fast", "--preset", "ulx3s-pair"], "COMPUTE_MHZ = 'fast' must be"),
        (["--compute-mhz", "120"], "clock of its own on ulx3s-85f (ulx3s-pair, ulx3s-mixed), not ulx3s-85f"),
        (["--compute-mhz", "117", "--preset", "ulx3s-mixed"], "no divider of the ECP5 PLL makes 30 and 117 MHz"),
    ],
)
def test_bad_input_is_status_2(capsys, arguments, named):
    assert fpga.main(["fpga", *arguments]) == 2
    assert named in capsys.readouterr().err


def test_another_clock_is_another_build(flow):
    for arguments, mhz in (((), 120), (("--compute-mhz", "105"), 105), ((), 120)):
        assert fpga.main(["fpga", "--preset", "ulx3s-mixed", *arguments]) == 0
        report = json.loads((flow / "ulx3s-85f" / "report.json").read_text())
        assert report["compute_mhz"] == mhz and not report["cached"] and "yosys" in ran(flow)


def test_another_clock_of_the_tensor_engine():
    chosen = board("ulx3s-85f")
    mixed, pair = (preset(name) for name in ("ulx3s-mixed", "ulx3s-pair"))
    other = chosen.computing(mixed, Fraction(105))
    assert other.of(mixed).compute_mhz == 105 and chosen.of(mixed).compute_mhz == 120
    assert other.of(pair).compute_mhz == chosen.of(pair).compute_mhz


def test_a_clock_without_a_constraint_is_not_met():
    chosen = board("ulx3s-85f")
    assert not report.met(chosen, []) and not report.met(chosen, report.domains({"fmax": {}}))
    assert report.met(chosen, report.domains(ROUTED))


@pytest.mark.parametrize("name", MODULES)
def test_divisors_are_whole(name):
    chosen = board(name)
    assert chosen.divisor * chosen.baud == chosen.clock_mhz * 1_000_000


def test_a_preset_may_have_a_compute_clock_of_its_own(flow):
    """Peak throughput counts with it."""
    chosen = dataclasses.replace(board("ulx3s-85f"), compute_clocks={"ulx3s-85f": Fraction(60)})
    assert chosen.of(preset("ulx3s-85f")).compute_mhz == 60 and chosen.of(preset("ulx3s-pair")).compute_mhz is None
    with_fast, without = (chosen.of(preset(name)).chip.route_options for name in ("ulx3s-85f", "ulx3s-pair"))
    assert with_fast == (*without, "--tmg-ripup") and without == chosen.chip.route_options
    found = build.Build(chosen, preset("ulx3s-85f")).fpga()
    assert (found["clock_mhz"], found["compute_mhz"], found["peak_gops"]) == (CLOCK, 60, 2 * 128 * 60 / 1000)


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


@pytest.mark.parametrize(
    ("registers", "mhz"),
    [
        # From the tables of speed grade 6: 2625 ps from pin to pipeline register, less the 3927 - 3864 that a pin is earlier.
        ({"REG_INPUTA_CLK": "CLK0", "REG_PIPELINE_CLK": "CLK0", "REG_OUTPUT_CLK": "CLK0"}, 390.32),
        # 3864 ps from input register to pin, less the 3927 - 3486 from output register to pin.
        ({"REG_INPUTA_CLK": "CLK0", "REG_OUTPUT_CLK": "CLK0"}, 292.14),
        # The router knows these paths.
        ({"REG_OUTPUT_CLK": "CLK0"}, None),
        ({}, None),
    ],
)
def test_limits_of_multipliers(registers, mhz):
    design = netlist("ram")
    design["modules"]["top"]["netnames"]["fast"] = {"bits": [7]}
    design["modules"]["top"]["cells"]["m"] = cell("MULT18X18D", CLK0=[7], **registers)
    found = limits.limits(design, "LFE5U-85F-6CABGA381")
    assert limits.of_clock(found, "$glbnet$clk") == limits.Limits(None, 211.95)
    assert found.get("fast", limits.Limits()).dsp_internal_limit_mhz == mhz
    assert limits.limits(design, "iCE40UP5K-sg48") == {}


def test_a_block_ram_that_reads_before_it_writes_is_slower():
    design = netlist("ram")
    design["modules"]["top"]["cells"]["ram"]["parameters"]["WRITEMODE_B"] = "READBEFOREWRITE"
    assert limits.limits(design, "LFE5U-85F-6CABGA381")["clk"].bram_internal_limit_mhz == 154.55
    assert limits.limits(design, "LFE5U-85F-8CABGA381")["clk"].bram_internal_limit_mhz == 214.13


def test_longest_paths():
    """Nanoseconds of logic and of wires, the signals at its ends and the modules that they are in."""

    def step(kind, delay, start, end):
        return {"type": kind, "delay": delay, "from": {"cell": start}, "to": {"cell": end}}

    begin, middle, end = f"{ARRAY}.cell_0.p_TRELLIS_FF_Q_2", "x_LUT4_Z", "system.link.frames.crc_TRELLIS_FF_Q_DI_LUT4_Z"
    steps = [
        step("clk-to-q", 0.5, begin, begin),
        step("routing", 1.25, begin, middle),
        step("logic", 0.25, middle, middle),
    ]
    steps += [step("routing", 2, middle, end), step("setup", 0.125, end, end)]
    path = {"from": "posedge clk", "to": "posedge clk", "path": steps}
    found = paths.critical_paths({"critical_paths": [path, path | {"from": "<async>"}]}, SCOPES)
    assert found["clk", "clk"] == {
        "from": f"{ARRAY}.cell_0.p", "to": "system.link.frames.crc",
        "from_module": f"{ARRAY}.cell_0", "to_module": "system.link.frames",
        "delay_ns": 4.125, "logic_ns": 0.875, "routing_ns": 3.25, "levels": 1,
    }  # fmt: skip
    assert report.domains(ROUTED | {"critical_paths": [path]}, known=SCOPES)[0].critical_path == found["clk", "clk"]


@pytest.mark.parametrize(
    ("module", "group"),
    [
        (f"{ARRAY}.cell_0_1", "array"),
        ("system.accelerator.array.multiplier_0", "array"),
        ("system.accelerator.tensor.sequencer", "control"),
        ("system.accelerator.weights$76.half_0", "scratchpads"),
        ("system.accelerator.accumulator.bank_0", "accumulator"),
        ("system.accelerator.vector.requantize", "vector"),
        ("system.accelerator.store", "DMA"),
        ("system.accelerator.registers", "host"),
        ("system.link.frames", "host"),
        ("system.memory.lane_3", "memory"),
        ("system.memory_other", "control"),
        ("", "control"),
    ],
)
def test_parts_of_the_design(module, group):
    assert modules.group_of(module) == group


def test_products_in_tables_count_apart():
    """Half of all products have multipliers: those of 256 MACs in two cells, and 8 of a side column."""
    inside = {"cell_0_0": (60, 64, 40), "cell_0_1": (40, 64, 40), "side_0": (12, 8, 9)}
    found = {f"{ARRAY}.{name}": Counter(trellis_comb=logic) for name, (logic, _, _) in inside.items()}
    found |= {f"{ARRAY}.{name}.multiplier.hard": Counter(dsp=dsp) for name, (_, dsp, _) in inside.items()}
    found |= {f"{ARRAY}.{name}.multiplier.soft": Counter(trellis_comb=soft) for name, (_, _, soft) in inside.items()}
    found |= {f"{ARRAY}.skew": Counter(trellis_comb=450), "system.accelerator.vector": Counter(dsp=9)}
    assert report.per_mac(preset("ulx3s-mixed"), found, {"trellis_comb": 1024}) == {
        "macs_per_dsp_multiplier": round(256 / 136, 3),
        "comb_per_mac_array": 2.0,  # half of what the cells have for both, and the rest of the array: 50 + 12 + 450
        "macs_soft": 256,
        "comb_per_mac_soft": round((89 + 50) / 256, 2),
        "comb_per_mac": 2.0,
    }


def test_the_page_shows_the_chip(flow):
    assert fpga.main(["fpga", "--seeds", "2"]) == 0
    html = (flow / "ulx3s-85f" / "index.html").read_text()
    assert html.count('rx="1"') == 4  # three multipliers and a block RAM
    assert html.count("<path") == 2  # tiles of the array, with flip-flops in one, and of the host
    assert "M96 102h7" in html  # tile (5, 11)
    assert "DSP of system.accelerator.vector" in html and "http" not in html.replace("http://www.w3.org", "")


def test_as_many_routers_as_memory_allows(monkeypatch):
    monkeypatch.setattr(seeds.os, "sched_getaffinity", lambda _: range(16), raising=False)
    monkeypatch.setattr(seeds, "free_memory", lambda: 3 * seeds.ROUTE_BYTES + 1)
    assert seeds.at_once() == 3
    monkeypatch.setattr(seeds, "free_memory", lambda: 0)
    assert seeds.at_once() == 1
