"""Where the router has put each cell: a small file from the large one that it writes."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .modules import module_of

_BEL = re.compile(r"X(\d+)/Y(\d+)/")


@dataclass(frozen=True)
class Cell:
    """A cell of kind ``kind``, as the router calls it, of module ``module`` in tile (``x``, ``y``)."""

    kind: str
    module: str
    x: int
    y: int


def shorten(written: Path, known: Collection[str], short: Path) -> None:
    """Makes the file ``short`` of what nextpnr has ``written``, which goes away. ``known``: the modules."""
    top = json.loads(written.read_text())["modules"]["top"]
    modules: dict[str, int] = {}
    cells: dict[str, list] = {}
    for name, cell in top["cells"].items():
        if found := _BEL.match(cell["attributes"].get("NEXTPNR_BEL", "")):
            index = modules.setdefault(module_of(name, known), len(modules))
            cells.setdefault(cell["type"], []).append([int(found[1]), int(found[2]), index])
    short.write_text(json.dumps({"modules": list(modules), "cells": cells}))
    written.unlink()


def load(short: Path) -> list[Cell]:
    content = json.loads(short.read_text())
    modules = content["modules"]
    return [Cell(kind, modules[index], x, y) for kind, cells in content["cells"].items() for x, y, index in cells]
