"""A RAM between two clocks."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ram import NO_CHECK, RamSignature


class DualRam(wiring.Component):
    """A ``1rw`` RAM in ``sync``, with one more port to read it in ``domain``: two true ports of a block RAM.

    ``tensor_data`` 2 cycles of ``domain`` after ``tensor_address``; each part has an address of its own. A word that is written while the other side
    reads it is undefined there.
    """

    def __init__(self, depth: int, width: int, parts: int, domain: str):
        assert width % parts == 0
        self.depth, self.width, self.parts, self.domain = depth, width, parts, domain
        members = dict(RamSignature(depth, width, parts).members)
        super().__init__(members | {"tensor_address": In(range(depth)).array(parts), "tensor_data": Out(width)})

    def elaborate(self, platform):
        m = Module()
        writes = self.write_enable.any()
        address = Signal(range(self.depth))
        fetched = Signal()
        m.d.comb += address.eq(Mux(writes, self.write_address, self.read_address))
        m.d.sync += fetched.eq(self.read_enable)
        bits = self.width // self.parts
        for part in range(self.parts):  # a memory each: a port of a block RAM writes all of its word, or none
            memory = Memory(shape=bits, depth=self.depth, init=[], attrs=NO_CHECK)
            m.submodules[f"shared_{part}"] = memory
            write, read, other = memory.write_port(), memory.read_port(), memory.read_port(domain=self.domain)
            output, tensor_output = Signal(bits, reset_less=True), Signal(bits, reset_less=True)
            m.d.comb += [
                write.addr.eq(address),
                write.en.eq(self.write_enable[part]),
                write.data.eq(self.write_data.word_select(part, bits)),
                read.addr.eq(address),
                # Enabled for writes too, which is what one port of a block RAM can do.
                read.en.eq(self.read_enable | self.write_enable[part]),
                self.read_data.word_select(part, bits).eq(output),
                other.addr.eq(self.tensor_address[part]),
                other.en.eq(1),
                self.tensor_data.word_select(part, bits).eq(tensor_output),
            ]
            m.d[self.domain] += tensor_output.eq(other.data)
            with m.If(fetched):
                m.d.sync += output.eq(read.data)
        return m
