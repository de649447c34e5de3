"""Rows of a matrix product: addresses, bounds, and when each goes where."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gemmary.config import Config
from gemmary.isa import MAX_COUNT

from .instructions import WORD_BITS, Mode
from .instructions import Out as Port

SUMMED = 3
"""Cycles from the request of an activation word to the sum of its products, which is registered at their end."""
X_BITS = 18


class Rows(wiring.Component):
    """START sends as many rows through the array as ``data`` says, one a cycle (every second with Mode.SLOW); `Out` names the
    ports that set them up.

    The first row has t = the cycle after START. In cycle t ``request`` asks for ``activation``, or not where the row is the
    ``constant``: ``inside`` in t + 1 says which. ``summed`` in t + SUMMED: the row is read from the ``accumulator``; ``written`` in
    the cycle after it: it goes to ``target``. ``busy`` until the last is written, inclusive. Addresses wrap at 2**16. Afterwards
    they are those of the last row, x is undefined; ADVANCE adds the steps to the addresses.

    X_HIGH:X_LOW is x, signed, X_BITS wide; it advances by X_STRIDE, and from 2**16 on stays outside. ``failed``: an address was
    outside its memory (that of an activation counts where the row is inside). That row and all after it are not written, those
    under way with it may not be; then the addresses are undefined. START clears it.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "port": In(5),
                "write": In(1),
                "data": In(WORD_BITS),
                "request": Out(1),
                "activation": Out(range(config.activation_words)),
                "inside": Out(1),
                "constant": Out(signed(8)),
                "overwrite": Out(1),
                "summed": Out(1),
                "accumulator": Out(range(config.accumulator_words)),
                "written": Out(1),
                "target": Out(range(config.accumulator_words)),
                "busy": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        settings = {
            port: Signal(width, name=port.name.lower(), reset_less=True)
            for port, width in (
                (Port.ACTIVATION_STEP, 16),
                (Port.ACCUMULATOR_STEP, 16),
                (Port.X_STRIDE, 8),
                (Port.X_LIMIT, 16),
                (Port.MODE, 11),
            )
        }
        activation, accumulator = Signal(16, reset_less=True), Signal(16, reset_less=True)
        x, left, mode = Signal(X_BITS, reset_less=True), Signal(range(MAX_COUNT + 1)), settings[Port.MODE]
        valid, last = Signal(SUMMED), Signal(SUMMED, reset_less=True)
        issue, ending, pause = Signal(), Signal(), Signal()
        inside, beyond, summed, outside = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            issue.eq((left != 0) & ~pause & ~self.failed),
            ending.eq(left == 1),
            inside.eq(mode[Mode.INSIDE] & ~x[16:].any() & (x[:16] < settings[Port.X_LIMIT])),
            beyond.eq(inside & activation[len(self.activation) :].any()),
            self.request.eq(issue & inside),
            self.activation.eq(activation),
            self.constant.eq(mode),
            self.overwrite.eq(mode[Mode.OVERWRITE]),
            summed.eq(valid[-1] & ~self.failed),
            outside.eq(accumulator[len(self.accumulator) :].any()),
            self.summed.eq(summed),
            self.accumulator.eq(accumulator),
            self.busy.eq((left != 0) & ~self.failed | valid.any() | self.written),
        ]
        m.d.sync += [
            pause.eq(issue & mode[Mode.SLOW]),
            self.inside.eq(inside),
            valid.eq(Cat(issue & ~beyond, valid)),
            last.eq(Cat(ending, last)),
            self.written.eq(summed & ~outside),
            self.target.eq(accumulator),
        ]
        with m.If((issue & beyond) | (summed & outside)):
            m.d.sync += self.failed.eq(1)
        advance = Signal()
        m.d.comb += advance.eq(self.write & (self.port == Port.ADVANCE))
        with m.If(issue & ~ending | advance):
            m.d.sync += activation.eq(activation + settings[Port.ACTIVATION_STEP])
        with m.If(summed & ~last[-1] | advance):
            m.d.sync += accumulator.eq(accumulator + settings[Port.ACCUMULATOR_STEP])
        with m.If(issue):
            m.d.sync += left.eq(left - 1)
            # From 2**16 on it is outside whatever follows.
            with m.If(x[16:] != 1):
                m.d.sync += x.eq(x + settings[Port.X_STRIDE])
        with m.If(self.write):
            with m.Switch(self.port):
                for port, setting in settings.items():
                    with m.Case(port):
                        m.d.sync += setting.eq(self.data)
                with m.Case(Port.ACTIVATION_ADDRESS):
                    m.d.sync += activation.eq(self.data)
                with m.Case(Port.ACCUMULATOR_ADDRESS):
                    m.d.sync += accumulator.eq(self.data)
                with m.Case(Port.X_LOW):
                    m.d.sync += x[:16].eq(self.data)
                with m.Case(Port.X_HIGH):
                    m.d.sync += x[16:].eq(self.data)
                with m.Case(Port.START):
                    m.d.sync += [left.eq(self.data), self.failed.eq(0)]
        return m
