"""Places for block RAMs of an LFE5U-85F, by the names that Yosys gives them.

The placer puts what belongs together into one heap, where the wires then run out. With the RAMs spread along the chip, as the
array's multipliers are, the logic between them spreads too.
"""

import re
from collections.abc import Callable, Mapping

from .netlist import top_module

BLOCK_COLUMNS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
"""Where the blocks begin in a row, of four block RAMs or of four multipliers."""
ROWS, BLOCK_RAMS = (22, 46, 70, 82), (0, 2, 4, 6)
"""Rows of block RAMs, and the column of each in its block."""

Place = tuple[int, int, int]
"""Row (index), block, number in the block."""
Rules = Mapping[str, Callable[..., Place]]
"""Pattern of the whole name of a RAM: from its groups, as ints, to the place."""


def place_block_rams(netlist: dict, rules: Rules) -> int:
    """Pins the RAMs of ``netlist``, Yosys' JSON of a flat design, that match a rule; returns how many. A place beyond the chip, or
    one that is taken, leaves the RAM to the placer."""
    top = top_module(netlist)
    taken = set()
    for name, cell in top["cells"].items():
        if cell["type"] != "DP16KD":
            continue
        for pattern, rule in rules.items():
            if match := re.fullmatch(pattern, name):
                row, block, number = rule(*map(int, match.groups()))
                free = (row, block, number) not in taken
                if free and row < len(ROWS) and block < len(BLOCK_COLUMNS) and number < len(BLOCK_RAMS):
                    taken.add((row, block, number))
                    cell["attributes"]["BEL"] = f"X{BLOCK_COLUMNS[block] + BLOCK_RAMS[number]}/Y{ROWS[row]}/EBR{number}"
    return len(taken)
