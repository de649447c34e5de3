"""gemmary disassemble: a program as text."""

import argparse
from pathlib import Path

from ..errors import InputError
from ..isa import INSTRUCTION_BYTES, decode_program
from ..isa import disassemble as as_text

EPILOG = """examples:
  gemmary matmul -m 64 -k 64 -n 64 --device emulator --program matmul.bin
  gemmary disassemble matmul.bin
"""


def register(subparsers) -> None:
    """Adds ``disassemble`` to the commands."""
    parser = subparsers.add_parser(
        "disassemble",
        help="print a program as text",
        description="Prints an encoded program, one instruction a line: byte offset, opcode, loops, operands.",
        epilog=EPILOG,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="an encoded program")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    try:
        program = options.file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {options.file}: {error.strerror}") from None
    if not program:
        raise InputError(f"{options.file} is empty")
    try:
        lines = [as_text(instruction) for instruction in decode_program(program)]
    except InputError as error:
        raise InputError(f"{options.file}: {error}") from None
    for i, line in enumerate(lines):
        print(f"{i * INSTRUCTION_BYTES:6x}  {line}")
    return 0
