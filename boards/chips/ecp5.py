"""Lattice ECP5: its PLL, its tools."""

from fractions import Fraction

from amaranth import ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib.cdc import ResetSynchronizer

from gemmary.errors import InputError

from .chip import Chip

# MHz, data sheet FPGA-DS-02012.
VCO = (400, 800)
PHASE_DETECTOR = (Fraction(25, 8), 400)


def ecp5(size: str, speed: str, package: str) -> Chip:
    """The LFE5U of ``size`` ("85F"), ``speed`` ("6") and ``package`` as nextpnr calls it."""
    return Chip(
        device=f"LFE5U-{size}-{speed}{package}",
        synthesis="synth_ecp5 -abc9",
        router="nextpnr-ecp5",
        route_options=(f"--{size[:-1]}k", f"--speed={speed}", f"--package={package}"),
        constraints="lpf",
        routed=("textcfg", "config"),
        packer="ecppack",
        pack_options=("--compress", "--freq=62.0", "--input"),
        bitstream="bit",
        resources={
            "trellis_comb": ("TRELLIS_COMB",),
            "ff": ("TRELLIS_FF",),
            "dsp": ("MULT18X18D",),
            "bram": ("DP16KD",),
        },
    )


def dividers(source: Fraction, wanted: Fraction) -> tuple[int, int, int]:
    """Of the reference, the feedback and the output, for ``wanted`` MHz from ``source`` MHz exactly, the VCO as near to the
    middle of its range as it can be. InputError if there are none."""
    found = [
        (abs(wanted * output - sum(VCO) / 2), reference, feedback, output)
        for reference in range(1, 129)
        if PHASE_DETECTOR[0] <= source / reference <= PHASE_DETECTOR[1]
        for feedback in range(1, 81)
        if source * feedback / reference == wanted
        for output in range(1, 129)
        if VCO[0] <= wanted * output <= VCO[1]
    ]
    if not found:
        raise InputError(f"no divider of the ECP5 PLL makes {float(wanted):g} MHz of {float(source):g} MHz")
    return min(found)[1:]


class Ecp5Clock(Elaboratable):
    """Drives domain ``sync`` with ``wanted`` MHz from ``pin``, a clock of ``source`` MHz; in reset until the PLL has locked."""

    def __init__(self, pin, source: Fraction, wanted: Fraction):
        self.pin, (self.reference, self.feedback, self.output) = pin, dividers(source, wanted)

    def elaborate(self, platform):
        m = Module()
        locked = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=self.reference,
            p_CLKFB_DIV=self.feedback,
            p_CLKOP_DIV=self.output,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=self.output - 1,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=self.pin,
            i_CLKFB=ClockSignal(),
            i_RST=Const(0),
            i_STDBY=Const(0),
            o_CLKOP=ClockSignal(),
            o_LOCK=locked,
        )
        m.submodules.reset = ResetSynchronizer(~locked)
        return m
