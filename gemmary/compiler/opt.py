"""gemmary-opt: runs a pipeline of passes on a model in text."""

import argparse
import sys
from pathlib import Path

from ..errors import GemmaryError, InputError
from .backend.tile import Tile
from .ir.model import load, parse
from .passes import DEFAULT, PASSES, run_pipeline
from .passes.expand import Expand
from .passes.schedule import Schedule

ALL_PASSES = PASSES | {each.name: each for each in (Tile, Expand, Schedule)}
"""From a front end's model to instructions."""

EPILOG = """examples:
  gemmary-opt model.mlir -p dead-code
  gemmary-opt model.mlir -p raise-contractions,cancel-transposes -o raised.mlir
  gemmary-opt - < model.mlir               all of the graph level; constants must stand in the text
  gemmary-opt lowered.mlir -p 'tile{config="small"},expand,schedule'
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 2 for a text, an array or a pipeline that makes no sense."""
    options = _parser().parse_args(arguments)
    if options.list:
        for name, kind in ALL_PASSES.items():
            print(f"{name:20} {sys.modules[kind.__module__].__doc__.splitlines()[0]}")
        return 0
    try:
        _run(options)
    except GemmaryError as error:
        print(f"gemmary-opt: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gemmary-opt",
        description="Runs passes on a model, at any level, and prints the result.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", default="-", help="the text, or - for stdin (default)")
    parser.add_argument(
        "-p", "--pipeline", default=DEFAULT, help="passes, separated by commas (default: those of the graph level)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write text and arrays (FILE's name, .npz) here"
    )
    parser.add_argument("--arrays", type=Path, metavar="NPZ", help="arrays of the text (default: its name, .npz)")
    parser.add_argument("--each", action="store_true", help="print the model after every pass")
    parser.add_argument("--list", action="store_true", help="list the passes")
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.file == "-":
        if options.arrays:
            raise InputError("--arrays belongs to a file, not to stdin")
        model = parse(sys.stdin.read(), name="stdin")
    else:
        model = load(Path(options.file), options.arrays)

    def watch(name, model):
        if options.each:
            print(f"// after {name}\n{model.text()}")

    run_pipeline(model, options.pipeline, watch, ALL_PASSES)
    if options.output:
        model.save(options.output)
    elif not options.each:
        print(model.text(), end="")
