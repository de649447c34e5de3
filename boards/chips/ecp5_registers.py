"""Moves registers behind block RAMs into them: Yosys leaves the output registers of DP16KD unused."""

from collections import Counter

from .netlist import top_module

OUTPUTS = 18
PSEUDO_DUAL_PORT = 36
"""With this width port A only writes, and B reads through the outputs of both."""


def absorb_output_registers(netlist: dict) -> int:
    """Changes ``netlist``, Yosys' JSON of a flat ECP5 design; returns how many flip-flops went away.

    A port's registers go in if every one of its outputs in use feeds one flip-flop and nothing else, all with the clock of
    the port and one enable, and none with a reset. If the enable is the read enable a cycle later, the register takes a
    word in every cycle instead: the RAM shows the same one until it reads again.
    """
    top = top_module(netlist)
    cells = top["cells"]
    readers: dict[int, list[tuple[str, str]]] = {}
    drivers: dict[int, str] = {}
    for name, cell in cells.items():
        for pin, bits in cell["connections"].items():
            for bit in bits:
                if isinstance(bit, int):
                    if cell["port_directions"][pin] == "output":
                        drivers[bit] = name
                    else:
                        readers.setdefault(bit, []).append((name, pin))
    outside = {bit for port in top["ports"].values() for bit in port["bits"]}
    gone = Counter()
    for name in [name for name, cell in cells.items() if cell["type"] == "DP16KD"]:
        ram = cells[name]
        wide = any(int(ram["parameters"][f"DATA_WIDTH_{port}"], 2) == PSEUDO_DUAL_PORT for port in "AB")
        for port, outputs in (("B", "AB"),) if wide else (("A", "A"), ("B", "B")):
            registers = _registers(cells, ram, port, outputs, readers, outside)
            if registers:
                _absorb(cells, ram, port, outputs, registers, drivers)
                gone.update(registers.values())
    for name in gone:
        del cells[name]
    return len(gone)


def _registers(cells, ram, port, outputs, readers, outside) -> dict[str, str]:
    """Output pin: the flip-flop behind it. Empty if one of them has another use or kind."""
    found, kinds = {}, set()
    for pin in (f"DO{output}{i}" for output in outputs for i in range(OUTPUTS)):
        bit = ram["connections"].get(pin, ["x"])[0]
        users = readers.get(bit, [])
        if not users and bit not in outside:
            continue
        if len(users) != 1 or bit in outside or not _is_register(cells[users[0][0]], users[0][1]):
            return {}
        found[pin] = users[0][0]
        connections = cells[users[0][0]]["connections"]
        kinds.add((connections["CLK"][0], _enable(cells[users[0][0]])))
    clocks = {clock for clock, _ in kinds}
    return found if len(kinds) == 1 and clocks == set(ram["connections"][f"CLK{port}"]) else {}


def _is_register(cell, pin) -> bool:
    """Whether ``pin`` is the data of a flip-flop without reset."""
    parameters = cell["parameters"]
    return (
        cell["type"] == "TRELLIS_FF"
        and pin == "DI"
        and parameters["CLKMUX"] == "CLK"
        and _mux(parameters["CEMUX"]) in ("CE", "1")
        and parameters["GSR"] == "DISABLED"
        and cell["connections"]["LSR"] == ["0"]
    )


def _mux(value: str) -> str:
    return value.strip()  # Yosys marks a string of ones and zeros with a space


def _enable(register) -> int | str:
    """Net or constant."""
    return register["connections"]["CE"][0] if _mux(register["parameters"]["CEMUX"]) == "CE" else "1"


def _absorb(cells, ram, port, outputs, registers, drivers) -> None:
    enable = _enable(cells[next(iter(registers.values()))])
    before = cells.get(drivers.get(enable, ""))
    # With a reset in between the RAM has read nothing that matters.
    delayed = before and before["type"] == "TRELLIS_FF" and _enable(before) == "1"
    if delayed and before["connections"]["DI"] == ram["connections"][f"CE{port}"]:
        enable = "1"
    for output in outputs:
        ram["parameters"][f"REGMODE_{output}"] = "OUTREG"
        ram["connections"][f"OCE{output}"] = [enable]
    for pin, register in registers.items():
        ram["connections"][pin] = cells[register]["connections"]["Q"]
