"""Lattice iCE40: its PLL, its multipliers, its tools."""

from fractions import Fraction

from amaranth import ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer

from gemmary.errors import InputError
from hdl.nano.multiplier import PairSignature

from .chip import Chip

# MHz, data sheet FPGA-DS-02008.
VCO = (533, 1066)
PHASE_DETECTOR = (10, 133)


def ice40up5k(package: str) -> Chip:
    return Chip(
        device=f"iCE40UP5K-{package}",
        # Without -dsp: that pass of Yosys 0.70 loses a product where two registered ones are added, and rewrites the
        # multiplier blocks that a design itself places.
        synthesis="synth_ice40 -device u -spram -abc9",
        router="nextpnr-ice40",
        route_options=("--up5k", f"--package={package}"),
        constraints="pcf",
        routed=("asc", "asc"),
        packer="icepack",
        pack_options=(),
        bitstream="bin",
        resources={
            "logic_cells": ("ICESTORM_LC",),
            "dsp": ("ICESTORM_DSP",),
            "bram": ("ICESTORM_RAM",),
            "spram": ("ICESTORM_SPRAM",),
        },
    )


def dividers(source: Fraction, wanted: Fraction) -> tuple[int, int, int]:
    """DIVR, DIVF and DIVQ for ``wanted`` MHz from ``source`` MHz exactly. InputError if there are none."""
    for reference in range(16):
        for output in range(1, 7):
            feedback = wanted * 2**output * (reference + 1) / source
            detector = source / (reference + 1)
            fits = feedback.denominator == 1 and feedback <= 128 and VCO[0] <= wanted * 2**output <= VCO[1]
            if fits and PHASE_DETECTOR[0] <= detector <= PHASE_DETECTOR[1]:
                return reference, int(feedback) - 1, output
    raise InputError(f"no divider of the iCE40 PLL makes {float(wanted):g} MHz of {float(source):g} MHz")


class Ice40Clock(Elaboratable):
    """Drives domain ``sync`` with ``wanted`` MHz from ``pad``, a clock pin of ``source`` MHz next to the PLL; in reset until
    the PLL has locked."""

    def __init__(self, pad, source: Fraction, wanted: Fraction):
        self.pad, self.source, self.dividers = pad, source, dividers(source, wanted)

    def elaborate(self, platform):
        m = Module()
        locked = Signal()
        reference, feedback, output = self.dividers
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(reference, 4),
            p_DIVF=Const(feedback, 7),
            p_DIVQ=Const(output, 3),
            p_FILTER_RANGE=Const(1, 3),
            i_PACKAGEPIN=self.pad,
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=ClockSignal(),
            o_LOCK=locked,
        )
        m.submodules.reset = ResetSynchronizer(~locked)
        return m


class Ice40MultiplierPair(wiring.Component):
    """`hdl.nano.multiplier.MultiplierPair` in one SB_MAC16, as two multipliers of 8 by 8 bits with the registers at its inputs
    and behind its products (iCE40 technology library, Lattice FPGA-TN-02129)."""

    def __init__(self):
        super().__init__(PairSignature())

    def elaborate(self, platform):
        m = Module()
        holds = ("AHOLD", "CHOLD", "DHOLD", "OHOLDTOP", "OHOLDBOT")
        resets = ("IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")
        adders = ("OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "CI", "ACCUMCI", "SIGNEXTIN")
        zeros = {f"i_{name}": Const(0) for name in (*holds, *resets, *adders)}
        m.submodules.mac = Instance(
            "SB_MAC16",
            p_A_REG=Const(1, 1),
            p_B_REG=Const(1, 1),
            p_TOP_8x8_MULT_REG=Const(1, 1),
            p_BOT_8x8_MULT_REG=Const(1, 1),
            p_TOPOUTPUT_SELECT=Const(2, 2),  # the product of the upper bytes
            p_BOTOUTPUT_SELECT=Const(2, 2),
            p_MODE_8x8=Const(1, 1),
            p_A_SIGNED=Const(1, 1),
            p_B_SIGNED=Const(1, 1),
            i_CLK=ClockSignal(),
            i_CE=Const(1),
            i_A=self.a.as_value(),
            i_B=self.w.as_value(),
            i_BHOLD=~self.load,
            i_C=Const(0, 16),
            i_D=Const(0, 16),
            o_O=self.p.as_value(),
            **zeros,
        )
        return m
