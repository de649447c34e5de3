"""Which part of the accelerator a cell belongs to, by its name."""

import re
from collections import Counter
from collections.abc import Collection, Iterable

from ..chips.netlist import top_module

GROUPS = {
    "array": r"tensor\.array|array",
    "scratchpads": r"activations?|weights?|parameters?|tables",
    "accumulator": r"accumulators?",
    "vector": r"vector|product|rows",
    "DMA": r"load|store|manager|router",
    "host": r"registers",
}
"""Of the modules right below the accelerator (or one further down). What else is in it is control."""
OUTSIDE = {"host": r"system\.(link|split)", "memory": r"system\.memory"}
CONTROL = "control"
NAMES = ("array", "scratchpads", "accumulator", "vector", "DMA", CONTROL, "host", "memory")
PARTS = ("hard", "soft", "cell", "none")
DEPTH = 3
"""Levels that a table of modules shows below the top."""


def scopes(netlist: dict) -> set[str]:
    """Names of all modules of ``netlist``, Yosys' JSON of a flat design."""
    return {name for name, cell in top_module(netlist)["cells"].items() if cell["type"] == "$scopeinfo"}


def module_of(cell: str, known: Collection[str]) -> str:
    """The module among ``known`` that ``cell`` lies in: Yosys names a cell after a signal that it drives or, if nothing has a name
    for that, that it feeds; so logic between two modules counts for either. "" is the top."""
    while "." in cell:
        cell = cell.rpartition(".")[0]
        if cell in known:
            return cell
    return ""


def group_of(module: str) -> str:
    """One of NAMES."""
    for name, pattern in OUTSIDE.items():
        if re.match(rf"(?:{pattern})(?:\.|$)", module):
            return name
    inside = re.match(r"system\.accelerator\.(.*)", module)
    for name, pattern in GROUPS.items() if inside else ():
        if re.match(rf"(?:{pattern})(?:\$\d+)?(?:\.|$)", inside[1]):
            return name
    return CONTROL


def part_of(module: str) -> str:
    """One of PARTS: the half of an array's cell that has multipliers, or the one that makes its products in look-up tables, the rest of a cell, what is in
    none; of a side column, the tables alone."""
    inside = re.search(r"\.(cell_\d+|side)_\d+(?:\.multiplier(?:\.(hard|soft))?)?(?:\.|$)", module)
    if not inside or (inside[1] == "side" and inside[2] != "soft"):
        return "none"
    return inside[2] or "cell"


def shown(module: str) -> str:
    """``module`` or that one of those around it that a table shows; the array as a whole, other parts of the tensor engine apart."""
    parts = module.split(".")
    return ".".join(parts[: DEPTH + (parts[2:3] == ["tensor"])]) or "top"


def utilization(counts: Iterable[tuple[str, str]]) -> dict[str, Counter]:
    """From (module, resource) of each cell: how many of each resource a module takes."""
    found: dict[str, Counter] = {}
    for module, resource in counts:
        found.setdefault(module, Counter())[resource] += 1
    return found
