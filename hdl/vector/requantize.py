"""Bias and requantization: int32 sums to int32 or int8 results, exactly (docs/numerics.md, steps 3 to 8)."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gemmary import isa
from gemmary.config import Config

from .layouts import Parameter, delayed, settings_layout
from .multiply import Multiply

SETTINGS = {
    "result_dtype": 0,
    "residual": 0,
    "residual_zero_point": 0,
    "residual_mantissa": 1,
    "residual_shift": 1,
    "zero_point": 6,
    "low": 7,
    "high": 7,
}
"""The fields of the instruction that matter here, and in which stage: that many cycles after the input."""


class RequantizeLane(wiring.Component):
    """One lane of Requantize. ``fresh[k]`` and ``narrow[k]``: stage k holds new parameters, an element on its way to int8.

        stage 0      1          2            3         4        5          6          7         8
              i ─► total ──► products ──► product ──► sum ─► coarse ─► halves ─► moved ─► clipped
              residual ─► difference ─► product ─► aligned ─┘  (÷ 2**8c) (÷ 2**f)  (rounded, + zero point)

    A shift s is 8c + f with 1 <= f <= 8 (or c = f = 0). The coarse shift keeps 18 bits, saturated: beyond them the result is
    clipped whatever follows. The fine shift leaves one more bit, the half; whether anything below was cut off is kept as one bit
    (``sticky``, ``rest``), so that ties are known. No signal is wider than the 64 bits of the exact sum.
    """

    def __init__(self):
        super().__init__(
            {
                "valid": In(1),
                "narrow": In(8),
                "added": In(4),
                "fresh": In(5),
                "settings": In(settings_layout(SETTINGS)),
                "i": In(signed(32)),
                "parameter": In(Parameter),
                "residual": In(signed(8)),
                "total": Out(signed(32)),
                "o": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self.parameters(m)
        product = self.product(m)
        aligned = self.residual_path(m)
        total = Signal(signed(64), name="sum_4", reset_less=True)
        with m.If(self.narrow[3]):
            m.d.sync += total.eq(product + Mux(self.added[3], aligned, 0))
        rounded = self.round(m, total)
        self.clip(m, rounded)
        return m

    def register(self, m, enable, value, shape, name):
        """A pipeline register without reset."""
        following = Signal(shape, name=name, reset_less=True)
        with m.If(enable):
            m.d.sync += following.eq(value)
        return following

    def parameters(self, m):
        """Mantissa and shift, in the stages that use them."""
        fresh = self.fresh
        self.mantissa_1 = self.register(m, fresh[0], self.parameter.mantissa, 24, "mantissa_1")
        shift = self.register(m, fresh[0], self.parameter.shift, 6, "shift_1")
        distance = shift - self.settings.residual_shift
        self.left_2 = self.register(m, fresh[1], distance[:5], 5, "left_2")
        for stage in (1, 2):
            shift = self.register(m, fresh[stage], shift, 6, f"shift_{stage + 1}")
        less = Signal(6)
        m.d.comb += less.eq(shift - 1)
        some = shift.any()
        self.coarse_4 = self.register(m, fresh[3], Mux(some, less[3:], 0), 3, "coarse_4")
        fine = self.register(m, fresh[3], Mux(some, less[:3] + 1, 0), 4, "fine_4")
        self.fine_5 = self.register(m, fresh[4], fine, 4, "fine_5")

    def product(self, m):
        total = self.register(m, self.valid, self.i + self.parameter.bias, signed(32), "total_1")
        m.d.comb += self.total.eq(total)
        m.submodules.multiply = multiply = Multiply()
        m.d.comb += [multiply.a.eq(total), multiply.b.eq(self.mantissa_1), multiply.enable.eq(self.narrow[1:3])]
        return multiply.p

    def residual_path(self, m):
        settings = self.settings
        difference = self.register(
            m, self.added[0], self.residual - settings.residual_zero_point, signed(9), "difference_1"
        )
        product = self.register(m, self.added[1], difference * settings.residual_mantissa, signed(33), "residual_2")
        return self.register(m, self.added[2], product << self.left_2, signed(64), "residual_3")

    def round(self, m, total):
        """``total / 2**shift`` in halves, rounded down, and whether something is left; saturated to beyond what any zero
        point brings back."""
        negative, window = total[63], (total >> Cat(Const(0, 3), self.coarse_4))[:18].as_signed()
        # Whether a byte above the window differs from the sign, whether one below it is not 0.
        beyond = Cat(
            (total[low : min(low + 8, 64)] ^ negative.replicate(min(8, 64 - low))).any() & (self.coarse_4 <= byte)
            for byte, low in enumerate(range(17, 64, 8))
        ).any()
        below = Cat(total[8 * byte : 8 * byte + 8].any() & (self.coarse_4 > byte) for byte in range(7)).any()
        limit = Mux(negative, Const(-(1 << 17), signed(18)), Const((1 << 17) - 1, signed(18)))
        coarse = self.register(m, self.narrow[4], Mux(beyond, limit, window), signed(18), "coarse_5")
        sticky = self.register(m, self.narrow[4], below, 1, "sticky_5")

        mask = Const(0x7F, 7) >> (8 - self.fine_5)[:4]
        rest = self.register(m, self.narrow[5], sticky | (coarse[:7] & mask).any(), 1, "rest_6")
        shifted = Cat(Const(0, 1), coarse).as_signed() >> self.fine_5
        return self.register(m, self.narrow[5], shifted, signed(19), "halves_6"), rest

    def clip(self, m, rounded):
        settings, (halves, rest) = self.settings, rounded
        up = halves[0] & (rest | halves[1])
        moved = self.register(
            m, self.narrow[6], halves[1:].as_signed() + up + settings.zero_point, signed(19), "moved_7"
        )
        # min(max(moved, low), high), for low > high too.
        lower = Mux(settings.low > settings.high, settings.high, settings.low)
        clipped = Mux(moved < settings.low, lower, Mux(moved > settings.high, settings.high, moved))
        m.d.comb += self.o.eq(self.register(m, self.narrow[7], clipped, signed(8), "clipped_8"))


class Requantize(wiring.Component):
    """Bias, exact scaling, residual, rounding, zero point and clip, one lane group a cycle.

    ``i``, ``residual`` and ``parameter`` belong to the cycle of ``valid``; ``parameter`` keeps its value from a ``valid`` with
    ``fresh`` until the next one. An int32 result is ``wide``, WIDE_LATENCY = 1 cycle later, with ``wide_valid``; an int8
    result is ``o``, LATENCY = 8 cycles later, with ``o_valid``. Each field of ``settings`` has to hold the value that belongs to
    an element when that has been here for SETTINGS[field] cycles.
    """

    WIDE_LATENCY = 1
    LATENCY = 8

    def __init__(self, config: Config):
        self.config = config
        lanes = config.lanes
        wide, narrow = (data.ArrayLayout(signed(bits), lanes) for bits in (32, 8))
        super().__init__(
            {
                "valid": In(1),
                "fresh": In(1),
                "i": In(wide),
                "residual": In(narrow),
                "parameter": In(data.ArrayLayout(Parameter, lanes)),
                "settings": In(settings_layout(SETTINGS)),
                "wide_valid": Out(1),
                "wide": Out(wide),
                "o_valid": Out(1),
                "o": Out(narrow),
            }
        )

    def elaborate(self, platform):
        m = Module()
        is_wide = self.settings.result_dtype == isa.DType.INT32
        narrow = delayed(m, self.valid & ~is_wide, self.LATENCY, "narrow")
        wide = delayed(m, self.valid & is_wide, self.WIDE_LATENCY, "wide_in")
        added = delayed(m, self.valid & ~is_wide & self.settings.residual, 3, "added")
        fresh = delayed(m, self.fresh, 4, "fresh_in")
        m.d.comb += [self.o_valid.eq(narrow[-1]), self.wide_valid.eq(wide[-1])]
        for i in range(self.config.lanes):
            m.submodules[f"lane_{i}"] = lane = RequantizeLane()
            m.d.comb += [
                lane.valid.eq(self.valid),
                lane.narrow.eq(Cat(narrow[:-1])),
                lane.added.eq(Cat(added)),
                lane.fresh.eq(Cat(fresh)),
                lane.settings.eq(self.settings),
                lane.i.eq(self.i[i]),
                lane.parameter.eq(self.parameter[i]),
                lane.residual.eq(self.residual[i]),
                self.wide[i].eq(lane.total),
                self.o[i].eq(lane.o),
            ]
        return m
