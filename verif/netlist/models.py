"""Behavioural models of the cells that netlists are made of, as one Verilog text a family.

Most come with Yosys. Its block RAM, multiplier and DCCA of the ECP5 are empty boxes: ``ecp5/`` has ours.
"""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OURS = Path(__file__).resolve().parent / "ecp5"
ECP5_CELLS = ("MULT18X18D", "DP16KD", "DCCA")

# A table look-up as such: a third of the code that Yosys' tree of multiplexers compiles to. test_luts proves them equal.
LUTS = {
    "LUT4": "module LUT4(input A, B, C, D, output Z); parameter [15:0] INIT = 0; assign Z = INIT[{D, C, B, A}]; endmodule",
    "SB_LUT4": "module SB_LUT4(output O, input I0, I1, I2, I3); parameter [15:0] LUT_INIT = 0; "
    "assign O = LUT_INIT[{I3, I2, I1, I0}]; endmodule",
}

_INCLUDE = re.compile(r'^\s*`include "(\S+)"', re.MULTILINE)
_SPECIFY = re.compile(r"^\s*specify\b.*?^\s*endspecify\b", re.MULTILINE | re.DOTALL)


@cache
def cell_models(family: str, fast: bool = True) -> str:
    """Every cell that ``synthesize`` uses for ``family``. ``fast``: look-up tables in place of Yosys' models of LUTs."""
    share = Path(find_spec("pyosys").submodule_search_locations[0]) / "share"
    if family == "ice40":
        text = "`define ICE40_U\n`define NO_ICE40_DEFAULT_ASSIGNMENTS\n" + (share / "ice40" / "cells_sim.v").read_text()
    else:
        folder = share / "lattice"
        common = (folder / "common_sim.vh").read_text()
        text = _INCLUDE.sub(lambda include: _included(folder / include[1]), common)
        # nextpnr packs into TRELLIS_COMB: no netlist has it, and Icarus does not take it.
        text = _without("TRELLIS_COMB", text) + (folder / "ccu2c_sim.vh").read_text()
        text += "".join((OURS / f"{cell}.v").read_text() for cell in ECP5_CELLS)
    text = _SPECIFY.sub("", text)
    for cell, model in LUTS.items():
        if fast and re.search(rf"^module {cell}\b", text, re.MULTILINE):
            text = _without(cell, text) + model + "\n"
    return text


def _without(cell: str, text: str) -> str:
    text, removed = re.subn(rf"^module {cell}\b.*?^endmodule\b", "", text, flags=re.MULTILINE | re.DOTALL)
    assert removed == 1, cell
    return text


def _included(path: Path) -> str:
    # Of the library's aliases of registers and pads a netlist has none.
    return "" if path.name in ("cells_ff.vh", "cells_io.vh") else path.read_text()
