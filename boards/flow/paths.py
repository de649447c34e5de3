"""The longest path of each clock, from the router's report."""

import re
from collections.abc import Collection

from .modules import module_of

_ELEMENT = re.compile(r"(?<=.)_(?:TRELLIS_|LUT4|CCU2C|PFUMX|L6MUX21|SB_|DP16KD|MULT18X18D).*$")
LOGIC = ("logic", "clk-to-q", "setup", "source")


def critical_paths(routed: dict, known: Collection[str]) -> dict[tuple[str, str], dict]:
    """By the clocks where a path begins and ends: its ends, their modules, and where its nanoseconds go. ``levels``: look-up
    tables and other cells on the way."""
    found = {}
    for path in routed.get("critical_paths", ()):
        steps = path["path"]
        clocks = tuple(path[end].removeprefix("posedge ").removeprefix("negedge ") for end in ("from", "to"))
        if not steps or clocks in found:
            continue
        ends = [steps[0]["from"]["cell"], steps[-1]["to"]["cell"]]
        logic = sum(step["delay"] for step in steps if step["type"] in LOGIC)
        routing = sum(step["delay"] for step in steps if step["type"] == "routing")
        found[clocks] = {
            **{name: register(cell) for name, cell in zip(("from", "to"), ends)},
            **{f"{name}_module": module_of(cell, known) for name, cell in zip(("from", "to"), ends)},
            "delay_ns": round(logic + routing, 3),
            "logic_ns": round(logic, 3),
            "routing_ns": round(routing, 3),
            "levels": sum(step["type"] == "logic" for step in steps),
        }
    return found


def register(cell: str) -> str:
    """The signal that ``cell`` has its name from."""
    return _ELEMENT.sub("", cell)
