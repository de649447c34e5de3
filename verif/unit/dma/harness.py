"""Load and store engine with the AXI manager behind them, and the signals of its bus by their usual names."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from gemmary.config import Config
from gemmary.isa import Opcode
from hdl.dma.axi import AxiManager
from hdl.dma.load import LoadEngine
from hdl.dma.store import StoreEngine
from hdl.interfaces import AxiSignature, EngineSignature, OnchipReadPort, OnchipWritePort

CHANNELS = {"aw": Out, "w": Out, "b": In, "ar": Out, "r": In}


class Dma(wiring.Component):
    """``load`` and ``store`` are the engines, ``write`` and ``read`` their on-chip ports; ``m_axi_awaddr`` and so on."""

    def __init__(self, config: Config):
        self.config = config
        bus = AxiSignature(config).create()
        ports = {}
        for name, flow in CHANNELS.items():
            fields = {field: layout.shape for field, layout in getattr(bus, name).payload.shape()}
            back = {Out: In, In: Out}[flow]
            ports |= {f"m_axi_{name}{field}": flow(shape) for field, shape in (fields | {"valid": 1}).items()}
            ports |= {f"m_axi_{name}ready": back(1)}
        super().__init__(
            ports
            | {
                "load": Out(EngineSignature(Opcode.LOAD)),
                "store": Out(EngineSignature(Opcode.STORE)),
                "write": Out(OnchipWritePort(config)),
                "read": Out(OnchipReadPort(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.manager = manager = AxiManager(self.config)
        m.submodules.load_engine = load = LoadEngine(self.config)
        m.submodules.store_engine = store = StoreEngine(self.config)
        connect(m, flipped(self.load), load.engine)
        connect(m, flipped(self.store), store.engine)
        connect(m, flipped(self.write), load.onchip)
        connect(m, flipped(self.read), store.onchip)
        connect(m, load.bus, manager.load)
        connect(m, store.bus, manager.store)
        for name, flow in CHANNELS.items():
            stream = getattr(manager.axi, name)
            valid, ready = (getattr(self, f"m_axi_{name}{part}") for part in ("valid", "ready"))
            for field, _ in stream.payload.shape():
                port = getattr(self, f"m_axi_{name}{field}")
                m.d.comb += port.eq(stream.payload[field]) if flow is Out else stream.payload[field].eq(port)
            m.d.comb += valid.eq(stream.valid) if flow is Out else stream.valid.eq(valid)
            m.d.comb += stream.ready.eq(ready) if flow is Out else ready.eq(stream.ready)
        return m
