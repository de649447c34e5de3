"""ULX3S with an ECP5 85F: block RAM as external memory, host link on the USB connector US1."""

from fractions import Fraction
from functools import partial

from amaranth import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from gemmary.config import Config
from hdl.accelerator import Accelerator, accelerator_of

from .board import Board
from .chips.ecp5 import BLOCKS, Ecp5Clock, PlacedDotProducts, dividers, ecp5
from .chips.ecp5_pairs import FastDotProduct, PlacedPairs, fits
from .system import System
from .ulx3s_floorplan import place

OSCILLATOR_MHZ = Fraction(25)
HEARTBEAT_BITS = 26
HARD_TERMS = 6
"""Products of weights in multipliers: what a pair array of 16x16 leaves of them, and still 1.8 MACs a multiplier."""


def multipliers(config: Config):
    """What makes the multipliers of the array, in their places; None if they do not fit there."""
    cells = config.rows // config.dot
    if config.multiplier == "pair":
        return PlacedPairs(cells, config.columns, HARD_TERMS) if fits(config) else FastDotProduct
    return PlacedDotProducts(cells, config.columns) if config.dma and cells * config.columns <= BLOCKS else None


class Ulx3s(Elaboratable):
    """LEDs: 0 heartbeat, 1 receiving, 2 sending, 3 interrupt."""

    def __init__(self, board: Board, config: Config):
        self.board, self.config = board, config

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.oscillator = oscillator = io.Buffer("i", platform.request("clk25", dir="-"))
        two_clocks = self.board.compute_mhz is not None
        if two_clocks:
            m.domains.fast = ClockDomain()
        m.submodules.clock = Ecp5Clock(oscillator.i, OSCILLATOR_MHZ, self.board.clock_mhz, self.board.compute_mhz)
        config, multiplier = self.config, multipliers(self.config)
        accelerator = Accelerator(config, multiplier, two_clocks) if multiplier else accelerator_of(config, two_clocks)
        m.submodules.system = system = System(
            config, self.board.divisor, self.board.memory_bytes, accelerator=accelerator
        )
        uart = platform.request("uart", dir={"rx": "-", "tx": "-", "rts": "-", "dtr": "-"})
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        heartbeat = Signal(HEARTBEAT_BITS)
        m.d.sync += heartbeat.eq(heartbeat + 1)
        m.d.comb += [system.rx.eq(rx.i), tx.o.eq(system.tx)]
        for index, value in enumerate((heartbeat[-1], ~rx.i, ~system.tx, system.irq)):
            led = io.Buffer("o", platform.request("led", index, dir="-"))
            m.submodules[f"led_{index}"] = led
            m.d.comb += led.o.eq(value)
        return m


BOARD = Board(
    name="ulx3s-85f",
    chip=ecp5("85F", "6", "CABGA381"),
    preset="ulx3s-85f",
    clock_mhz=Fraction(30),
    baud=3_000_000,
    memory_bytes=64 << 10,
    seed=1,
    platform=ULX3S_85F_Platform,
    design=Ulx3s,
    loader="ulx3s",
    finish=place,
    pll=partial(dividers, OSCILLATOR_MHZ),
    compute_clocks={"ulx3s-pair": Fraction(120), "ulx3s-mixed": Fraction(120)},
)
