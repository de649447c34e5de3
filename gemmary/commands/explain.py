"""gemmary explain: what becomes of every operator of a model."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..errors import InputError
from .models import add_model_options, compiled_from, read_arrays, sizes_of

EPILOG = """examples:
  gemmary explain model.onnx --batch 1
  gemmary explain model.onnx --inputs x.npz    with the quantization error of every result
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
    parser.add_argument(
        "--inputs", type=Path, metavar="NPZ", help="also give each result's SQNR against the float model (dB)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ..compiler.backend import explain

    with Console(stderr=True).status("Compiling …"):
        batch = _first(read_arrays(options.inputs)) if options.inputs else None
        compiled = compiled_from(options, batch)
        errors = _errors(options, compiled) if options.inputs else None
    report = explain(compiled, errors)
    if options.json:
        print(json.dumps(report))
        return 0
    located = any(row["location"] for row in report["operators"])
    table = Table("operator", *(["line"] if located else []), "kind", "engine", box=None)
    for name in ("macs", "cycles", "bytes"):
        table.add_column(name, justify="right")
    if errors is not None:
        table.add_column("SQNR dB", justify="right")
    table.add_column("on the host because")
    for row in report["operators"]:
        numbers = (f"{row[name]:,}" if row[name] else "" for name in ("macs", "cycles", "bytes"))
        ratio = [] if errors is None else [f"{row['sqnr_db']:.1f}" if row["sqnr_db"] is not None else ""]
        line = [Path(row["location"] or "").name] if located else []
        table.add_row(row["operator"], *line, row["kind"], row["engine"], *numbers, *ratio, row["fallback"] or "")
    console = Console()
    console.print(table)
    for name, value in report["totals"].items():
        console.print(f"{name:15} {value:,}" if isinstance(value, int) else f"{name:15} {value}", highlight=False)
    return 0


def _errors(options: argparse.Namespace, compiled) -> dict[str, float]:
    from ..compiler.backend import signal_to_noise
    from ..compiler.backend.binary import is_compiled
    from ..compiler.frontends.models import load_model

    if is_compiled(options.model):
        raise InputError(f"{options.model} is compiled: the quantization error needs the model it was made of")
    inputs, calibration = read_arrays(options.inputs), options.calibration and read_arrays(options.calibration)
    model = load_model(
        options.model,
        sizes_of(options.size),
        options.batch or _first(inputs),
        calibration,
        raised=False,
        wide=options.wide,
    )
    return signal_to_noise(model, compiled.model, inputs)


def _first(arrays) -> int | None:
    """The batch of a file of inputs."""
    return next((len(array) for array in arrays.values() if array.ndim), None)
