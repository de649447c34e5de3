"""What the router does not check: paths inside multipliers and block RAMs of an ECP5, and how short a clock pulse may be.

The figures are those of Project Trellis' timing tables (prjtrellis-db 4dda149, ECP5/timing/speed_*/cells.json, slowest corner), from
which nextpnr takes its own. nextpnr knows what goes into and out of a cell, not what goes on inside it, and skips every
entry "Width".
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ..chips.netlist import top_module

SOURCE = "Project Trellis timing tables of the speed grade, slowest corner (prjtrellis-db 4dda149)"
DATA_SHEET = (
    "Lattice FPGA-DS-02012 could not be read: what it allows multipliers and block RAMs is not in these limits, so no clock near "
    "them is proven"
)
UNKNOWN = "not known: the timing tables of this family say nothing about the inside of its blocks"


@dataclass(frozen=True)
class Tables:
    """Picoseconds. ``through``: operand to product without registers; ``from_input``, ``from_pipeline``: clock to product with
    only that register; ``to_pipeline``, ``to_output``: setup of an operand with only that register. ``pulse``: shortest half
    period of a block RAM's clock by its write mode."""

    through: int
    from_input: int
    from_pipeline: int
    to_pipeline: int
    to_output: int
    pulse: dict[str, int]

    def inside(self, pipeline: bool) -> int:
        """The longest path from the input register of a multiplier to its output register, or to and from the one between.

        A path from a register begins a little later than one from a pin: by as much as with that register alone.
        """
        begin, end = self.through - self.from_input, self.through - self.to_output
        if not pipeline:
            return self.from_input - end
        return max(self.to_pipeline - begin, self.from_pipeline - end)


TABLES = {
    "6": Tables(3927, 3864, 1334, 2625, 3486, {"NORMAL": 2359, "WRITETHROUGH": 2341, "READBEFOREWRITE": 3235}),
    "7": Tables(3497, 3455, 1223, 2305, 3061, {"NORMAL": 1967, "WRITETHROUGH": 1954, "READBEFOREWRITE": 2581}),
    "8": Tables(3066, 3045, 1113, 1985, 2635, {"NORMAL": 1842, "WRITETHROUGH": 1831, "READBEFOREWRITE": 2335}),
}
"""By speed grade of an LFE5U."""


@dataclass(frozen=True)
class Limits:
    """MHz that the insides of the blocks on a clock allow; None: no such block, or nothing known."""

    dsp_internal_limit_mhz: float | None = None
    bram_internal_limit_mhz: float | None = None

    def lowest(self, mhz: float = float("inf")) -> float:
        """``mhz`` or, if that is less, a limit."""
        return min([mhz, *(limit for limit in asdict(self).values() if limit)])

    def __and__(self, other: "Limits") -> "Limits":
        pairs = zip(asdict(self).values(), asdict(other).values())
        return Limits(*(min((limit for limit in pair if limit), default=None) for pair in pairs))


def limits(netlist: dict, device: str) -> dict[str, Limits]:
    """By name of a clock, every name that ``netlist`` (Yosys' JSON, flat) has for it: the limits of the blocks on it."""
    grade = re.match(r"LFE5U-\d+F-(\d)", device)
    if not grade or grade[1] not in TABLES:
        return {}
    top = top_module(netlist)
    found: dict = {}
    for cell in top["cells"].values():
        for pin, limit in _of_cell(cell, TABLES[grade[1]]):
            for clock in cell["connections"].get(pin, ()):
                found[clock] = found.get(clock, Limits()) & limit
    nets = top.get("netnames", {})
    return {name: found[net["bits"][0]] for name, net in nets.items() if net["bits"] and net["bits"][0] in found}


def of_clock(found: dict[str, Limits], clock: str) -> Limits:
    """The limits of ``clock``, by the router's name for it; those of all clocks together if it has another name in the netlist."""
    name = clock.removeprefix("$glbnet$")
    return found[name] if name in found else everywhere(found)


def everywhere(found: dict[str, Limits]) -> Limits:
    total = Limits()
    for limit in found.values():
        total &= limit
    return total


def _of_cell(cell: dict, tables: Tables) -> Iterator[tuple[str, Limits]]:
    """Clock pin: limits."""
    parameters = cell.get("parameters", {})
    if cell["type"] == "MULT18X18D":
        clocks = {name: parameters.get(f"REG_{name}_CLK", "NONE") for name in ("INPUTA", "PIPELINE", "OUTPUT")}
        if "NONE" not in (clocks["INPUTA"], clocks["OUTPUT"]):
            picoseconds = tables.inside(clocks["PIPELINE"] != "NONE")
            yield clocks["OUTPUT"], Limits(dsp_internal_limit_mhz=_mhz(picoseconds))
    if cell["type"] == "DP16KD":
        for port in "AB":
            mode = parameters.get(f"WRITEMODE_{port}", "NORMAL")
            yield f"CLK{port}", Limits(bram_internal_limit_mhz=_mhz(2 * tables.pulse[mode]))


def _mhz(picoseconds: int) -> float:
    return int(1e8 / picoseconds) / 100  # rounded down
