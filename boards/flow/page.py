"""The page of a build: floorplan, utilization by module, longest paths, seeds."""

from collections import Counter
from collections.abc import Sequence

from gemmary.report import Column, Tile, page, section, table, tiles

from .floorplan import floorplan
from .modules import shown
from .placement import Cell

RESOURCES = {
    "trellis_comb": "TRELLIS_COMB",
    "logic_cells": "logic cells",
    "ff": "flip-flops",
    "dsp": "multiplier blocks",
    "bram": "block RAMs",
    "spram": "SPRAMs",
}


def fpga_page(report: dict, cells: Sequence[Cell]) -> str:
    """``report`` is report.json; ``cells`` are those of the seed that was kept."""
    names = [name for name in RESOURCES if report.get(name) is not None]
    lead = (
        f"{report['device']}, preset {report['preset']}, seed {report['seed']}. What the tools say, not measured on silicon: "
        f"Amaranth {', '.join(dict.fromkeys(report['tools'].values()))}."
    )
    parts = [
        tiles(_tiles(report, names)),
        section("Clocks", _limit(report), _clocks(report)),
        section(
            "Floorplan",
            "Each tile of logic in the colour of what it holds most of, the stronger the fuller it is; multipliers and block RAMs have an edge.",
            floorplan(report["device"], cells),
        ),
        section(
            "Utilization",
            "By the names that synthesis has given the cells: logic between two modules can count for either.",
            _utilization(report, names),
        ),
        section("Longest paths", "Of each clock, in the seed that was kept.", _paths(report)),
        section("Seeds", "The same netlist, placed and routed with each.", _seeds(report)),
    ]
    return page(f"Gemmary on {report['board']}", lead, parts)


def _tiles(report: dict, names: list[str]) -> list[Tile]:
    met = report["timing_met"]
    result = [Tile("met" if met else "not met", "timing", "good" if met else "bad")]
    result.append(
        Tile(
            f"{report['peak_gops']:g}",
            f"GOPS peak, {report['macs_per_cycle']} MACs a cycle at {report['compute_mhz']:g} MHz",
        )
    )
    if report["macs_per_dsp_multiplier"]:
        result.append(Tile(f"{report['macs_per_dsp_multiplier']:g}", "MACs a multiplier of the array"))
    if report["comb_per_mac"]:
        result.append(Tile(f"{report['comb_per_mac']:.1f}", f"{RESOURCES[names[0]]} a MAC in all"))
    if report["comb_per_mac_array"]:
        result.append(Tile(f"{report['comb_per_mac_array']:.1f}", f"{RESOURCES[names[0]]} a MAC in the array"))
    if report["macs_soft"]:
        result.append(
            Tile(
                f"{report['comb_per_mac_soft']:.1f}",
                f"{RESOURCES[names[0]]} a MAC of the {report['macs_soft']} without multipliers",
            )
        )
    return [
        *result,
        *(Tile(f"{report[name]:,}", f"of {report['available'][name]:,} {RESOURCES[name]}") for name in names),
    ]


def _limit(report: dict) -> str:
    found = [f"{report[f'{name}_internal_limit_mhz']:g} MHz inside {words}" for name, words in
             (("dsp", "the multipliers"), ("bram", "the block RAMs")) if report[f"{name}_internal_limit_mhz"]]  # fmt: skip
    text = f"Limits that the router does not check: {' and '.join(found) if found else 'none'} ({report['limits_source']})."
    return text + (f" {report['data_sheet']}." if report["data_sheet"] else "")


def _clocks(report: dict) -> str:
    columns = (
        Column("clock"), Column("MHz", ".1f", "what may be claimed"), Column("routed, MHz", ".1f"), Column("needed, MHz", ".1f"),
        Column("limit of multipliers", ".1f"), Column("limit of block RAMs", ".1f"), Column("timing"),
    )  # fmt: skip
    fields = ("name", "fmax_mhz", "routed_mhz", "clock_mhz", "dsp_internal_limit_mhz", "bram_internal_limit_mhz")
    return table(columns, [[*(d[field] for field in fields), _met(d)] for d in report["domains"]])


def _utilization(report: dict, names: list[str]) -> str:
    columns = [Column("module"), Column("part"), *(Column(RESOURCES[name], ",d") for name in names)]
    columns.append(Column("share of logic", ".1%"))
    found: dict[tuple[str, str], Counter] = {}
    for module in report["modules"]:
        found.setdefault((shown(module["module"]), module["group"]), Counter()).update(
            {name: module[name] for name in names}
        )
    total = report[names[0]] or 1
    rows = sorted(found.items(), key=lambda item: -item[1][names[0]])
    return table(columns, [[*key, *(counts[name] for name in names), counts[names[0]] / total] for key, counts in rows])


def _paths(report: dict) -> str:
    columns = (
        Column("clock"), Column("from"), Column("to"), Column("ns", ".2f"), Column("logic, ns", ".2f"),
        Column("wires, ns", ".2f"), Column("levels", "d"),
    )  # fmt: skip
    fields = ("from", "to", "delay_ns", "logic_ns", "routing_ns", "levels")
    found = [(domain["name"], domain["critical_path"]) for domain in report["domains"] if domain["critical_path"]]
    return table(columns, [[name, *(path[field] for field in fields)] for name, path in found])


def _seeds(report: dict) -> str:
    clocks = [domain["name"] for domain in report["domains"]]
    columns = [Column("seed", "d"), *(Column(f"{name}, MHz", ".1f") for name in clocks)]
    columns += [Column("slack, ns", "+.2f"), Column("s", ",.0f"), Column("timing"), Column("")]
    rows = []
    for row in report["seeds"]:
        reached = {domain["name"]: domain["fmax_mhz"] for domain in row["domains"]}
        kept = "kept" if row["seed"] == report["seed"] else ""
        rows.append(
            [row["seed"], *(reached.get(name) for name in clocks), row["slack_ns"], row["wall_s"], _met(row), kept]
        )
    return table(columns, rows)


def _met(row: dict) -> str:
    if "domains" in row and not row["domains"]:
        return "not routed"
    return "met" if row["timing_met"] else "not met"
