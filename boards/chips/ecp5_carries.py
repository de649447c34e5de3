"""Shortens chains of carries: nextpnr adds a CCU2C wherever a chain begins with a net, a constant too, and wherever it ends with
one, used or not."""

from collections import Counter
from collections.abc import Mapping

from .netlist import top_module

HALVES = (0, 1)
GENERATE = {"0": f"{0x0000:016b}", "1": f"{0x000F:016b}"}
"""LUT of half a CCU2C whose carry is that constant, whatever comes in, with C and D high."""
PORTS = "ABCD"
OPEN = ["x"]
"""Not connected: a port that is missing altogether stops nextpnr."""


def trim_carries(netlist: dict) -> int:
    """Changes ``netlist``, Yosys' JSON of a flat ECP5 design; returns how many CCU2C nextpnr saves by it.

    A carry that leaves a chain and that nobody reads goes away. A constant that enters one is made in half a CCU2C: where the last
    one has its upper half to spare, by moving all bits up by half a CCU2C; else in one before the first, which is what nextpnr would
    add, but without a wire that brings the constant.
    """
    top = top_module(netlist)
    cells, used = top["cells"], Counter()
    for cell in cells.values():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input":
                used.update(bit for bit in bits if isinstance(bit, int))
    used.update(bit for port in top["ports"].values() for bit in port["bits"] if port["direction"] != "input")
    carries = {name: cell for name, cell in cells.items() if cell["type"] == "CCU2C"}
    following = {_bit(cell, "CIN"): name for name, cell in carries.items()}
    saved = 0
    for cell in carries.values():
        if isinstance(_bit(cell, "COUT"), int) and not used[_bit(cell, "COUT")]:
            cell["connections"]["COUT"] = OPEN
            saved += 1
    nets = (cell["connections"].values() for cell in cells.values())
    free = 1 + max((bit for ports in nets for bits in ports for bit in bits if isinstance(bit, int)), default=0)
    for name in [name for name, cell in carries.items() if _bit(cell, "CIN") in ("0", "1")]:
        chain = [carries[name]]
        while (after := following.get(_bit(chain[-1], "COUT"))) and used[_bit(chain[-1], "COUT")] == 1:
            chain.append(carries[after])
        constant = _bit(chain[0], "CIN")
        chain[0]["connections"]["CIN"] = OPEN
        if _spare(chain[-1], used):
            _move(chain, constant)
            saved += 1
        else:
            cells[f"{name}_carry"] = _generator(chain[0], constant, free)
            chain[0]["connections"]["CIN"] = [free]
            free += 1
    return saved


def _bit(cell: dict, port: str) -> int | str | None:
    return (cell["connections"].get(port) or [None])[0]


def _spare(cell: dict, used: Mapping[int, int]) -> bool:
    """Whether nobody reads the upper half of ``cell``."""
    return not any(isinstance(_bit(cell, port), int) and used[_bit(cell, port)] for port in ("S1", "COUT"))


def _half(cell: dict, half: int) -> dict:
    ports = {port: cell["connections"].get(f"{port}{half}", OPEN) for port in (*PORTS, "S")}
    return ports | {name: cell["parameters"][f"{name}{half}"] for name in ("INIT", "INJECT1_")}


def _put(cell: dict, half: int, what: dict) -> None:
    for name, value in what.items():
        cell["parameters" if name in ("INIT", "INJECT1_") else "connections"][f"{name}{half}"] = value


def _constant(value: str) -> dict:
    """Half a CCU2C that gives the carry ``value``."""
    return {port: ["1"] for port in PORTS} | {"S": OPEN, "INIT": GENERATE[value], "INJECT1_": "NO"}


def _move(chain: list[dict], constant: str) -> None:
    """Every half of ``chain`` but the last one up by one, with ``constant`` in front."""
    halves = [_constant(constant), *(_half(cell, half) for cell in chain for half in HALVES)]
    for index, cell in enumerate(chain):
        for half in HALVES:
            _put(cell, half, halves[2 * index + half])


def _generator(like: dict, constant: str, carry: int) -> dict:
    """A CCU2C that gives ``constant`` as the carry ``carry``."""
    made = {key: like[key] for key in ("hide_name", "type", "port_directions")}
    made |= {"attributes": {}, "parameters": {}, "connections": {"CIN": OPEN, "COUT": [carry]}}
    for half in HALVES:
        _put(made, half, _constant(constant))
    return made
