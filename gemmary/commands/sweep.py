"""gemmary sweep: many configurations through the cycle model."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from .. import __version__
from ..bench.report import write_report
from ..bench.suite import check_jobs
from ..bench.sweep import FIELDS, results, variants
from ..bench.sweep_page import sweep_page
from ..bench.task import tasks_of
from ..config import PRESETS, preset
from ..errors import InputError
from ..workloads import SUITES, names, parse
from .progress import console, measured

EPILOG = """examples:
  gemmary sweep --suite resnet50 --array 8x8,16x16,32x16,32x32
  gemmary sweep --suite bert-base-128 --activation-bytes 32,64,128,256 --weight-bytes 16,32,64,128
  gemmary sweep --layer matmul:1,768,3072 --bus-bytes 4,8,16 --latency 20,100,400 --json
"""

DEFAULT = Path("build/sweep")


def register(subparsers) -> None:
    """Adds ``sweep`` to the commands."""
    parser = subparsers.add_parser(
        "sweep",
        help="compare many configurations by the cycle model",
        description="Runs networks through the cycle model for every combination of the values given, on all cores, starting from "
        "a preset. Writes report.json and index.html with plots of cycles against multipliers and memory. Combinations that no "
        "accelerator can have are listed and left out.",
        epilog=EPILOG,
    )
    parser.add_argument("--suite", action="append", default=[], metavar="NAME", help=", ".join((*SUITES, *names())))
    parser.add_argument("--layer", action="append", default=[], metavar="LAYER", help="as for gemmary bench")
    parser.add_argument("--preset", default="base", help=f"where to start: {', '.join(PRESETS)} (default: base)")
    varied = parser.add_argument_group("values, separated by commas (default: that of the preset)")
    varied.add_argument(
        "--array", metavar="LIST", help="rows x columns, as 8x8,16x16; lanes and bus follow narrow ones"
    )
    for field, unit in FIELDS.items():
        varied.add_argument(
            "--" + field.replace("_", "-"), metavar="LIST", help="in KiB" if unit > 1 else f"as {field} of a config"
        )
    varied.add_argument("--latency", default="100", metavar="LIST", help="cycles to the first data (default: 100)")
    varied.add_argument("--bytes-per-cycle", metavar="LIST", help="of the external memory (default: width of the bus)")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one for each core)")
    parser.add_argument("--output", type=Path, default=DEFAULT, metavar="DIR", help=f"default: {DEFAULT}")
    parser.add_argument("--json", action="store_true", help="print the report, and nothing else, on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    begin, base, jobs = time.perf_counter(), preset(options.preset), check_jobs(options.jobs)
    suites = options.suite or ([] if options.layer else ["tiny"])
    layers = list(map(parse, options.layer))
    given = {field: getattr(options, field) for field in FIELDS}
    values = {field: _numbers(field, text, int) for field, text in given.items() if text is not None}
    if options.array:
        values = {"array": _numbers("array", options.array, _size)} | values
    rates = [None] if options.bytes_per_cycle is None else _numbers("bytes-per-cycle", options.bytes_per_cycle, float)
    chosen, refused = variants(base, values, _numbers("latency", options.latency, int), rates)
    write_report(options.output, "report.json", "")  # better an error now than after the run
    tasks = [
        task
        for variant in chosen
        for task in tasks_of(suites, layers, config=variant.config, memory=variant.memory, device="model")
    ]
    rows = measured(tasks, None, jobs, f"{len(chosen)} configurations through the cycle model")
    report = {
        "format": 1,
        "gemmary": __version__,
        "preset": base.name,
        "suites": suites + [layer.name for layer in layers],
        "refused": [{"name": name, "why": why} for name, why in refused],
        "results": list(results(chosen, rows)),
        "wall_s": round(time.perf_counter() - begin, 3),
    }
    text = json.dumps(report, indent=2) + "\n"
    paths = [
        write_report(options.output, "report.json", text),
        write_report(options.output, "index.html", sweep_page(report)),
    ]
    if options.json:
        sys.stdout.write(text)
    else:
        _show(report, paths)
    return 0


def _size(text: str) -> tuple[int, int]:
    rows, columns = map(int, text.split("x"))
    return rows, columns


def _numbers(name: str, text: str, kind: Callable) -> list:
    try:
        return list(dict.fromkeys(kind(word) for word in text.split(",")))
    except ValueError:
        form = "sizes as 16x16" if name == "array" else "numbers"
        raise InputError(f"--{name.replace('_', '-')} must be {form}, separated by commas, not {text!r}") from None


def _show(report: dict, paths: list[Path]) -> None:
    out, table = console(), Table()
    table.add_column("configuration", no_wrap=True)
    for column in ("multipliers", "memory, KiB", "cycles", "used", "not compiled"):
        table.add_column(column, justify="right", no_wrap=True)
    for result in sorted(report["results"], key=lambda result: result["cycles"] or 0):
        cycles, used = (result[name] for name in ("cycles", "utilization"))
        table.add_row(
            result["name"],
            f"{result['multipliers']:,}",
            f"{result['memory_bytes'] >> 10:,}",
            f"{cycles:,}" if cycles else "–",
            f"{used:.2%}" if used else "–",
            str(sum(len(total["missing"]) for total in result["networks"])),
        )
    out.print(table)
    for refused in report["refused"]:
        out.print(f"left out     {refused['name']}: {refused['why']}", soft_wrap=True, highlight=False)
    out.print(f"report       {', '.join(map(str, paths))} ({report['wall_s']:.0f} s)", soft_wrap=True, highlight=False)
