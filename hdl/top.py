"""The accelerator with flat ports, as AXI tools want them: what ``gemmary verilog`` writes and what is simulated."""

from amaranth import ClockDomain, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import Flow, In, Out, connect

from gemmary.config import Config
from gemmary.registers import ADDRESS_BITS

from .host.axi_lite import AxiLiteBridge
from .interfaces import AxiLiteSignature, AxiSignature


def register_address_bits(config: Config) -> int:
    """Width of register addresses: 32 without DMA, where the on-chip memories are windows of the register bus."""
    return ADDRESS_BITS if config.dma else 32


def port_groups(config: Config, two_clocks: bool = False) -> dict[str, str]:
    """What the ports of ``Top(config, two_clocks=two_clocks)`` are: a sentence for each of their prefixes."""
    second = (
        "clock of the tensor engine: any phase to aclk, any frequency not below it; in reset as long as aresetn is low"
    )
    groups = {
        "aclk": "clock; the buses and irq belong to its rising edge",
        **({"compute_aclk": second} if two_clocks else {}),
        "aresetn": "reset, active low: asserted at any time, released inside with the clock",
        "irq": "interrupt, active high, level: stays until the register INTERRUPT_STATUS is cleared or masked",
        "s_axil_*": f"registers: AXI4-Lite subordinate, 32 bits of data, {register_address_bits(config)} of address",
    }
    if config.dma:
        groups["m_axi_*"] = (
            f"memory: AXI4 manager, {8 * config.bus_bytes} bits of data, {config.address_bits} of address, "
            f"{config.id_bits} of ID; INCR bursts of full beats, never across 4 KiB"
        )
    return groups


def _channels(signature: wiring.Signature, flow: Flow):
    """Yields ``(name, flow, payload layout)`` for each stream of a bus signature that is used with ``flow``."""
    for name, member in signature.members.items():
        channel_flow = member.flow if flow == Out else member.flow.flip()
        yield name, channel_flow, member.signature.members["payload"].shape


def _flat_ports(prefix: str, signature: wiring.Signature, flow: Flow) -> dict:
    ports = {}
    for name, channel_flow, layout in _channels(signature, flow):
        ports |= {f"{prefix}_{name}{key}": channel_flow(field.width) for key, field in layout}
        ports |= {f"{prefix}_{name}valid": channel_flow(1), f"{prefix}_{name}ready": channel_flow.flip()(1)}
    return ports


def _buses(config: Config) -> dict:
    """By member of the accelerator: prefix, signature, flow."""
    buses = {"host": ("s_axil", AxiLiteSignature(register_address_bits(config)), In)}
    return buses | ({"axi": ("m_axi", AxiSignature(config), Out)} if config.dma else {})


def ports(config: Config, two_clocks: bool = False) -> dict:
    """The ports of ``Top(config, two_clocks=two_clocks)`` by name."""
    flat = {"aclk": In(1), **({"compute_aclk": In(1)} if two_clocks else {}), "aresetn": In(1), "irq": Out(1)}
    for prefix, signature, flow in _buses(config).values():
        flat |= _flat_ports(prefix, signature, flow)
    return flat


class Top(wiring.Component):
    """Ports: ``aclk``; ``aresetn``, asserted asynchronously and released synchronously, two edges later; ``irq``; ``s_axil_*``, the
    registers as AXI4-Lite; ``m_axi_*``, external memory as AXI4 (only with ``config.dma``). A manager may use ``s_axil_*`` from
    the first cycle without ``aresetn`` on: nothing is taken before the reset has ended inside.

    With ``two_clocks`` the accelerator has them, and the second one is ``compute_aclk``. ``accelerator`` stands in for the real one, with the same Signature: ``axi``, ``host`` and ``irq``.
    """

    def __init__(self, config: Config, accelerator: wiring.Component | None = None, two_clocks: bool = False):
        self.config, self.two_clocks = config, two_clocks
        self._accelerator = accelerator
        self._buses = _buses(config)
        super().__init__(ports(config, two_clocks))

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = sync = ClockDomain()
        m.d.comb += sync.clk.eq(self.aclk)
        m.submodules.reset = ResetSynchronizer(~self.aresetn, domain="sync")
        if self.two_clocks:
            m.domains.fast = fast = ClockDomain()
            m.d.comb += fast.clk.eq(self.compute_aclk)
            m.submodules.compute_reset = ResetSynchronizer(ResetSignal("sync"), domain="fast")

        if self._accelerator is None:
            from .accelerator import accelerator_of

            self._accelerator = accelerator_of(self.config, self.two_clocks)
        m.submodules.accelerator = accelerator = self._accelerator
        m.submodules.bridge = bridge = AxiLiteBridge(register_address_bits(self.config))
        connect(m, bridge.bus, accelerator.host)
        m.d.comb += self.irq.eq(accelerator.irq)
        inner_buses = {"host": bridge.axi, "axi": getattr(accelerator, "axi", None)}
        for member, (prefix, signature, flow) in self._buses.items():
            for name, channel_flow, layout in _channels(signature, flow):
                stream = getattr(inner_buses[member], name)
                pairs = [(f"{name}{key}", stream.payload[key], channel_flow) for key, _ in layout]
                pairs += [
                    (f"{name}valid", stream.valid, channel_flow),
                    (f"{name}ready", stream.ready, channel_flow.flip()),
                ]
                for port, inner, port_flow in pairs:
                    outer = getattr(self, f"{prefix}_{port}")
                    if port.endswith("ready") and port_flow == Out:
                        inner = inner & ~ResetSignal()  # what registers in reset take is lost
                    m.d.comb += outer.eq(inner) if port_flow == Out else inner.eq(outer)
        return m
