"""gemmary presets: the accelerators there are."""

import argparse
import dataclasses
import json

from ..config import PRESETS, Config

EPILOG = """examples:
  gemmary presets
  gemmary presets --json | python -m json.tool
"""


def register(subparsers) -> None:
    """Adds ``presets`` to the commands."""
    parser = subparsers.add_parser(
        "presets", help="list the presets", description="Lists the presets: ready-made configurations.", epilog=EPILOG
    )
    parser.add_argument("--json", action="store_true", help="every field of every preset, as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.json:
        print(json.dumps({name: dataclasses.asdict(config) for name, config in PRESETS.items()}, indent=2))
        return 0
    rows = [("preset", "array", "lanes", "activations", "weights", "accumulator", "bus"), *map(_row, PRESETS.values())]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return 0


def _row(config: Config) -> tuple[str, ...]:
    return (
        config.name,
        f"{config.rows} x {config.columns}",
        str(config.lanes),
        f"{config.activation_bytes >> 10} KiB",
        f"{config.weight_bytes >> 10} KiB",
        f"2 x {config.accumulator_rows} rows",
        f"{8 * config.bus_bytes} bits" if config.dma else "none",
    )
