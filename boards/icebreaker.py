"""iCEBreaker with an iCE40UP5K: the host moves data into the on-chip memories, over the USB connector."""

from fractions import Fraction

from amaranth import ClockDomain, Elaboratable, Module
from amaranth.lib import io
from amaranth_boards.icebreaker import ICEBreakerPlatform

from gemmary.config import Config
from hdl.nano.accelerator import NanoAccelerator

from .board import Board
from .chips.ice40 import Ice40Clock, Ice40MultiplierPair, ice40up5k
from .system import System

OSCILLATOR_MHZ = Fraction(12)


class IceBreaker(Elaboratable):
    """LEDs: green receiving, red sending."""

    def __init__(self, board: Board, config: Config):
        self.board, self.config = board, config

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clock = Ice40Clock(platform.request("clk12", dir="-").io, OSCILLATOR_MHZ, self.board.clock_mhz)
        m.submodules.system = system = System(
            self.config,
            self.board.divisor,
            accelerator=NanoAccelerator(self.config, multiplier=Ice40MultiplierPair),
        )
        uart = platform.request("uart", dir={"rx": "-", "tx": "-"})
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [system.rx.eq(rx.i), tx.o.eq(system.tx)]
        for name, value in (("led_g", ~rx.i), ("led_r", ~system.tx)):
            m.submodules[name] = led = io.Buffer("o", platform.request(name, dir="-"))
            m.d.comb += led.o.eq(value)
        return m


BOARD = Board(
    name="icebreaker",
    chip=ice40up5k("sg48"),
    preset="nano",
    clock_mhz=Fraction(24),
    baud=3_000_000,
    memory_bytes=0,
    seed=1,
    platform=ICEBreakerPlatform,
    design=IceBreaker,
    loader="ice40_generic",
)
