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


def is_cell(module: str) -> bool:
    """Whether ``module`` of the array belongs to one of its cells, those of a side column not among them."""
    return bool(re.search(r"\.cell_\d+_\d+(?:\.|$)", module))


def is_soft(module: str) -> bool:
    """Whether it makes products in look-up tables, beside others with multipliers."""
    return bool(re.search(r"\.soft(?:\.|$)", module))


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
