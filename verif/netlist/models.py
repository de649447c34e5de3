"""Behavioural models of the cells that netlists are made of, as one Verilog text a family.

Most come with Yosys. Its block RAM and multiplier of the ECP5 are empty boxes: ``ecp5/`` has ours.
"""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OURS = Path(__file__).resolve().parent / "ecp5"
ECP5_CELLS = ("MULT18X18D", "DP16KD")

_INCLUDE = re.compile(r'^\s*`include "(\S+)"', re.MULTILINE)
_SPECIFY = re.compile(r"^\s*specify\b.*?^\s*endspecify\b", re.MULTILINE | re.DOTALL)


@cache
def cell_models(family: str) -> str:
    """Every cell that ``synthesize`` uses for ``family``."""
    share = Path(find_spec("pyosys").submodule_search_locations[0]) / "share"
    if family == "ice40":
        defines = "`define ICE40_U\n`define NO_ICE40_DEFAULT_ASSIGNMENTS\n"
        return defines + _SPECIFY.sub("", (share / "ice40" / "cells_sim.v").read_text())
    folder = share / "lattice"
    yosys = _INCLUDE.sub(lambda include: _included(folder / include[1]), (folder / "common_sim.vh").read_text())
    yosys += (folder / "ccu2c_sim.vh").read_text()
    # TRELLIS_COMB is what nextpnr packs into, never part of a netlist; Icarus does not take it.
    yosys = re.sub(r"^module TRELLIS_COMB\(.*?^endmodule\b", "", yosys, flags=re.MULTILINE | re.DOTALL)
    return _SPECIFY.sub("", yosys) + "".join((OURS / f"{cell}.v").read_text() for cell in ECP5_CELLS)


def _included(path: Path) -> str:
    # Of the library's aliases of registers and pads a netlist has none.
    return "" if path.name in ("cells_ff.vh", "cells_io.vh") else path.read_text()
