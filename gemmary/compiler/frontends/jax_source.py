"""Where an operator of StableHLO comes from, by its MLIR location: JAX's name for it, and the line of Python."""

import os
import re

import jax
from jaxlib.mlir import ir

_LIBRARY = os.path.dirname(jax.__file__)


def name_of(location: ir.Location, default: str) -> str:
    """The last part of JAX's name: ``jit(f)/jit(relu)/max`` is ``max``, ``jit(f)/jit(relu)`` is ``relu``."""
    if not isinstance(location, ir.NameLoc):
        return default
    name = location.name_str.rstrip(":").rpartition("/")[2]
    name = re.sub(r"^\w+\((.*)\)$", r"\1", name)
    return re.sub(r"[^\w.\[\]']+", "_", name) or default


def location_of(location: ir.Location) -> str | None:
    """``file:line`` of the innermost call that is not JAX's own."""
    for file, line in _frames(location):
        if not file.startswith(_LIBRARY) and not file.startswith("<"):
            near = os.path.relpath(file)
            return f"{file if near.startswith(os.pardir) else near}:{line}"
    return None


def _frames(location: ir.Location):
    if isinstance(location, ir.NameLoc):
        yield from _frames(location.child_loc)
    elif isinstance(location, ir.CallSiteLoc):
        yield from _frames(location.callee)
        yield from _frames(location.caller)
    elif isinstance(location, ir.FileLineColLoc):
        yield location.filename, location.start_line
