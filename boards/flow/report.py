"""report.json of a build, from what the tools say."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from gemmary.config import Config

from ..board import Board

OPERATIONS = 2  # of a multiply-accumulate
CLOCK_DIGITS = 2


@dataclass(frozen=True)
class Domain:
    """A clock: what the routed design reaches, and what it must."""

    name: str
    fmax_mhz: float
    clock_mhz: float

    @property
    def met(self) -> bool:
        return self.fmax_mhz >= self.clock_mhz


def domains(routed: dict) -> list[Domain]:
    """The clocks of nextpnr's report, the slowest margin first."""
    found = [
        Domain(name, round(clock["achieved"], CLOCK_DIGITS), round(clock["constraint"], CLOCK_DIGITS))
        for name, clock in routed["fmax"].items()
    ]
    return sorted(found, key=lambda domain: domain.fmax_mhz / domain.clock_mhz)


def lut4(log: str) -> int:
    """How many look-up tables Yosys has counted at last, as its log says."""
    counts = re.findall(r"^\s*(\d+)\s+(?:LUT4|SB_LUT4)$", log, re.MULTILINE)
    return int(counts[-1]) if counts else 0


def report(board: Board, config: Config, seed: int, routed: Path, synthesis_log: Path) -> dict:
    """The figures of a routed design; without ``tools`` and ``wall_s``."""
    result = json.loads(routed.read_text())
    clocks = domains(result)
    used = {
        name: sum(result["utilization"].get(kind, {}).get("used", 0) for kind in kinds)
        for name, kinds in board.chip.resources.items()
    }
    clock = float(board.clock_mhz)
    main = [domain for domain in clocks if abs(domain.clock_mhz - clock) < 0.01 * clock]
    return {
        "board": board.name,
        "device": board.chip.device,
        "preset": config.name,
        "fmax_mhz": main[0].fmax_mhz if main else None,
        "clock_mhz": clock,
        "timing_met": bool(main) and all(domain.met for domain in clocks),
        "domains": [asdict(domain) | {"timing_met": domain.met} for domain in clocks],
        "lut4": lut4(synthesis_log.read_text(errors="replace")),
        "trellis_comb": None,
        **used,
        "macs_per_cycle": config.macs_per_cycle,
        "peak_gops": round(OPERATIONS * config.macs_per_cycle * clock / 1000, 3),
        "seed": seed,
    }
