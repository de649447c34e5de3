"""The command line: ``gemmary COMMAND``.

Exit status 0: good; 1: a check failed, or the device stopped; 2: bad input or a missing tool. Errors are one sentence on
stderr. With ``--json`` a command puts JSON alone on stdout.

Commands of other packages are entry points of the group ``gemmary.commands``, named as the command. Each loads to a function
``command(subparsers)`` that adds its own parser with ``subparsers.add_parser`` and sets the default ``run``: a function from the
parsed arguments to the exit status. It is imported only when the command is given.
"""

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from . import __version__
from .commands import bench, check, disassemble, explain, matmul, presets, sweep
from .commands import compile as compile_
from .commands import run as run_
from .errors import GemmaryError, InputError

COMMANDS = {
    "matmul": matmul.register,
    "compile": compile_.register,
    "run": run_.register,
    "explain": explain.register,
    "bench": bench.register,
    "sweep": sweep.register,
    "presets": presets.register,
    "disassemble": disassemble.register,
    "check": check.register,
}

EPILOG = """examples:
  gemmary matmul -m 64 -k 64 -n 64             a random product on the simulated RTL, checked with NumPy
  gemmary matmul -m 8 -k 8 -n 8 --device emulator --json
  gemmary compile model.onnx -o model.gem      a model as a program
  gemmary run model.gem --inputs x.npz         on the simulated RTL
  gemmary explain model.onnx                   engine, cycles and bytes of every operator
  gemmary check model.gem                      proves the program legal once more
  gemmary bench --suite tiny                   four networks, layer by layer, and where the cycles go
  gemmary sweep --suite tiny --rows 8,16       configurations compared by the cycle model
  gemmary presets                              the accelerators there are
  gemmary COMMAND --help                       options and examples of one command
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, and leaves the lines of the examples as they are."""

    def __init__(self, *args, **options):
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        if options.get("description"):
            options["description"] = textwrap.fill(options["description"], 80)
        super().__init__(*args, **options)

    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = build_parser(arguments).parse_args(arguments)
        return options.run(options)
    except InputError as error:
        return _complain(error, 2)
    except GemmaryError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser(arguments: Sequence[str] = ()) -> Parser:
    """The parser for ``arguments``: commands of other packages are in full only if the arguments name them."""
    parser = Parser(
        prog="gemmary",
        description="Gemmary: an open int8 matrix-multiply accelerator, from a model to a bitstream.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"gemmary {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for register in COMMANDS.values():
        register(subparsers)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for entry in sorted(entry_points(group="gemmary.commands"), key=lambda entry: entry.name):
        if entry.name in COMMANDS:
            continue
        if entry.name == chosen:
            _load(entry)(subparsers)
        else:
            subparsers.add_parser(entry.name, help=f"see gemmary {entry.name} --help")
    return parser


def _load(entry: EntryPoint):
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        extra = entry.extras[0] if entry.extras else "rtl"
        raise InputError(
            f"command {entry.name!r} needs the Python package {error.name}: pip install 'gemmary[{extra}]'"
        ) from None
    except (ImportError, AttributeError) as error:
        raise InputError(f"command {entry.name!r} cannot be loaded: {error}") from None


def _complain(error: GemmaryError, status: int) -> int:
    print(f"gemmary: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
