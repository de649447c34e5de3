"""Global wires for resets of many registers: nextpnr gives them to clocks only."""

from collections import Counter

from .netlist import top_module

LEAST = 1000
"""Registers that a reset has to have."""


def promote_resets(netlist: dict) -> int:
    """Resets of a net that resets LEAST registers or more come through a DCCA; returns how many nets there are. Whatever else reads
    such a net stays with it. ``netlist`` is Yosys' JSON of a flat ECP5 design."""
    top = top_module(netlist)
    cells, resets = top["cells"], Counter()
    nets = (bits for cell in cells.values() for bits in cell["connections"].values())
    free = 1 + max((bit for bits in nets for bit in bits if isinstance(bit, int)), default=0)
    for cell in cells.values():
        if cell["type"] == "TRELLIS_FF":
            resets.update(bit for bit in cell["connections"]["LSR"] if isinstance(bit, int))
    chosen = [net for net, count in resets.items() if count >= LEAST]
    for number, net in enumerate(chosen):
        for cell in cells.values():
            if cell["type"] == "TRELLIS_FF" and cell["connections"].get("LSR") == [net]:
                cell["connections"]["LSR"] = [free + number]
        cells[f"global_reset_{number}"] = {
            "type": "DCCA",
            "parameters": {},
            "attributes": {},
            "port_directions": {"CLKI": "input", "CE": "input", "CLKO": "output"},
            "connections": {"CLKI": [net], "CE": ["x"], "CLKO": [free + number]},
        }
    return len(chosen)
