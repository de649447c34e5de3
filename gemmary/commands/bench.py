"""gemmary bench: layers of networks on a device, what bounds them and where their cycles go."""

import argparse
import sys
import time
from pathlib import Path

from rich.table import Table

from ..bench import Clocks, Memory, Task
from ..bench.cache import Cache
from ..bench.fused import measure_network
from ..bench.page import bench_page, clocks_text, is_fused
from ..bench.report import as_json, make_report, write_report
from ..bench.suite import check_jobs, expected_seconds
from ..bench.task import DEVICES, tasks_of, whole_networks
from ..config import PRESETS, preset
from ..workloads import SUITES, names, parse
from .progress import console, measured

EPILOG = """examples:
  gemmary bench --suite tiny
  gemmary bench --suite resnet50 --suite bert-base-128 --device model
  gemmary bench --layer matmul:512,512,512 --latency 400 --json
  gemmary bench --layer conv:56,56,64,64,3,1,1,1 --preset small
"""

DEFAULT = Path("build/bench")


def register(subparsers) -> None:
    """Adds ``bench`` to the commands."""
    parser = subparsers.add_parser(
        "bench",
        help="measure layers of networks: utilization, bound, lost cycles by cause",
        description="Runs layers on a device, checks every result with NumPy and says how many cycles each took, what bounds it, and "
        "where the other cycles went. Writes report.json and index.html. Runs again from where it stopped: what was measured "
        "is kept. Exit status 1 if a result is wrong or a layer cannot be compiled.",
        epilog=EPILOG,
    )
    known = ", ".join((*SUITES, *names()))
    parser.add_argument("--suite", action="append", default=[], metavar="NAME", help=f"may be repeated: {known}")
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="LAYER",
        help="matmul:M,K,N or conv:H,W,CIN,COUT,KERNEL,STRIDE,PAD,GROUPS; may be repeated",
    )
    parser.add_argument("--preset", default="base", help=f"{', '.join(PRESETS)} (default: base)")
    parser.add_argument("--device", default="rtl", help=f"{', '.join(DEVICES)} (default: rtl)")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: one for each core)")
    parser.add_argument(
        "--whole", action="store_true", help="measure equal layers of a network one by one, each with values of its own"
    )
    parser.add_argument("--seed", type=int, default=0, help="of operands and stalls (default: 0)")
    parser.add_argument(
        "--output", type=Path, default=DEFAULT, metavar="DIR", help=f"where reports go (default: {DEFAULT})"
    )
    parser.add_argument("--fresh", action="store_true", help="measure again what is known already")
    parser.add_argument("--json", action="store_true", help="print the report, and nothing else, on stdout")
    memory = parser.add_argument_group("external memory")
    memory.add_argument("--latency", type=int, default=100, metavar="CYCLES", help="to the first data (default: 100)")
    memory.add_argument("--bytes-per-cycle", type=float, metavar="BYTES", help="each way (default: width of the bus)")
    memory.add_argument(
        "--stalls", type=float, default=0.0, metavar="P", help="probability that a channel pauses (rtl)"
    )
    clocks = parser.add_argument_group("clocks")
    clocks.add_argument("--clock", type=float, metavar="MHZ", help="of all but the tensor engine: gives GOPS")
    clocks.add_argument(
        "--compute-ratio",
        type=int,
        default=0,
        metavar="N",
        help="the tensor engine has a clock of its own, N times as fast (rtl)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    begin = time.perf_counter()
    tasks, jobs = _tasks(options), check_jobs(options.jobs)
    write_report(options.output, "report.json", "")  # better an error now than after the run
    cache = None if options.fresh else Cache(options.output / "cache")
    if options.device == "rtl":
        console(stderr=True).print(_forecast(tasks, jobs), soft_wrap=True, highlight=False)
    rows = measured(tasks, cache, jobs, f"Measuring on {options.device}, preset {options.preset}")
    fused = {
        task.network.name: measure_network(task, cache) for task in whole_networks(_suites(options), **_common(options))
    }
    task = tasks[0]
    report = make_report(task.config, task.memory, task.clocks, task.device, rows, time.perf_counter() - begin, fused)
    path = write_report(options.output, "report.json", as_json(report))
    page = write_report(options.output, "index.html", bench_page(report))
    if options.json:
        sys.stdout.write(as_json(report))
    else:
        _show(report, [path, page])
    return 0 if report["passed"] else 1


def _tasks(options: argparse.Namespace) -> list[Task]:
    return tasks_of(_suites(options), list(map(parse, options.layer)), whole=options.whole, **_common(options))


def _suites(options: argparse.Namespace) -> list[str]:
    return options.suite or ([] if options.layer else ["tiny"])


def _common(options: argparse.Namespace) -> dict:
    """What all tasks share."""
    memory = Memory(options.latency, options.bytes_per_cycle, options.stalls)
    clocks = Clocks(options.clock, options.compute_ratio)
    shared = {"device": options.device, "seed": options.seed}
    return {"config": preset(options.preset), "memory": memory, "clocks": clocks, **shared}


def _forecast(tasks: list[Task], jobs: int) -> str:
    seconds = expected_seconds(tasks, jobs)
    time = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    layers, processes = _some(len(tasks), "layer"), _some(jobs, "process")
    return f"{layers}, {processes}: about {time}, less what earlier runs have measured; a run that is stopped goes on there."


def _some(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}{'es' if what.endswith('s') else 's'}"


def _show(report: dict, paths: list[Path]) -> None:
    out = console()
    title = f"{report['device']}, preset {report['preset']}, latency {report['memory']['latency']}, "
    title += f"{report['memory']['bytes_per_cycle']:g} bytes a cycle" + clocks_text(report["clocks"])
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("layer", no_wrap=True)
    columns = ["MACs", "cycles", "used", "of bound", "model", "lost most to", "≠"]
    if clocked := report["clocks"]["mhz"] is not None:
        columns.insert(2, "GOPS")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    suite = None
    for row in report["rows"]:
        if row["suite"] != suite:
            suite = row["suite"]
            table.add_section()
            total = next(total for total in report["networks"] if total["network"] == suite)
            table.add_row(*_cells(suite, total, clocked), style="bold")
            if is_fused(total):
                fused = {
                    name.removeprefix("fused_"): value for name, value in total.items() if name.startswith("fused_")
                }
                table.add_row(*_cells("  as one program", fused | {"macs": total["macs"]}, clocked), style="bold")
        table.add_row(*_cells("  " + row["layer"], row, clocked))
    out.print(table)
    for row in report["rows"]:
        if row["error"]:
            out.print(f"error        {row['error']}", style="red", soft_wrap=True, highlight=False)
    for total in report["networks"]:
        if total["fused_error"]:
            out.print(f"as one program: {total['fused_error']}", soft_wrap=True, highlight=False)
    if report["model_error_mean"] is not None:
        mean, worst = report["model_error_mean"], report["model_error_worst"]
        out.print(f"model error  mean {mean:.2%}, worst {worst:.2%}", highlight=False)
    took = f"{report['wall_s']:.0f} s, {report['simulation_s']:.0f} s of one core on the device"
    out.print(
        f"report       {', '.join(map(str, paths))} ({took}, kept from earlier runs included)",
        soft_wrap=True,
        highlight=False,
    )


def _cells(name: str, figures: dict, clocked: bool) -> tuple[str, ...]:
    def shown(key: str, form: str) -> str:
        return "–" if figures[key] is None else format(figures[key], form)

    lost = figures["lost"]
    cause = max(lost, key=lost.get) if lost else ""
    most = f"{cause.replace('_', ' and ')} {lost[cause] / figures['cycles']:.1%}" if lost and lost[cause] > 0 else "–"
    ratios = (
        shown("utilization", ".2%"),
        shown("roofline_efficiency", ".2%"),
        shown("model_error", "+.2%"),
    )
    gops = (shown("gops", ".1f"),) if clocked else ()
    return name, shown("macs", ","), shown("cycles", ","), *gops, *ratios, most, shown("mismatches", ",")
