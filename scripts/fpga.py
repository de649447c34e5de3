"""Builds the design of a board: `fpga` synthesises, places, routes and reports timing; `bitstream` packs the file.

build/boards/BOARD/report.json holds the figures, the logs lie beside it, progress is on stderr.

Exit status 0: timing is met; 1: it is not, or a tool failed; 2: bad input or a missing tool.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from boards.board import MODULES, board
from boards.flow.build import Build
from gemmary.config import PRESETS
from gemmary.errors import GemmaryError, InputError

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        chosen = board(options.board)
        build = Build(chosen, chosen.config(options.preset or None), seed(options.seed))
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
        print(
            f"{options.step}: timing is not met: {report['fmax_mhz']} MHz of {report['clock_mhz']} MHz; try another SEED",
            file=sys.stderr,
        )
        return 1
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.fpga",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  make fpga bitstream\n  make bitstream BOARD=icebreaker SEED=3\n  python -m scripts.fpga fpga --json",
    )
    parser.add_argument("step", choices=("fpga", "bitstream"))
    parser.add_argument("--board", default="ulx3s-85f", help=f"{', '.join(MODULES)} (default: ulx3s-85f)")
    parser.add_argument("--preset", default="", help=f"{', '.join(PRESETS)} (default: the board's own)")
    parser.add_argument("--seed", default="", help="of place and route (default: the board's own)")
    parser.add_argument("--json", action="store_true", help="print the report")
    return parser.parse_args(arguments)


def seed(text: str) -> int | None:
    """The seed, None for the board's own."""
    if text and not (text.isdecimal() and int(text) < 1 << 31):
        raise InputError(f"SEED = {text!r} must be a whole number from 0 to 2147483647")
    return int(text) if text else None


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
    table.add_row("tools", "\n".join(f"{name}: {version}" for name, version in report["tools"].items()))
    console = Console()
    console.print(table)
    where = "not built again: nothing has changed" if report["cached"] else f"{report['wall_s']:.0f} s"
    console.print(f"report {shown(path)} ({where})", soft_wrap=True, highlight=False)


def shown(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


if __name__ == "__main__":
    sys.exit(main())
