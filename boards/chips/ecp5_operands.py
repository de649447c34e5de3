"""Takes the gate before an operand of an adder into the adder's own look-up table, which has inputs to spare."""

from collections import Counter
from itertools import permutations, product

from .netlist import top_module

PORTS = "ABCD"
HALVES = (0, 1)


def absorb_operands(netlist: dict) -> int:
    """Changes ``netlist``, Yosys' JSON of a flat ECP5 design; returns how many LUT4 it removes.

    Half a CCU2C adds what a LUT4 of A, B, C and D says (propagate) to the carry, and passes the carry on if that is 1; else its carry
    is what the same table says of A and B with C and D low (Yosys' ccu2c_sim.vh). An addition needs two of the four inputs.
    """
    cells = top_module(netlist)["cells"]
    drivers, readers = {}, Counter()
    for name, cell in cells.items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "output":
                drivers.update({bit: name for bit in bits if cell["type"] == "LUT4"})
            else:
                readers.update(bit for bit in bits if isinstance(bit, int))
    for port in top_module(netlist)["ports"].values():
        readers.update(bit for bit in port["bits"] if isinstance(bit, int))
    absorbed = set()
    for cell in list(cells.values()):
        if cell["type"] != "CCU2C":
            continue
        for half in HALVES:
            before = {_bit(cell, f"{port}{half}") for port in PORTS}
            candidates = sorted(
                {bit for bit in before if bit in drivers and readers[bit] == 1 and _uses(cell, half, bit) == 1}, key=str
            )
            for taken in _choices(candidates):
                if _absorb(cell, half, {bit: cells[drivers[bit]] for bit in taken}):
                    absorbed |= {drivers[bit] for bit in taken}
                    break
    for name in absorbed:
        del cells[name]
    return len(absorbed)


def _choices(candidates: list):
    """As many of them as possible first."""
    if len(candidates) == 2:
        yield candidates
    yield from ([bit] for bit in candidates)


def _bit(cell: dict, port: str) -> int | str:
    return (cell["connections"].get(port) or ["x"])[0]


def _uses(cell: dict, half: int, bit: int) -> int:
    return sum(_bit(cell, f"{port}{half}") == bit for port in PORTS)


def _table(cell: dict, name: str) -> int:
    return int(cell["parameters"][name], 2)


def _look_up(table: int, inputs) -> int:
    return table >> sum(value << place for place, value in enumerate(inputs)) & 1


def _absorb(cell: dict, half: int, gates: dict) -> bool:
    """Puts ``gates``, LUT4 by the net that they drive, into half ``half`` of ``cell``, if it can hold them."""
    pins = [_bit(cell, f"{port}{half}") for port in PORTS]
    wanted = [bit for bit in pins if bit not in gates]
    wanted += [_bit(gate, port) for gate in gates.values() for port in PORTS]
    nets = list(dict.fromkeys(bit for bit in wanted if isinstance(bit, int)))
    if len(nets) > len(PORTS) or "x" in pins:
        return False
    table = _table(cell, f"INIT{half}")
    propagates, generates = {}, {}
    for values in product((0, 1), repeat=len(nets)):
        known = dict(zip(nets, values)) | {"0": 0, "1": 1, "x": 0}
        known |= {
            bit: _look_up(_table(gate, "INIT"), [known[_bit(gate, p)] for p in PORTS]) for bit, gate in gates.items()
        }
        inputs = [known[bit] for bit in pins]
        propagates[values], generates[values] = _look_up(table, inputs), _look_up(table, [*inputs[:2], 0, 0])
    # What is not needed is high, as Yosys has it, so that the table's lowest quarter is the carry's alone.
    slots = [*nets, *["1"] * (len(PORTS) - len(nets))]
    for order in dict.fromkeys(permutations(slots)):
        found = _fit(order, nets, propagates, generates)
        if found is not None:
            cell["parameters"][f"INIT{half}"] = f"{found:016b}"
            cell["connections"] |= {f"{port}{half}": [bit] for port, bit in zip(PORTS, order)}
            return True
    return False


def _fit(order, nets: list, propagates: dict, generates: dict) -> int | None:
    """The table of half a CCU2C with inputs in ``order`` that adds and carries as told; None if there is none."""
    entries: dict[int, int] = {}

    def settle(index: int, value: int) -> bool:
        return entries.setdefault(index, value) == value

    for values in propagates:
        known = dict(zip(nets, values)) | {"1": 1}
        index = sum(known[bit] << place for place, bit in enumerate(order))
        if not settle(index, propagates[values]):
            return None
    for values in propagates:
        known = dict(zip(nets, values)) | {"1": 1}
        low = sum(known[bit] << place for place, bit in enumerate(order[:2]))
        if not propagates[values] and not settle(low, generates[values]):
            return None
    return sum(value << index for index, value in entries.items())
