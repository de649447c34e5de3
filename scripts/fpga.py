"""Builds the design of a board: `fpga` synthesises, places, routes and reports timing; `bitstream` packs the file.

With --seeds N it routes N times, from the seed on, and keeps the best. build/boards/BOARD/report.json holds the figures,
index.html shows them with the floorplan, the logs lie beside it, progress is on stderr.

Exit status 0: timing is met; 1: it is not with any seed, or a tool failed; 2: bad input or a missing tool.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from rich.console import Console
from rich.table import Table

from boards.board import MODULES, board
from boards.flow.build import Build
from gemmary.config import PRESETS
from gemmary.errors import GemmaryError, InputError

ROOT = Path(__file__).resolve().parent.parent
MOST = (1 << 31) - 101
"""The last seed, with room for a hundred of them."""


FIGURES = {
    "macs_per_dsp_multiplier": "MAC a multiplier of the array",
    "comb_per_mac_array": "logic a MAC, array",
    "macs_soft": "MAC without multipliers",
    "comb_per_mac_soft": "logic a MAC of those",
    "comb_per_mac": "logic a MAC, all",
    "dsp_internal_limit_mhz": "limit of multipliers, MHz",
    "bram_internal_limit_mhz": "limit of block RAMs, MHz",
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        chosen = board(options.board)
        config = chosen.config(options.preset or None)
        if options.compute_mhz:
            chosen = chosen.computing(config, Fraction(number("COMPUTE_MHZ", options.compute_mhz, 1, 400)))
        jobs = number("JOBS", options.jobs, 1, 64) if options.jobs else None
        build = Build(chosen, config, seeds(options.seed, options.seeds, chosen.seed), jobs=jobs)
        report = build.fpga()
        if options.step == "fpga":
            build.write(report)
        packed = build.pack() if options.step == "bitstream" and report["timing_met"] else None
    except GemmaryError as error:
        print(f"{options.step}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    if options.json:
        print(json.dumps(report, indent=2))
    elif packed:
        print(
            f"{shown(packed)}, {packed.stat().st_size:,} bytes. Load it with: openFPGALoader -b {chosen.loader} {shown(packed)}"
        )
    if not options.json and options.step == "fpga":
        show(report, build.report)
    if not report["timing_met"]:
        late = [domain for domain in report["domains"] if not domain["timing_met"]]
        found = "timing is not met: " + ", ".join(
            f"{d['name']} {d['fmax_mhz']} MHz of {d['clock_mhz']} MHz" for d in late
        )
        print(f"{options.step}: {found}; try another SEED, or SEEDS=5", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.fpga",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  make fpga bitstream\n  make fpga SEEDS=5\n  make bitstream BOARD=icebreaker SEED=3\n  python -m scripts.fpga fpga --json",
    )
    parser.add_argument("step", choices=("fpga", "bitstream"))
    parser.add_argument("--board", default="ulx3s-85f", help=f"{', '.join(MODULES)} (default: ulx3s-85f)")
    parser.add_argument("--preset", default="", help=f"{', '.join(PRESETS)} (default: the board's own)")
    parser.add_argument("--seed", default="", help="of place and route (default: the board's own)")
    parser.add_argument("--seeds", default="", help="how many seeds to try, from --seed on (default: 1)")
    parser.add_argument(
        "--compute-mhz", default="", help="clock of the tensor engine, where it has its own (default: the board's)"
    )
    parser.add_argument("--jobs", default="", help="how many at a time (default: as cores and memory allow)")
    parser.add_argument("--json", action="store_true", help="print the report")
    return parser.parse_args(arguments)


def seeds(first: str, count: str, default: int) -> list[int]:
    """Those that ``first`` and ``count`` name: text, empty for the ``default`` seed and for one."""
    begin = number("SEED", first, 0, MOST) if first else default
    return list(range(begin, begin + (number("SEEDS", count, 1, 100) if count else 1)))


def number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isdecimal() and least <= int(text) <= most):
        raise InputError(f"{name} = {text!r} must be a whole number from {least} to {most}")
    return int(text)


def show(report: dict, path: Path) -> None:
    table = Table(
        title=f"{report['board']} ({report['device']}), preset {report['preset']}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("")
    table.add_column("", justify="right")
    table.show_header = False
    for domain in report["domains"]:
        name = f"clock {domain['name']}"
        table.add_row(
            name,
            f"{domain['fmax_mhz']:.1f} MHz of {domain['clock_mhz']:.1f} MHz, {'met' if domain['timing_met'] else 'NOT met'}",
        )
    for name in ("lut4", "trellis_comb", "logic_cells", "ff", "dsp", "bram", "spram"):
        if report.get(name) is not None:
            table.add_row(name, f"{report[name]:,}")
    table.add_row("peak", f"{report['peak_gops']:g} GOPS ({report['macs_per_cycle']} MAC a cycle)")
    for name, words in FIGURES.items():
        if report[name] is not None:
            table.add_row(words, f"{report[name]:g}")
    table.add_row("tools", "\n".join(f"{name}: {version}" for name, version in report["tools"].items()))
    console = Console()
    console.print(table)
    if len(report["seeds"]) > 1:
        console.print(seeds_table(report))
    where = "not built again: nothing has changed" if report["cached"] else f"{report['wall_s']:.0f} s"
    console.print(
        f"report {shown(path)}, page {shown(path.with_name('index.html'))} ({where})", soft_wrap=True, highlight=False
    )


def seeds_table(report: dict) -> Table:
    table = Table(title="Seeds", title_justify="left", title_style="bold")
    clocks = [domain["name"] for domain in report["domains"]]
    for name in ("seed", *(f"{name}, MHz" for name in clocks), "slack, ns", "s"):
        table.add_column(name, justify="right")
    table.add_column("timing")
    for row in report["seeds"]:
        reached = {domain["name"]: domain["fmax_mhz"] for domain in row["domains"]}
        found = [f"{reached[name]:.1f}" if name in reached else "–" for name in clocks]
        slack = "–" if row["slack_ns"] is None else f"{row['slack_ns']:+.2f}"
        timing = ("met" if row["timing_met"] else "NOT met") if row["domains"] else "not routed"
        kept = ", kept" if row["seed"] == report["seed"] else ""
        table.add_row(str(row["seed"]), *found, slack, f"{row['wall_s']:.0f}", timing + kept)
    return table


def shown(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


if __name__ == "__main__":
    sys.exit(main())
