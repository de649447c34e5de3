"""gemmary compile: a model as a program for the accelerator."""

import argparse
import json
import time
from pathlib import Path

from rich.console import Console

from .models import add_model_options, compiled_from

EPILOG = """examples:
  gemmary compile model.onnx -o model.gem --batch 1
  gemmary compile model.onnx -o model.gem --preset small --strict --json
  gemmary compile float.onnx -o model.gem --batch 1 --calibration inputs.npz
"""


def register(subparsers) -> None:
    """Adds ``compile`` to the commands."""
    parser = subparsers.add_parser(
        "compile",
        help="compile a model to a program",
        description="Compiles a quantized model (or a float one, with calibration data) to a program for one config. Operators "
        "that the machine does not do run on the host, with a warning that names them and their cost.",
        epilog=EPILOG,
    )
    add_model_options(parser, program=False)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the program, such as model.gem"
    )
    parser.add_argument(
        "--ir", type=Path, metavar="FILE", help="also write the model as it is lowered, as text (.mlir)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ..compiler.backend import explain, save_compiled

    begin = time.perf_counter()
    with Console(stderr=True).status("Compiling …") as status:
        compiled = compiled_from(options, progress=lambda name: status.update(f"Compiling {name[:60]} …"))
    save_compiled(compiled, options.output)
    if options.ir:
        compiled.model.save(options.ir)
    totals = explain(compiled)["totals"]
    figures = {"program": str(options.output), "config": compiled.config.name} | totals
    figures |= {"bytes_of_program": options.output.stat().st_size, "wall_s": round(time.perf_counter() - begin, 3)}
    if options.json:
        print(json.dumps(figures | {"warnings": compiled.warnings}))
    else:
        for name, value in figures.items():
            print(f"{name:17} {value}")
    return 0
