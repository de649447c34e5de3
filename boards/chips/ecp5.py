"""Lattice ECP5: its PLL, its multipliers, its tools."""

from fractions import Fraction

from amaranth import Cat, ClockSignal, Const, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer

from gemmary.errors import InputError
from hdl.array.multiplier import DotSignature

from .chip import Chip
from .ecp5_carries import trim_carries
from .ecp5_floorplan import BLOCK_COLUMNS
from .ecp5_globals import promote_resets
from .ecp5_operands import absorb_operands
from .ecp5_rams import simplify_write_modes
from .ecp5_registers import absorb_output_registers
from .netlist import top_module

# On a design that fills the block RAMs: a fifth less wire than heap, and a router that resolves the congestion.
PLACE_AND_ROUTE = ("--placer=static", "--router=router2")
ROUTE_MARGIN = 10
"""Tiles around the pins of a net."""

# MHz, data sheet FPGA-DS-02012.
VCO = (400, 800)
PHASE_DETECTOR = (Fraction(25, 8), 400)


def ecp5(size: str, speed: str, package: str) -> Chip:
    """The LFE5U of ``size`` ("85F"), ``speed`` ("6") and ``package`` as nextpnr calls it."""
    return Chip(
        device=f"LFE5U-{size}-{speed}{package}",
        # Fields of structures are called like bits, which abc9 of Yosys 0.70 can take them for. With 20 ns (wires do not count)
        # nothing has to be mapped larger to be fast.
        synthesis="rename -hide w:*[*; scratchpad -set abc9.D 20000; synth_ecp5 -abc9",
        router="nextpnr-ecp5",
        route_options=(f"--{size[:-1]}k", f"--speed={speed}", f"--package={package}", *PLACE_AND_ROUTE),
        constraints="lpf",
        routed=("textcfg", "config"),
        packer="ecppack",
        pack_options=("--compress", "--freq=62.0"),
        bitstream="bit",
        resources={
            "trellis_comb": ("TRELLIS_COMB",),
            "ff": ("TRELLIS_FF",),
            "dsp": ("MULT18X18D",),
            "bram": ("DP16KD",),
        },
        finish=finish,
        # Routes wires that are too slow again. Where that never ends the router gives up and says nothing of the clock it could have had.
        fast_options=("--tmg-ripup",),
    )


def finish(netlist: dict) -> None:
    """Improves block RAMs, adders, chains of carries and resets, and lets the router look further around a net than its options allow: in crowded
    places the way out is more than 3 tiles long."""
    absorb_output_registers(netlist)
    simplify_write_modes(netlist)
    absorb_operands(netlist)
    trim_carries(netlist)
    promote_resets(netlist)
    top_module(netlist)["settings"] = {f"router2/bbMargin/{axis}": f"{ROUTE_MARGIN:032b}" for axis in "xy"}


def dividers(source: Fraction, wanted: Fraction, second: Fraction | None = None) -> tuple[int, int, int]:
    """Of the reference, the feedback and the output, for ``wanted`` MHz from ``source`` MHz exactly, the VCO as near to the
    middle of its range as it can be, and a multiple of ``second`` MHz. InputError if there are none."""
    found = [
        (abs(wanted * output - sum(VCO) / 2), reference, feedback, output)
        for reference in range(1, 129)
        if PHASE_DETECTOR[0] <= source / reference <= PHASE_DETECTOR[1]
        for feedback in range(1, 81)
        if source * feedback / reference == wanted
        for output in range(1, 129)
        if VCO[0] <= wanted * output <= VCO[1]
        if second is None or (wanted * output / second).denominator == 1
    ]
    if not found:
        both = f"{float(wanted):g} MHz" if second is None else f"{float(wanted):g} and {float(second):g} MHz"
        raise InputError(f"no divider of the ECP5 PLL makes {both} of {float(source):g} MHz")
    return min(found)[1:]


class Ecp5Clock(Elaboratable):
    """Drives domain ``sync`` with ``wanted`` MHz from ``pin``, a clock of ``source`` MHz; in reset until the PLL has locked. So is
    domain ``fast`` with ``compute`` MHz, if that is given, and for as long as ``sync``."""

    def __init__(self, pin, source: Fraction, wanted: Fraction, compute: Fraction | None = None):
        self.pin, (self.reference, self.feedback, self.output) = pin, dividers(source, wanted, compute)
        self.second = int(wanted * self.output / compute) if compute else 0

    def elaborate(self, platform):
        m = Module()
        locked = Signal()
        second = {}
        if self.second:
            second = {"p_CLKOS_DIV": self.second, "p_CLKOS_ENABLE": "ENABLED", "p_CLKOS_CPHASE": self.second - 1}
            second["o_CLKOS"] = ClockSignal("fast")
            m.submodules.compute_reset = ResetSynchronizer(ResetSignal(), domain="fast")
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
            **second,
        )
        m.submodules.reset = ResetSynchronizer(~locked)
        return m


OPERAND_BITS, PRODUCT_BITS = 18, 36

DSP_ROWS = (10, 34, 58)
BLOCK_MULTIPLIERS = ((0, 0), (1, 1), (4, 4), (5, 5))
"""Of an LFE5U-85F: its rows of multipliers, and (column, number) of each in its block of four."""
ARRAY_COLUMNS = tuple(x for i, x in enumerate(BLOCK_COLUMNS) if i not in (3, 9))
"""The blocks of the array. The others are for the requantizer's multipliers, which so lie among what they work with."""
BLOCKS = len(DSP_ROWS) * len(ARRAY_COLUMNS)


class Ecp5DotProduct(wiring.Component):
    """`hdl.array.multiplier.DotProduct` with MULT18X18D, all their registers in use, and an adder tree with one a level.

    Operands lie in the upper bits, above zeros, and products in the upper bits too: no sign has to be carried to the other
    ten inputs, which would cost more routes than everything else. With ``block``, its column in the chip and its row of
    multipliers, its multipliers are that one's.
    """

    LANDING = 0
    """Registers between a multiplier and the adders: wires out of the blocks are long ones."""
    latency = 3 + LANDING + 2

    def __init__(self, length: int, block: tuple[int, int] | None = None, bits: int = 8):
        assert length <= 4, "two levels of adders"
        self.length, self.block = length, block
        super().__init__(DotSignature(length, bits))

    def elaborate(self, platform):
        m = Module()
        terms = [self._product(m, i) for i in range(self.length)]
        for level in range(2):
            sums = []
            for i in range(0, len(terms), 2):
                pair = terms[i] + terms[i + 1] if i + 1 < len(terms) else terms[i]
                total = Signal(pair.shape(), name=f"sum_{level}_{i // 2}", reset_less=True)
                m.d.sync += total.eq(pair)
                sums.append(total)
            terms = sums
        m.d.comb += self.p.eq(terms[0])
        return m

    def _product(self, m, i):
        wires = {}
        for name, operand in (("A", self.a[i]), ("B", self.w[i])):
            aligned = Cat(Const(0, OPERAND_BITS - len(operand)), operand)
            wires |= {f"i_{name}{bit}": aligned[bit] for bit in range(OPERAND_BITS)}
            wires[f"i_SIGNED{name}"] = Const(1, 1)
        result = Signal(PRODUCT_BITS, name=f"product_{i}")
        wires |= {f"o_P{bit}": result[bit] for bit in range(PRODUCT_BITS)}
        for register in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"):
            wires |= {f"p_REG_{register}_CLK": "CLK0", f"p_REG_{register}_CE": "CE0", f"p_REG_{register}_RST": "RST0"}
        if self.block is not None:
            column, row = self.block
            offset, number = BLOCK_MULTIPLIERS[i]
            wires["a_BEL"] = f"X{column + offset}/Y{DSP_ROWS[row]}/MULT18_{number}"
        m.submodules[f"multiplier_{i}"] = Instance(
            "MULT18X18D", i_CLK0=ClockSignal(), i_CE0=Const(1, 1), i_RST0=Const(0, 1), **wires
        )
        exact = len(self.a[i]) + len(self.w[i])
        product = result[PRODUCT_BITS - exact :].as_signed()
        for landing in range(self.LANDING):
            register = Signal(product.shape(), name=f"landing_{landing}_{i}", reset_less=True)
            m.d.sync += register.eq(product)
            product = register
        return product


class PlacedDotProducts:
    """Makes the Ecp5DotProducts of an array of ``rows`` x ``columns`` cells, in the order row by row, each in a block of its own:
    a column of cells lies together, neighbouring columns side by side."""

    latency = Ecp5DotProduct.latency

    def __init__(self, rows: int, columns: int):
        self.rows, self.columns, self.made = rows, columns, 0
        assert rows * columns <= BLOCKS, "more cells than blocks"

    def __call__(self, length: int) -> Ecp5DotProduct:
        row, column = divmod(self.made, self.columns)
        self.made += 1
        block_column, block_row = divmod(column * self.rows + row, len(DSP_ROWS))
        return Ecp5DotProduct(length, (ARRAY_COLUMNS[block_column], block_row))
