"""The RAM in the place of external memory, the signals of its bus by their usual names."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from boards.ram import AxiRam
from gemmary.config import Config
from hdl.interfaces import AxiSignature, RegisterBus

CHANNELS = {"aw": In, "w": In, "b": Out, "ar": In, "r": Out}


class FlatRam(wiring.Component):
    """``host``, and ``s_axi_awaddr`` and so on."""

    def __init__(self, config: Config, size: int):
        self.config, self.size = config, size
        bus = AxiSignature(config).create()
        ports = {"host": In(RegisterBus())}
        for name, flow in CHANNELS.items():
            back = {Out: In, In: Out}[flow]
            for field, layout in getattr(bus, name).payload.shape():
                ports[f"s_axi_{name}{field}"] = flow(layout.shape)
            ports |= {f"s_axi_{name}valid": flow(1), f"s_axi_{name}ready": back(1)}
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        m.submodules.ram = ram = AxiRam(self.config, self.size)
        connect(m, flipped(self.host), ram.host)
        for name, flow in CHANNELS.items():
            stream = getattr(ram.axi, name)
            pairs = [
                (getattr(self, f"s_axi_{name}{field}"), stream.payload[field]) for field, _ in stream.payload.shape()
            ]
            pairs.append((getattr(self, f"s_axi_{name}valid"), stream.valid))
            m.d.comb += [inner.eq(port) if flow is In else port.eq(inner) for port, inner in pairs]
            ready = getattr(self, f"s_axi_{name}ready")
            m.d.comb += ready.eq(stream.ready) if flow is In else stream.ready.eq(ready)
        return m
