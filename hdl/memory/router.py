"""Takes the granule ports of load and store to the memory that an access names."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import FORMATS, Opcode, Space

from ..interfaces import READ_LATENCY, OnchipReadPort, OnchipWritePort, ReadPort, WritePort, granules

READABLE = tuple(Space(code) for code in FORMATS[Opcode.STORE]["space"].allowed)


class Router(wiring.Component):
    """``write`` and ``read`` from load and store (or the host window); ``write_<space>`` and ``read_<space>`` to the memories.

    Combinational; read data READ_LATENCY cycles after an accepted request.
    """

    def __init__(self, config: Config):
        width = 8 * config.bus_bytes
        super().__init__(
            {"write": In(OnchipWritePort(config)), "read": In(OnchipReadPort(config))}
            | {f"write_{s.name.lower()}": Out(WritePort(granules(config, s), width)) for s in Space}
            | {f"read_{s.name.lower()}": Out(ReadPort(granules(config, s), width)) for s in READABLE}
        )

    def elaborate(self, platform):
        m = Module()
        with m.Switch(self.write.space):
            for space in Space:
                port = getattr(self, f"write_{space.name.lower()}")
                m.d.comb += [port.address.eq(self.write.address), port.data.eq(self.write.data), port.mask.eq(1)]
                with m.Case(space):
                    m.d.comb += [port.valid.eq(self.write.valid), self.write.ready.eq(port.ready)]
        with m.Switch(self.read.space):
            for space in READABLE:
                port = getattr(self, f"read_{space.name.lower()}")
                m.d.comb += port.address.eq(self.read.address)
                with m.Case(space):
                    m.d.comb += [port.valid.eq(self.read.valid), self.read.ready.eq(port.ready)]
        space = self.read.space
        for stage in range(READ_LATENCY):
            following = Signal(Space, name=f"space_{stage + 1}", reset_less=True)
            m.d.sync += following.eq(space)
            space = following
        with m.Switch(space):
            for code in READABLE:
                with m.Case(code):
                    m.d.comb += self.read.data.eq(getattr(self, f"read_{code.name.lower()}").data)
        return m
