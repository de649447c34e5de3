"""gemmary disassemble: a program as text."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..isa import INSTRUCTION_BYTES, decode_program
from ..isa import disassemble as as_text

MAGIC = b"GEMMARY\0"
"""How a compiled model begins (gemmary/compiler/backend/binary.py)."""

EPILOG = """examples:
  gemmary matmul -m 64 -k 64 -n 64 --device emulator --program matmul.bin
  gemmary disassemble matmul.bin
  gemmary disassemble model.gem        with the model's operators
"""


def register(subparsers) -> None:
    """Adds ``disassemble`` to the commands."""
    parser = subparsers.add_parser(
        "disassemble",
        help="print a program as text",
        description="Prints an encoded program, one instruction a line: byte offset, opcode, loops, operands. Of a compiled model, "
        "run by run, each under the operator of the model that it comes from.",
        epilog=EPILOG,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="an encoded program, or a compiled model")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    try:
        program = options.file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {options.file}: {error.strerror}") from None
    if not program:
        raise InputError(f"{options.file} is empty")
    if program.startswith(MAGIC):
        _model(options.file)
        return 0
    try:
        lines = [as_text(instruction) for instruction in decode_program(program)]
    except InputError as error:
        raise InputError(f"{options.file}: {error}") from None
    _print(lines)
    return 0


def _model(path: Path) -> None:
    """Every run of a compiled model, under the operator that it comes from."""
    from ..compiler.backend import load_compiled
    from ..compiler.backend.work import macs_of

    compiled = load_compiled(path)
    locations = compiled.model.locations
    for step in compiled.steps:
        if step.program is None:
            print(f"# on the host: {', '.join(op.source or op.name for op in step.segment.ops)}")
            continue
        for layer, ops in step.layers:
            if len(ops) > 1:
                print(f"# {len(ops)} operators as one, on the chip: {layer.macs:,} multiply-accumulates")
            for op in ops:
                name, line, macs = compiled.names[op.results[0]], locations.get(op.source), macs_of(op)
                print(f"# operator {name}{f' ({line})' if line else ''}: {macs:,} multiply-accumulates")
            for number, run in enumerate(layer.runs):
                if len(layer.runs) > 1:
                    print(f"# run {number}")
                _print(map(as_text, decode_program(run.code)))


def _print(lines: Iterable[str]) -> None:
    for i, line in enumerate(lines):
        print(f"{i * INSTRUCTION_BYTES:6x}  {line}")
