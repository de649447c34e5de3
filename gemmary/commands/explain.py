"""gemmary explain: what becomes of every operator of a model."""

import argparse
import json

from rich.console import Console
from rich.table import Table

from .models import add_model_options, compiled_from

EPILOG = """examples:
  gemmary explain model.onnx --batch 1
  gemmary explain model.gem --json
"""


def register(subparsers) -> None:
    """Adds ``explain`` to the commands."""
    parser = subparsers.add_parser(
        "explain",
        help="list a model's operators with engine, cycles and bytes",
        description="Lists every operator of a model: the engine that does it, multiply-accumulates, predicted cycles, bytes "
        "through external memory, and why it runs on the host if it does.",
        epilog=EPILOG,
    )
    add_model_options(parser, program=True)
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ..compiler.backend import explain

    with Console(stderr=True).status("Compiling …"):
        compiled = compiled_from(options)
    report = explain(compiled)
    if options.json:
        print(json.dumps(report))
        return 0
    table = Table("operator", "kind", "engine", box=None)
    for name in ("macs", "cycles", "bytes"):
        table.add_column(name, justify="right")
    table.add_column("on the host because")
    for row in report["operators"]:
        numbers = (f"{row[name]:,}" if row[name] else "" for name in ("macs", "cycles", "bytes"))
        table.add_row(row["operator"], row["kind"], row["engine"], *numbers, row["fallback"] or "")
    console = Console()
    console.print(table)
    for name, value in report["totals"].items():
        console.print(f"{name:15} {value:,}" if isinstance(value, int) else f"{name:15} {value}", highlight=False)
    return 0
