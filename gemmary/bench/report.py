"""The report of a benchmark as JSON."""

import json
from dataclasses import asdict
from pathlib import Path

from .. import __version__
from ..config import Config
from ..errors import InputError
from .clocks import Clocks
from .memory import Memory
from .row import Fused, Row, Totals, network_totals

REPORT = 1
"""Version of the format."""


def make_report(
    config: Config,
    memory: Memory,
    clocks: Clocks,
    device: str,
    rows: list[Row],
    wall_s: float,
    fused: dict[str, Fused] | None = None,
) -> dict:
    """What report.json holds; docs/bench.md explains it. Errors and mismatches make ``passed`` false; a network that cannot be one
    program does not."""
    fused = fused or {}
    peak = config.macs_per_cycle * clocks.array_cycles
    totals: list[Totals] = network_totals(rows, peak, fused)
    measured = [*rows, *fused.values()]
    errors = [abs(row.model_error) for row in rows if row.model_error is not None]
    return {
        "format": REPORT,
        "gemmary": __version__,
        "preset": config.name,
        "config": asdict(config),
        "macs_per_cycle": peak,
        "clocks": asdict(clocks),
        "memory": asdict(memory) | {"bytes_per_cycle": memory.rate(config)},
        "device": device,
        "passed": not any(row.error for row in rows) and not any(each.mismatches for each in measured),
        "mismatches": sum(each.mismatches or 0 for each in measured),
        "errors": sum(row.error is not None for row in rows),
        "model_error_mean": sum(errors) / len(errors) if errors else None,
        "model_error_worst": max(errors) if errors else None,
        "wall_s": round(wall_s, 3),
        "simulation_s": round(sum(each.seconds or 0 for each in measured), 3),
        "networks": [_with_gops(total.as_dict(), clocks, peak) for total in totals],
        "rows": [_rounded(_with_gops(row.as_dict(), clocks, peak)) for row in rows],
    }


def _with_gops(figures: dict, clocks: Clocks, peak: int) -> dict:
    """``gops``, and ``fused_gops`` of a network; None without a clock or cycles."""
    used = {name: value for name, value in figures.items() if name.endswith("utilization")}
    found = {name: None if value is None else clocks.gops(value * peak) for name, value in used.items()}
    return figures | {name.replace("utilization", "gops"): gops for name, gops in found.items()}


def write_report(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    return path


def as_json(report: dict) -> str:
    return json.dumps(report, indent=2) + "\n"


def _rounded(row: dict) -> dict:
    """Ratios to 6 digits: enough to compute with, short enough to read."""
    ratios = ("utilization", "roofline_efficiency", "model_error")
    return row | {name: round(row[name], 6) for name in ratios if row[name] is not None}
