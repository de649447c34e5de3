"""The RAM primitive: one Signature, so that block RAM, SPRAM and ASIC macros fit behind it."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

NO_CHECK = {"no_rw_check": 1}
"""Attribute of a memory where nobody relies on what a read gives in the cycle of a write to the same word. Without it Yosys
builds a register, a comparator and a multiplexer around every block RAM to give the old word."""


class RamSignature(wiring.Signature):
    """One read port and one write port with ``parts`` write enables; ``read_data`` 2 cycles after ``read_enable``.

    A read in the cycle of a write to the same word gives undefined data: clients never do it on a ``1rw`` RAM, and on a
    ``1r1w`` RAM they do not use the result.
    """

    def __init__(self, depth: int, width: int, parts: int = 1):
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(range(depth)),
                "read_data": Out(width),
                "write_enable": In(parts),
                "write_address": In(range(depth)),
                "write_data": In(width),
            }
        )


class Ram(wiring.Component):
    """The portable RAM: ``depth`` words of ``width`` bits, registered output (READ_LATENCY 2). Written in ``write_domain``.
    ``always``: it reads in every cycle, whatever ``read_enable``."""

    def __init__(self, depth: int, width: int, parts: int = 1, write_domain: str = "sync", always: bool = False):
        assert width % parts == 0
        self.depth, self.width, self.parts, self.write_domain, self.always = depth, width, parts, write_domain, always
        super().__init__(RamSignature(depth, width, parts))

    def elaborate(self, platform):
        m = Module()
        memory = Memory(shape=self.width, depth=self.depth, init=[], attrs=NO_CHECK)
        m.submodules["memory" if self.write_domain == "sync" else "shared"] = memory
        read = memory.read_port(domain="sync")
        granularity = self.width // self.parts if self.parts > 1 else None
        write = memory.write_port(domain=self.write_domain, granularity=granularity)
        output = Signal(self.width, reset_less=True)
        fetched = Signal()
        m.d.comb += [
            read.addr.eq(self.read_address),
            read.en.eq(self.read_enable | self.always),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
            self.read_data.eq(output),
        ]
        m.d.sync += fetched.eq(self.read_enable)
        with m.If(fetched | self.always):
            m.d.sync += output.eq(read.data)
        return m
