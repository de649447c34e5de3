"""gemmary check: the static checker on a file."""

import argparse
import json
from pathlib import Path

from ..config import Config, preset
from ..errors import InputError
from .disassemble import MAGIC

EPILOG = """examples:
  gemmary check model.gem
  gemmary matmul -m 64 -k 64 -n 64 --device emulator --program matmul.bin
  gemmary check matmul.bin --preset base       a stream alone: the rules of legal programs
"""


def register(subparsers) -> None:
    """Adds ``check`` to the commands."""
    parser = subparsers.add_parser(
        "check",
        help="prove that a program cannot deadlock, race or leave its memories",
        description="Proves from the encoded instructions that no order of the engines deadlocks or changes a result, and that "
        "every access stays inside its memory; or names the instructions in conflict. Exit status 1 if it does.",
        epilog=EPILOG,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a compiled model, or an encoded program")
    parser.add_argument("--preset", default="base", help="what an encoded program is for (default: base)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    try:
        data = options.file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {options.file}: {error.strerror}") from None
    checked, findings = _model(options.file) if data.startswith(MAGIC) else _stream(data, preset(options.preset))
    if options.json:
        print(json.dumps({"instructions": checked, "findings": [finding.as_dict() for finding in findings]}))
    else:
        for finding in findings:
            print(finding)
        print(f"{checked:,} instructions: {f'{len(findings)} findings' if findings else 'proven legal'}")
    return 1 if findings else 0


def _model(path: Path):
    from ..compiler.backend import load_compiled
    from ..compiler.checker import check_program
    from ..isa import INSTRUCTION_BYTES

    programs = [step.program for step in load_compiled(path).steps if step.program]
    found = [finding for program in programs for finding in check_program(program)]
    return sum(len(program.encode()) for program in programs) // INSTRUCTION_BYTES, found


def _stream(code: bytes, config: Config):
    from ..compiler.checker import check_stream
    from ..isa import INSTRUCTION_BYTES

    if not code or len(code) % INSTRUCTION_BYTES:
        raise InputError(f"a program has whole instructions of {INSTRUCTION_BYTES} bytes, this file {len(code)} bytes")
    return len(code) // INSTRUCTION_BYTES, check_stream(config, code)
