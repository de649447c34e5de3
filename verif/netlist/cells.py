"""What the clock-domain check knows of cells: their clocks, what each clock samples and drives, what passes straight through."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

Bit = int | str
"""A bit of a netlist in Yosys' JSON: a number, or a constant "0", "1", "x", "z"."""
Bits = tuple[Bit, ...]


@dataclass(frozen=True)
class Register:
    """``outputs`` change at an edge of ``clock``, at which ``pairs`` (data input, its output) and ``inputs`` (enables, addresses:
    they reach every output) are sampled. ``resets`` act whatever the clock does. ``storage``: the clocks that write the memory
    which the outputs are read from."""

    cell: str
    clock: Bit
    outputs: Bits
    inputs: Bits = ()
    pairs: tuple[tuple[Bit, Bit], ...] = ()
    resets: Bits = ()
    storage: Bits = ()


@dataclass
class Parts:
    """A cell taken apart: ``registers``; ``logic``, pairs (outputs, inputs) without a register between; ``reads``, asynchronous
    reads (outputs, clocks that write the memory); ``sources``, outputs whose clock nobody knows."""

    registers: list[Register] = field(default_factory=list)
    logic: list[tuple[Bits, Bits]] = field(default_factory=list)
    reads: list[tuple[Bits, Bits]] = field(default_factory=list)
    sources: Bits = ()


@dataclass(frozen=True)
class Cell:
    """One cell of Yosys' JSON."""

    name: str
    kind: str
    ports: dict[str, list[Bit]]
    parameters: dict
    directions: dict[str, str]

    def bits(self, *ports: str) -> Bits:
        return tuple(bit for port in ports for bit in self.ports.get(port, ()))

    def inputs(self, pattern: str = ".*") -> Bits:
        return self._matching(pattern, "output")

    def outputs(self, pattern: str = ".*") -> Bits:
        return self._matching(pattern, "input")

    def number(self, parameter: str) -> int:
        return int(str(self.parameters.get(parameter, "0")).replace("x", "0") or "0", 2)

    def register(self, clock: str, data: str, enables: str, resets: str, asynchronous: bool) -> Parts:
        """A plain register: names of ports, several of a kind separated by spaces."""
        inputs, resets = self.bits(*enables.split()), self.bits(*resets.split())
        if not asynchronous:
            inputs, resets = inputs + resets, ()
        pairs = tuple(zip(self.bits(data), self.bits("Q")))
        return Parts([Register(self.name, self.ports[clock][0], self.bits("Q"), inputs, pairs, resets)])

    def _matching(self, pattern: str, other: str) -> Bits:
        found = (port for port, way in self.directions.items() if way != other and re.fullmatch(pattern, port))
        return self.bits(*sorted(found))


BUFFERS = {
    "$not",
    "$pos",
    "$buf",
    "$_NOT_",
    "$_BUF_",
    "INV",
    "SB_GB",
    "DCCA",
    "IB",
    "OB",
    "BB",
    "OBZ",
    "TRELLIS_IO",
    "SB_IO",
}
"""Cells that pass bits on: a clock behind one is the same clock, and a synchroniser may stand behind one."""
_BITWISE = (BUFFERS | {"$and", "$or", "$xor", "$xnor", "$tribuf"}) - {"SB_GB", "SB_IO"}
_IGNORED = {"$scopeinfo", "$print", "$check", "$assert", "$assume", "$cover", "GSR", "SGSR", "PUR"}
_CLOCK_PORT = r"S?CLK\d?|[A-Z]*_?CLOCK\d?|[A-Z]+_CLK|[EDRW]CLK"


def parts(cell: Cell) -> Parts:
    """ValueError for a clocked cell that nobody has described."""
    if cell.kind in _IGNORED:
        return Parts()
    for pattern, describe in _KINDS:
        if re.fullmatch(pattern, cell.kind):
            return describe(cell)
    return _other(cell)


def _yosys_register(cell: Cell) -> Parts:
    asynchronous = not cell.kind.startswith("$sdff")
    return cell.register("CLK" if "CLK" in cell.ports else "EN", "D", "EN", "ARST ALOAD AD SET CLR SRST", asynchronous)


def _yosys_gate(cell: Cell) -> Parts:
    return cell.register("C" if "C" in cell.ports else "E", "D", "E", "R S L AD", not cell.kind.startswith("$_SDFF"))


def _ice40_register(cell: Cell) -> Parts:
    return cell.register("C", "D", "E", "R S", not re.search(r"S[RS]$", cell.kind))


def _ecp5_register(cell: Cell) -> Parts:
    return cell.register("CLK", "DI", "CE", "LSR", cell.parameters.get("SRMODE") == "ASYNC")


def _memory(cell: Cell) -> Parts:
    """A memory with all its ports, as ``memory_collect`` leaves it."""
    width, address = cell.number("WIDTH"), cell.number("ABITS")

    def port(way: str, index: int, *sizes: tuple[str, int]) -> list[Bits]:
        return [cell.bits(f"{way}_{suffix}")[index * size : (index + 1) * size] for suffix, size in sizes]

    found = Parts()
    writing = tuple(sorted(set(cell.bits("WR_CLK")), key=str))
    for index in range(cell.number("WR_PORTS")):
        clock, *inputs = port("WR", index, ("CLK", 1), ("EN", width), ("ADDR", address), ("DATA", width))
        found.registers.append(Register(cell.name, clock[0], (), tuple(bit for group in inputs for bit in group)))
    for index in range(cell.number("RD_PORTS")):
        sizes = ("CLK", 1), ("EN", 1), ("ADDR", address), ("DATA", width), ("ARST", 1), ("SRST", 1)
        clock, enable, where, data, asynchronous, synchronous = port("RD", index, *sizes)
        if cell.number("RD_CLK_ENABLE") >> index & 1:
            inputs = enable + where + synchronous
            found.registers.append(Register(cell.name, clock[0], data, inputs, (), asynchronous, writing))
        else:
            found.logic.append((data, where))
            found.reads.append((data, writing))
    return found


def _lut_ram(cell: Cell) -> Parts:
    write = Register(cell.name, cell.ports["WCK"][0], (), cell.bits("DI", "WAD", "WRE"))
    return Parts([write], [(cell.bits("DO"), cell.bits("RAD"))], [(cell.bits("DO"), (write.clock,))])


def _ecp5_ram(cell: Cell) -> Parts:
    shown = [cell.outputs(f"DO{port}.*") for port in "AB"]
    sampled = [cell.inputs(f"(DI|AD|CE|OCE|WE|CS|RST){port}.*") for port in "AB"]
    if 36 in (cell.number("DATA_WIDTH_A"), cell.number("DATA_WIDTH_B")):  # A writes with the data pins of B, B reads
        shown = [(), shown[0] + shown[1]]
        sampled = [sampled[0] + cell.inputs("DIB.*"), cell.inputs("(AD|CE|OCE|WE|CS|RST)B.*")]
    clocks = cell.bits("CLKA", "CLKB")
    writing = tuple(clock for clock, port in zip(clocks, ("WEA", "WEB")) if cell.bits(port) != ("0",))
    ports = zip(clocks, shown, sampled)
    return Parts([Register(cell.name, clock, out, inputs, storage=writing) for clock, out, inputs in ports])


def _ice40_ram(cell: Cell) -> Parts:
    write, read = cell.inputs("WCLKN?")[0], cell.inputs("RCLKN?")[0]
    writing = (write,) if cell.bits("WE") != ("0",) else ()
    return Parts(
        [
            Register(cell.name, write, (), cell.bits("WCLKE", "WE", "WADDR", "MASK", "WDATA")),
            Register(cell.name, read, cell.bits("RDATA"), cell.bits("RCLKE", "RE", "RADDR"), storage=writing),
        ]
    )


def _bitwise(cell: Cell) -> Parts:
    operands = [cell.ports[port] for port in ("A", "B", "I") if port in cell.ports]
    if cell.kind == "TRELLIS_IO":  # a pad: inwards from B to O, outwards from I to B
        return Parts(logic=[(cell.bits("O"), cell.bits("B")), (cell.bits("B"), cell.bits("I", "T"))])
    out = cell.bits("Y", "Z", "O")
    if any(len(operand) != len(out) for operand in operands):
        return _other(cell)
    shared = cell.bits("S", "EN", "T")
    return Parts(logic=[((bit,), (*(operand[i] for operand in operands), *shared)) for i, bit in enumerate(out)])


def _ice40_pad(cell: Cell) -> Parts:
    if set(cell.bits("INPUT_CLK", "OUTPUT_CLK")) - set("01xz"):  # with registers
        return _other(cell)
    outwards = cell.bits("D_OUT_0", "OUTPUT_ENABLE")
    return Parts(logic=[(cell.bits("D_IN_0"), cell.bits("PACKAGE_PIN")), (cell.bits("PACKAGE_PIN"), outwards)])


def _other(cell: Cell) -> Parts:
    """Logic; or, when it has a clock (a multiplier, an IO register), some inputs are sampled and some pass through."""
    clocks = set() if cell.kind.startswith("$") else set(cell.inputs(_CLOCK_PORT)) - set("01xz")
    found = Parts(logic=[(cell.outputs(), tuple(bit for bit in cell.inputs() if bit not in clocks))])
    if len(clocks) > 1:
        raise ValueError(
            f"cell {cell.name} of kind {cell.kind} has several clocks: describe it in verif/netlist/cells.py"
        )
    for clock in clocks:
        found.registers.append(Register(cell.name, clock, cell.outputs(), cell.inputs()))
    return found


_KINDS: list[tuple[str, Callable[[Cell], Parts]]] = [
    (r"\$mem(_v2)?", _memory),
    (r"\$(a|s|al)?dff(sr)?(c?e)?|\$a?dlatch(sr)?|\$sr", _yosys_register),
    (r"\$_(S?DFF|ALDFF|DFFSR|DLATCH|SR).*", _yosys_gate),
    (r"SB_DFFN?E?(S?[RS])?", _ice40_register),
    (r"TRELLIS_FF", _ecp5_register),
    (r"TRELLIS_DPR16X4", _lut_ram),
    (r"DP16KD", _ecp5_ram),
    (r"SB_IO", _ice40_pad),
    (r"SB_RAM40_4K.*", _ice40_ram),
    (r"EHXPLLL|SB_PLL40_.*|OSCG|SB_[HL]FOSC", lambda cell: Parts(sources=cell.outputs())),
    ("|".join(map(re.escape, _BITWISE)) + r"|\$mux", _bitwise),
]
