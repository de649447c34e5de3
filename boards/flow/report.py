"""report.json of a build, from what the tools say."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gemmary.config import Config

from ..board import Board
from . import placement
from .limits import DATA_SHEET, SOURCE, UNKNOWN, Limits, everywhere, of_clock
from .modules import PARTS, group_of, part_of, utilization
from .paths import critical_paths

OPERATIONS = 2  # of a multiply-accumulate
CLOCK_DIGITS = 2
LOGIC = ("trellis_comb", "logic_cells")
"""What the figures a MAC count: the look-up tables that the chip has."""


@dataclass(frozen=True)
class Domain:
    """A clock: ``routed_mhz`` as the router says, what the design must run at, and what the insides of blocks allow."""

    name: str
    routed_mhz: float
    clock_mhz: float
    limits: Limits = field(default_factory=Limits)
    critical_path: dict | None = None

    @property
    def fmax_mhz(self) -> float:
        """Never above the limits, whatever the router says."""
        return self.limits.lowest(self.routed_mhz)

    @property
    def met(self) -> bool:
        return self.fmax_mhz >= self.clock_mhz

    @property
    def slack_ns(self) -> float:
        return 1000 / self.clock_mhz - 1000 / self.fmax_mhz

    def figures(self) -> dict:
        clocks = {
            "name": self.name,
            "fmax_mhz": self.fmax_mhz,
            "routed_mhz": self.routed_mhz,
            "clock_mhz": self.clock_mhz,
        }
        return clocks | {"timing_met": self.met, **asdict(self.limits), "critical_path": self.critical_path}


def domains(routed: dict, limits: dict[str, Limits] | None = None, known: Sequence[str] = ()) -> list[Domain]:
    """The clocks of nextpnr's report, the slowest margin first. ``known``: names of the modules."""
    paths = critical_paths(routed, known)
    found = [
        Domain(
            name,
            round(clock["achieved"], CLOCK_DIGITS),
            round(clock["constraint"], CLOCK_DIGITS),
            of_clock(limits or {}, name),
            paths.get((name, name)),
        )
        for name, clock in routed["fmax"].items()
    ]
    return sorted(found, key=lambda domain: domain.fmax_mhz / domain.clock_mhz)


def met(board: Board, clocks: Sequence[Domain]) -> bool:
    """Whether every clock is, and the board's own is among them."""
    return bool(main(board, clocks)) and all(domain.met for domain in clocks)


def main(board: Board, clocks: Sequence[Domain]) -> list[Domain]:
    """The clocks of the frequency of the board, the slowest first."""
    clock = float(board.clock_mhz)
    return [domain for domain in clocks if abs(domain.clock_mhz - clock) < 0.01 * clock]


def best(board: Board, seeds: dict[int, list[Domain]]) -> int:
    """The seed to keep: one whose clocks are met, if there is one, and of those with the most time left where there is least."""
    return max(seeds, key=lambda seed: (met(board, seeds[seed]), min((d.slack_ns for d in seeds[seed]), default=-1e9)))


def seed_row(board: Board, seed: int, clocks: Sequence[Domain], seconds: float) -> dict:
    """A line of the seeds' table."""
    figures = [
        {name: domain.figures()[name] for name in ("name", "fmax_mhz", "clock_mhz", "timing_met")} for domain in clocks
    ]
    slack = round(min(domain.slack_ns for domain in clocks), 3) if clocks else None
    return {"seed": seed, "timing_met": met(board, clocks), "slack_ns": slack, "domains": figures, "wall_s": seconds}


def lut4(log: str) -> int:
    """How many look-up tables Yosys has counted at last, as its log says."""
    counts = re.findall(r"^\s*(\d+)\s+(?:LUT4|SB_LUT4)$", log, re.MULTILINE)
    return int(counts[-1]) if counts else 0


def module_figures(board: Board, cells: Sequence[placement.Cell]) -> dict[str, Counter]:
    """How many of each resource of the report a module takes, without those inside it."""
    resources = {kind: name for name, kinds in board.chip.resources.items() for kind in kinds}
    return utilization((cell.module, resources[cell.kind]) for cell in cells if cell.kind in resources)


def per_mac(config: Config, modules: dict[str, Counter], used: dict[str, int]) -> dict:
    """What a multiply-accumulate a cycle takes. Only those of the product count, rows x columns; of the multipliers only the
    array's, not those of requantization.

    Where some of the array's products are made in look-up tables (``macs_soft``), the figures of the array are of the others, and
    ``comb_per_mac_soft`` is what those take. What a cell has for all of its products counts for both by their number; all that is in no cell counts
    for the products with multipliers.
    """
    array, cells = Counter(), {part: Counter() for part in PARTS}
    for module, counts in modules.items():
        if group_of(module) == "array":
            array.update(counts)
            cells[part_of(module)].update(counts)
    macs, logic = config.macs_per_cycle, next((name for name in LOGIC if name in used), None)
    hard = cells["hard"]["dsp"] * (2 if config.multiplier == "pair" else 1)
    soft = macs - hard if cells["soft"] else 0
    logic_soft = cells["soft"][logic] + cells["cell"][logic] * soft / macs
    found = {"macs_per_dsp_multiplier": round((macs - soft) / array["dsp"], 3) if array["dsp"] else None}
    found["comb_per_mac_array"] = round((array[logic] - logic_soft) / (macs - soft), 2) if array[logic] else None
    found |= {"macs_soft": soft, "comb_per_mac_soft": round(logic_soft / soft, 2) if soft else None}
    return found | {"comb_per_mac": round(used[logic] / macs, 2) if logic else None}


def report(
    board: Board, config: Config, routed: dict, clocks: Sequence[Domain], limits: dict[str, Limits], log: Path,
    cells: Sequence[placement.Cell],
) -> dict:  # fmt: skip
    """The figures of one seed, ``routed`` being nextpnr's report and ``log`` that of Yosys; without ``seed``, ``seeds``, ``tools``,
    ``wall_s`` and ``cached``."""
    used = {
        name: sum(routed["utilization"].get(kind, {}).get("used", 0) for kind in kinds)
        for name, kinds in board.chip.resources.items()
    }
    available = {
        name: sum(routed["utilization"].get(kind, {}).get("available", 0) for kind in kinds)
        for name, kinds in board.chip.resources.items()
    }
    own, clock, modules = main(board, clocks), float(board.clock_mhz), module_figures(board, cells)
    computing = float(board.compute_mhz or board.clock_mhz)
    return {
        "board": board.name,
        "device": board.chip.device,
        "preset": config.name,
        "fmax_mhz": own[0].fmax_mhz if own else None,
        "clock_mhz": clock,
        "compute_mhz": computing,
        "timing_met": met(board, clocks),
        "domains": [domain.figures() for domain in clocks],
        **asdict(everywhere(limits)),
        "limits_source": SOURCE if limits else UNKNOWN,
        "data_sheet": DATA_SHEET if limits else None,
        "lut4": lut4(log.read_text(errors="replace")),
        "trellis_comb": None,
        **used,
        "available": available,
        "macs_per_cycle": config.macs_per_cycle,
        "peak_gops": round(OPERATIONS * config.macs_per_cycle * computing / 1000, 3),
        **per_mac(config, modules, used),
        "modules": [
            {"module": module or "top", "group": group_of(module)} | {name: counts[name] for name in used}
            for module, counts in sorted(modules.items())
        ],
    }


def read(path: Path) -> dict:
    return json.loads(path.read_text())
