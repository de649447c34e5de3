"""The accelerator as a LiteX module. Copy this file into your project and call `add_accelerator` on your SoC."""

from litex.gen import LiteXModule
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import axi
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel
from migen import ClockSignal, Instance, ResetSignal, Signal

from gemmary.config import Config
from gemmary.registers import ADDRESS_BITS

TO_MEMORY = {"ar": "addr id len size burst cache prot valid", "aw": "addr id len size burst cache prot valid",
             "w": "data strb last valid", "r": "ready", "b": "ready"}  # fmt: skip
FROM_MEMORY = {"ar": "ready", "aw": "ready", "w": "ready", "r": "data id resp last valid", "b": "id resp valid"}
TO_REGISTERS = {"ar": "addr prot valid", "aw": "addr prot valid", "w": "data strb valid", "r": "ready", "b": "ready"}
FROM_REGISTERS = {"ar": "ready", "aw": "ready", "w": "ready", "r": "data resp valid", "b": "resp valid"}


class Gemmary(LiteXModule):
    """An instance of the Verilog module ``gemmary``, as `gemmary verilog` writes it.

    ``registers``: AXI4-Lite, 32 bits, a subordinate. ``memory``: AXI4, ``config.bus_bytes`` wide, a manager; address 0 of a
    program is the bus address ``origin``. ``ev.ended``: the interrupt, until INTERRUPT_STATUS of the accelerator is clear.
    """

    def __init__(self, config: Config, origin: int = 0):
        self.registers = registers = axi.AXILiteInterface(data_width=32, address_width=32)
        self.memory = memory = axi.AXIInterface(
            data_width=8 * config.bus_bytes, address_width=32, id_width=config.id_bits, bursting=True
        )
        self.ev = EventManager()
        self.ev.ended = EventSourceLevel(description="A program has ended, or was stopped by an error.")
        self.ev.finalize()

        ports = {"i_aclk": ClockSignal("sys"), "i_aresetn": ~ResetSignal("sys"), "o_irq": self.ev.ended.trigger}
        ports |= _ports("o_m_axi", memory, TO_MEMORY) | _ports("i_m_axi", memory, FROM_MEMORY)
        ports |= _ports("i_s_axil", registers, TO_REGISTERS) | _ports("o_s_axil", registers, FROM_REGISTERS)
        for channel in ("ar", "aw"):
            ports[f"i_s_axil_{channel}addr"] = getattr(registers, channel).addr[:ADDRESS_BITS]
            address = Signal(config.address_bits)
            ports[f"o_m_axi_{channel}addr"] = address
            self.comb += getattr(memory, channel).addr.eq(address + origin)
        self.specials += Instance("gemmary", **ports)


def _ports(prefix: str, bus, channels: dict[str, str]) -> dict:
    """Instance ports for fields of the channels of a bus."""
    return {
        f"{prefix}_{channel}{field}": getattr(getattr(bus, channel), field)
        for channel, fields in channels.items()
        for field in fields.split()
    }


def add_accelerator(soc, config: Config, origin: int, memory: str = "main_ram", name: str = "gemmary") -> None:
    """Adds the accelerator to ``soc``: registers at ``origin``, its memory manager on the SoC's bus, its interrupt to the CPU.

    Programs have their address 0 at the start of the region ``memory``. ``gemmary.v`` is to be added to the platform.
    ValueError if the widths of the buses differ: LiteX 2024.12 narrows AXI bursts without splitting those that become longer
    than 256 beats.
    """
    if 8 * config.bus_bytes != soc.bus.data_width:
        raise ValueError(
            f"the accelerator's bus has {8 * config.bus_bytes} bits, the SoC's {soc.bus.data_width}: "
            f"set bus_bytes = {soc.bus.data_width // 8} in the config"
        )
    module = Gemmary(config, soc.bus.regions[memory].origin)
    soc.add_module(name, module)
    soc.bus.add_slave(name, module.registers, SoCRegion(origin=origin, size=1 << ADDRESS_BITS, cached=False))
    soc.bus.add_master(name, module.memory)
    if soc.irq.enabled:
        soc.irq.add(name)
