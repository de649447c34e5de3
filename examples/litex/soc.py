"""A LiteX SoC around the accelerator: VexRiscv, ROM, RAM, and a console that the testbench prints."""

from dataclasses import replace

from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
from litex.build.io import CRG
from litex.gen import LiteXModule
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect.csr import CSRStorage

from gemmary.config import preset

from .gemmary_litex import add_accelerator

CONFIG = replace(preset("small"), name="small-32", bus_bytes=4)
"""LiteX's bus has 32 bits unless told otherwise."""

RAM_BYTES = 32 << 10
REGISTERS = 0x9000_0000  # where VexRiscv caches nothing

IO = [
    ("clk", 0, Pins(1)),
    ("rst", 0, Pins(1)),
    ("console", 0, Subsignal("character", Pins(8)), Subsignal("valid", Pins(1))),
    ("exit", 0, Subsignal("status", Pins(8)), Subsignal("valid", Pins(1))),
]


class Outputs(LiteXModule):
    """CSRs that the testbench watches: characters to print, and a status to end with."""

    def __init__(self, platform):
        self.character = CSRStorage(8)
        self.status = CSRStorage(8)
        console, leave = platform.request("console"), platform.request("exit")
        self.comb += [console.character.eq(self.character.storage), leave.status.eq(self.status.storage)]
        self.sync += [console.valid.eq(self.character.re), leave.valid.eq(self.status.re)]


class SoC(SoCCore):
    """``ram``: the words of the main RAM when the simulation starts."""

    def __init__(self, ram: list[int]):
        platform = GenericPlatform("simulation", IO, name="soc")
        self.crg = CRG(platform.request("clk"), platform.request("rst"))
        super().__init__(
            platform, clk_freq=100_000_000, ident="Gemmary in LiteX",
            bus_interconnect="crossbar",  # the processor fetches from ROM while the accelerator has the RAM
            cpu_type="vexriscv", cpu_variant="minimal", with_uart=False, with_timer=False,
            integrated_rom_size=4 << 10, integrated_sram_size=4 << 10,
            integrated_main_ram_size=RAM_BYTES, integrated_main_ram_init=ram,
        )  # fmt: skip
        self.outputs = Outputs(platform)
        add_accelerator(self, CONFIG, REGISTERS)
