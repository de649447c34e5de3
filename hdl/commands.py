"""gemmary verilog: the accelerator for other tools."""

import argparse
import sys
from pathlib import Path

from gemmary.config import PRESETS, preset
from gemmary.errors import InputError

from .verilog import to_verilog

EPILOG = """examples:
  gemmary verilog --preset base -o gemmary.v
  gemmary verilog --preset nano | less
  gemmary verilog --preset ulx3s-pair --two-clocks -o gemmary.v
"""


def verilog(subparsers) -> None:
    """Adds ``verilog`` to the commands."""
    parser = subparsers.add_parser(
        "verilog",
        help="write an accelerator as Verilog",
        description="Writes the accelerator of a preset as one Verilog-2001 file, whose top module gemmary has AXI ports: "
        "s_axil_* for the registers, m_axi_* for memory. The same options always give the same bytes.",
        epilog=EPILOG,
    )
    parser.add_argument("--preset", default="base", help=f"{', '.join(PRESETS)} (default: base)")
    parser.add_argument(
        "--two-clocks",
        action="store_true",
        help="the tensor engine has a clock of its own, compute_aclk (docs/integration.md, section Two clocks)",
    )
    parser.add_argument("-o", "--output", default="-", metavar="FILE", help="where to (default: stdout)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    config = preset(options.preset)
    if options.two_clocks and not config.dma:
        raise InputError(f"--two-clocks: preset {config.name} has no DMA, and so only one clock: leave the option out")
    if options.output == "-":
        sys.stdout.write(to_verilog(config, two_clocks=options.two_clocks))
        return 0
    path = Path(options.output)
    try:
        with path.open("a"):  # better an error now than after the elaboration
            pass
        path.write_text(to_verilog(config, two_clocks=options.two_clocks))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    print(path, file=sys.stderr)
    return 0
