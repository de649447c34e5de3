"""The ECP5's multiplier and block RAM, from Lattice's usage guides FPGA-TN-02205 and FPGA-TN-02204, a step at a time.

A step has two halves: inputs change, then clocks do. ``settle`` takes the inputs, ``edge`` the names of the clocks that rise.
"""

from dataclasses import dataclass, field


def signed(value: int, bits: int, is_signed: bool) -> int:
    return value - (1 << bits) if is_signed and value >> (bits - 1) else value


@dataclass
class Multiplier:
    """MULT18X18D. ``stages``: for "A", "B", "PIPELINE" and "OUTPUT" the numbers (clock or None, enable, reset)."""

    stages: dict[str, tuple[int | None, int, int]]
    asynchronous: bool = False
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("A", "B", "PIPELINE", "OUTPUT"), 0))

    def settle(self, a: int, b: int, signed_a: bool, signed_b: bool, enables: int, resets: int) -> None:
        self.operands = {"A": signed(a, 18, signed_a), "B": signed(b, 18, signed_b)}
        self.enables, self.resets = enables, resets
        if self.asynchronous:
            for name, (_, _, reset) in self.stages.items():
                if resets >> reset & 1:
                    self.held[name] = 0

    def _after(self, name: str, value: int) -> int:
        return value if self.stages[name][0] is None else self.held[name]

    def _values(self) -> dict[str, int]:
        """What each stage takes in."""
        product = self._after("A", self.operands["A"]) * self._after("B", self.operands["B"])
        return {**self.operands, "PIPELINE": product, "OUTPUT": self._after("PIPELINE", product)}

    def edge(self, clocks: set[int]) -> None:
        values = self._values()
        for name, (clock, enable, reset) in self.stages.items():
            if clock in clocks:
                if self.resets >> reset & 1:
                    self.held[name] = 0
                elif self.enables >> enable & 1:
                    self.held[name] = values[name]

    @property
    def p(self) -> int:
        return self._after("OUTPUT", self._values()["OUTPUT"]) % (1 << 36)


@dataclass
class Port:
    """One port of a block RAM: how it is set, and what it remembers."""

    width: int
    write_mode: str
    registered: bool
    select: int = 0
    latch: int = 0
    register: int = 0

    def place(self, address: int) -> list[int]:
        """The bits of the RAM that an access reaches: nine to a byte, of which narrow widths use eight."""
        if self.width >= 9:
            first = address // (1 << {9: 3, 18: 4, 36: 5}[self.width]) * self.width
            return list(range(first, first + self.width))
        byte, inside = address >> 3, address % 8 // self.width * self.width
        return [9 * byte + inside + i for i in range(self.width)]

    def lanes(self, address: int) -> int:
        """The bits of a word that a write changes."""
        if self.width < 18:
            return (1 << self.width) - 1
        return sum(0x1FF << 9 * lane for lane in range(self.width // 9) if address >> lane & 1)

    @property
    def shown(self) -> int:
        return self.register if self.registered else self.latch


@dataclass
class BlockRam:
    """DP16KD. ``words``: its first contents, 18 bits each. Accesses of both ports to one bit at one edge are undefined when one
    of them writes: ``conflict`` says which inputs would be such, and callers avoid them."""

    ports: dict[str, Port]
    words: list[int]
    asynchronous: bool = False

    def __post_init__(self):
        self.memory = [word >> bit & 1 for word in self.words for bit in range(18)]
        self.inputs: dict[str, dict[str, int]] = {}

    def settle(self, **inputs: dict[str, int]) -> None:
        """For each port: address, data, enable, select, write, output_enable, reset."""
        self.inputs = inputs
        for name, port in self.ports.items():
            if self.asynchronous and inputs[name]["reset"]:
                port.latch = port.register = 0

    def _enabled(self, name: str) -> bool:
        return bool(self.inputs[name]["enable"]) and self.inputs[name]["select"] == self.ports[name].select

    def _written(self, name: str) -> set[int]:
        port, now = self.ports[name], self.inputs[name]
        blocked = now["reset"] and not self.asynchronous
        if not (self._enabled(name) and now["write"]) or blocked:
            return set()
        lanes = port.lanes(now["address"])
        return {bit for i, bit in enumerate(port.place(now["address"])) if lanes >> i & 1}

    def conflict(self, inputs: dict[str, dict[str, int]]) -> bool:
        self.inputs = inputs
        reached = {name: set(port.place(self.inputs[name]["address"])) for name, port in self.ports.items()}
        written = {name: self._written(name) for name in self.ports}
        return bool(written["A"] & reached["B"] or written["B"] & reached["A"])

    def edge(self, clocks: set[str]) -> None:
        old = list(self.memory)
        for name in clocks:
            port, now = self.ports[name], self.inputs[name]
            place = port.place(now["address"])
            written = self._written(name)
            for i, bit in enumerate(place):
                if bit in written:
                    self.memory[bit] = now["data"] >> i & 1
            seen = self.memory if port.write_mode == "WRITETHROUGH" else old
            before = port.latch
            if self._enabled(name) and not (now["write"] and port.write_mode == "NORMAL"):
                port.latch = sum(seen[bit] << i for i, bit in enumerate(place))
            if now["output_enable"]:
                port.register = before
            if now["reset"]:
                port.latch = port.register = 0
