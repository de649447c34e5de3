"""Write modes of block RAMs."""

from collections import Counter

from .netlist import top_module

OUTPUTS = 18


def simplify_write_modes(netlist: dict) -> int:
    """Takes the mode READBEFOREWRITE from each port of a DP16KD that only writes or only reads; returns from how many. ``netlist``
    is Yosys' JSON of a flat ECP5 design.

    Yosys chooses the mode for both ports of a RAM that is wide enough for it. It decides what a port shows while it writes,
    which is nothing here, and needs a longer pulse of the clock than any other.
    """
    top = top_module(netlist)
    readers = Counter(bit for port in top["ports"].values() for bit in port["bits"])
    for cell in top["cells"].values():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input":
                readers.update(bits)
    changed = 0
    for cell in top["cells"].values():
        if cell["type"] != "DP16KD":
            continue
        connections, parameters = cell["connections"], cell["parameters"]
        for port in "AB":
            outputs = (bit for i in range(OUTPUTS) for bit in connections.get(f"DO{port}{i}", ()))
            shows = any(isinstance(bit, int) and readers[bit] for bit in outputs)
            writes = connections.get(f"WE{port}") != ["0"]
            if parameters.get(f"WRITEMODE_{port}") == "READBEFOREWRITE" and not (shows and writes):
                parameters[f"WRITEMODE_{port}"] = "NORMAL"
                changed += 1
    return changed
