"""A banked on-chip memory with any number of arbitrated ports."""

from dataclasses import dataclass

from amaranth import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ..interfaces import READ_LATENCY, ReadPort, WritePort
from .dual_ram import DualRam
from .ram import Ram


@dataclass(frozen=True)
class Port:
    """A port of ``bytes`` a request (a power-of-two part of a word); writes have ``parts`` mask bits."""

    name: str
    kind: str  # "read" or "write"
    bytes: int
    parts: int = 1


def bank_of(address, banks: int):
    """XOR of the base-``banks`` digits of a word address (a Value or an int): power-of-two strides meet every bank."""
    if banks == 1:
        return 0
    bits = (banks - 1).bit_length()
    if isinstance(address, int):
        result = 0
        while address:
            result, address = result ^ address % banks, address // banks
        return result
    result = address[:bits]
    for low in range(bits, len(address), bits):
        result = result ^ address[low : low + bits]
    return result


class Scratchpad(wiring.Component):
    """``words`` words of ``word_bytes`` bytes in ``banks`` interleaved banks.

    ``ports`` in order of priority, each a member of its name (a ReadPort or WritePort of its width; an address counts units
    of that width). In every cycle a bank serves one read and one write (``kind`` "1r1w") or one access ("1rw"); the others
    wait. Read data follow READ_LATENCY cycles after an accepted request. Throughput: one request a port a cycle as long as
    banks differ.

    With ``apart`` the first port, which must read whole words, belongs to that clock domain and has every bank to itself ("1rw" is what the
    others have): it never waits. There are many RAMs, so its address passes them, a register for each of ``parts`` parts of the word (of the finest that is
    written, or ``part_bytes``): data of part p follow APART_READ_LATENCY + p cycles later.
    """

    def __init__(
        self,
        words: int,
        word_bytes: int,
        banks: int,
        ports: list[Port],
        kind: str = "1r1w",
        apart: str | None = None,
        part_bytes: int | None = None,
    ):
        self.words, self.word_bytes, self.banks, self.ports = words, word_bytes, banks, ports
        self.kind, self.apart = "1rw" if apart else kind, apart
        # The finest write enable that any port needs.
        finest = min([p.bytes // p.parts for p in ports if p.kind == "write"], default=word_bytes)
        self.part_bytes = part_bytes or finest
        self.parts = word_bytes // self.part_bytes
        super().__init__(
            {
                p.name: In(
                    ReadPort(words * word_bytes // p.bytes, 8 * p.bytes)
                    if p.kind == "read"
                    else WritePort(words * word_bytes // p.bytes, 8 * p.bytes, p.parts)
                )
                for p in ports
            }
        )

    def elaborate(self, platform):
        m = Module()
        rams = []
        for b in range(self.banks):
            shape = self.words // self.banks, 8 * self.word_bytes, self.parts
            ram = DualRam(*shape, self.apart) if self.apart else Ram(*shape)
            m.submodules[f"bank_{b}"] = ram
            rams.append(ram)

        bank_bits = (self.banks - 1).bit_length()
        taken = {"read": [0] * self.banks, "write": [0] * self.banks}
        if self.apart:
            self.serve_apart(m, rams, wiring.flipped(getattr(self, self.ports[0].name)))
        for port in self.ports[1:] if self.apart else self.ports:
            client = wiring.flipped(getattr(self, port.name))
            slice_bits = (self.word_bytes // port.bytes - 1).bit_length()
            word = client.address[slice_bits:]
            bank = Signal(range(self.banks), name=f"{port.name}_bank")
            m.d.comb += bank.eq(bank_of(word, self.banks))
            grants = []
            for b, ram in enumerate(rams):
                grant = Signal(name=f"{port.name}_grant_{b}")
                m.d.comb += grant.eq(client.valid & (bank == b) & ~taken[port.kind][b])
                for kind in taken if self.kind == "1rw" else (port.kind,):
                    taken[kind][b] = taken[kind][b] | grant
                with m.If(grant):
                    if port.kind == "read":
                        m.d.comb += [ram.read_enable.eq(1), ram.read_address.eq(word[bank_bits:])]
                    else:
                        self.write(m, ram, port, client, word[bank_bits:], client.address[:slice_bits])
                grants.append(grant)
            m.d.comb += client.ready.eq(Cat(grants).any())
            if port.kind == "read":
                self.respond(m, rams, port, client, bank, client.address[:slice_bits])
        return m

    def write(self, m, ram, port, client, row, position):
        """Puts a narrow write into its part of the word."""
        copies = self.word_bytes // port.bytes
        enables = [bit.replicate(port.bytes // port.parts // self.part_bytes) for bit in client.mask]
        mask = Cat(enables)
        m.d.comb += [
            ram.write_address.eq(row),
            ram.write_data.eq(client.data.replicate(copies)),
            ram.write_enable.eq(
                Cat(mask & (position == i).replicate(len(mask)) for i in range(copies)) if copies > 1 else mask
            ),
        ]

    def respond(self, m, rams, port, client, bank, position):
        """Selects bank and part of the word READ_LATENCY cycles after the request."""
        chosen, part = bank, position
        for stage in range(READ_LATENCY):
            next_chosen = Signal(range(self.banks), name=f"{port.name}_bank_{stage + 1}", reset_less=True)
            next_part = Signal(len(position), name=f"{port.name}_part_{stage + 1}", reset_less=True)
            m.d.sync += [next_chosen.eq(chosen), next_part.eq(part)]
            chosen, part = next_chosen, next_part
        word = Array(ram.read_data for ram in rams)[chosen] if self.banks > 1 else rams[0].read_data
        m.d.comb += client.data.eq(word.word_select(part, 8 * port.bytes) if len(part) else word)

    def serve_apart(self, m, rams, client):
        """The port with a clock of its own."""
        domain, bits = m.d[self.apart], 8 * self.part_bytes
        bank_bits = (self.banks - 1).bit_length()
        m.d.comb += client.ready.eq(1)
        passing, bank, words = client.address, bank_of(client.address, self.banks), []
        for part in range(self.parts):
            address = Signal.like(client.address, name=f"apart_address_{part}", reset_less=True)
            chosen = Signal(range(self.banks), name=f"apart_bank_{part}", reset_less=True)
            domain += [address.eq(passing), chosen.eq(bank)]
            passing, bank = address, chosen
            for stage in range(READ_LATENCY if self.banks > 1 else 0):
                following = Signal(range(self.banks), name=f"apart_bank_{part}_{stage}", reset_less=True)
                domain += following.eq(chosen)
                chosen = following
            found = Array(ram.tensor_data.word_select(part, bits) for ram in rams)[chosen]
            word = Signal(bits, name=f"apart_word_{part}", reset_less=True)
            domain += word.eq(found)
            words.append(word)
            m.d.comb += [ram.tensor_address[part].eq(address[bank_bits:]) for ram in rams]
        m.d.comb += client.data.eq(Cat(words))
