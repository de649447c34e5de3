"""What every board holds: the accelerator, its memory and the host link. No vendor cells; one clock domain, beside that of a tensor engine with
a clock of its own."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from gemmary.config import Config
from gemmary.registers import WINDOW
from hdl.accelerator import accelerator_of
from hdl.interfaces import RegisterBus
from hdl.stream.queue import Queue

from .link.link import Link
from .ram import AxiRam

SELECT_BIT = WINDOW.bit_length() - 1


class Split(wiring.Component):
    """Accesses of ``bus`` with address bit 31 set go to ``high``, the others to ``low``; one at a time."""

    bus: In(RegisterBus())
    low: Out(RegisterBus())
    high: Out(RegisterBus())

    def elaborate(self, platform):
        m = Module()
        chosen = Signal()  # by the last request
        select = self.bus.request.payload.address[SELECT_BIT]
        for port, selected, answers in ((self.low, ~select, ~chosen), (self.high, select, chosen)):
            m.d.comb += [
                port.request.payload.eq(self.bus.request.payload),
                port.request.valid.eq(self.bus.request.valid & selected),
                port.response.ready.eq(self.bus.response.ready & answers),
            ]
        request, response = self.bus.request, self.bus.response
        m.d.comb += [
            request.ready.eq(Mux(select, self.high.request.ready, self.low.request.ready)),
            response.valid.eq(Mux(chosen, self.high.response.valid, self.low.response.valid)),
            response.payload.eq(Mux(chosen, self.high.response.payload, self.low.response.payload)),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += chosen.eq(select)
        return m


class System(wiring.Component):
    """An accelerator that a host reaches through ``rx`` and ``tx``, a bit every ``divisor`` cycles.

    With DMA there are ``memory_bytes`` of RAM on the accelerator's bus; the host finds them from WINDOW on, and the registers
    below. Without, WINDOW holds the on-chip memories. ``irq``: the interrupt. ``accelerator`` stands in for
    ``accelerator_of(config)``.
    """

    def __init__(
        self, config: Config, divisor: int, memory_bytes: int = 0, accelerator: wiring.Component | None = None
    ):
        self.config, self.divisor, self.memory_bytes = config, divisor, memory_bytes
        self.accelerator = accelerator or accelerator_of(config)
        super().__init__({"rx": In(1), "tx": Out(1, init=1), "irq": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = Link(self.divisor)
        m.submodules.accelerator = accelerator = self.accelerator
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx), self.irq.eq(accelerator.irq)]
        if not self.config.dma:
            connect(m, link.bus, accelerator.host)
            return m
        m.submodules.split = split = Split()
        m.submodules.memory = memory = AxiRam(self.config, self.memory_bytes)
        # A register on the way: no path leads from the bytes of a frame through the registers to the engines.
        m.submodules.requests = requests = Queue(link.bus.request.payload.shape(), 1)
        connect(m, link.bus.request, requests.i)
        connect(m, requests.o, split.bus.request)
        connect(m, link.bus.response, split.bus.response)
        connect(m, split.low, accelerator.host)
        connect(m, split.high, memory.host)
        connect(m, accelerator.axi, memory.axi)
        return m
