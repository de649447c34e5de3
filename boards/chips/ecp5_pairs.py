"""The multipliers of a pair array on an LFE5U-85F."""

from amaranth import Module, Signal
from amaranth.lib import wiring

from gemmary.config import Config
from hdl.array.multiplier import DotSignature
from hdl.array.pair_cell import SUM_BITS

from .ecp5 import BLOCK_MULTIPLIERS, DSP_ROWS, Ecp5DotProduct
from .ecp5_floorplan import BLOCK_COLUMNS
from .ecp5_soft import SoftDotProduct

BLOCK = len(BLOCK_MULTIPLIERS)


class FastDotProduct(Ecp5DotProduct):
    """Ecp5DotProduct for more than 200 MHz."""

    LANDING = 1
    latency = Ecp5DotProduct.latency + LANDING


class MixedDotProduct(wiring.Component):
    """`hdl.array.multiplier.DotProduct` of 8 products: 4 with the multipliers of ``block``, 4 in look-up tables, for more than 100 MHz.
    Its latency is FastDotProduct's, which the weights' terms have."""

    latency = Ecp5DotProduct.latency + 1

    def __init__(self, block: tuple[int, int], bits: int = 8):
        self.block, self.bits = block, bits
        super().__init__(DotSignature(2 * BLOCK, bits))

    def elaborate(self, platform):
        m = Module()
        m.submodules.hard = hard = Ecp5DotProduct(BLOCK, self.block, self.bits)
        m.submodules.soft = soft = SoftDotProduct(BLOCK, self.bits, hard.latency)
        for i in range(BLOCK):
            for half, part in enumerate((hard, soft)):
                m.d.comb += [part.a[i].eq(self.a[half * BLOCK + i]), part.w[i].eq(self.w[half * BLOCK + i])]
        total = Signal(self.p.shape(), reset_less=True)
        m.d.sync += total.eq(hard.p + soft.p)
        m.d.comb += self.p.eq(total)
        return m


class SoftProduct(wiring.Component):
    """`hdl.array.multiplier.DotProduct` of length 1 in look-up tables: a row for each bit of ``w``, three levels of adders."""

    latency = FastDotProduct.latency

    def __init__(self):
        super().__init__(DotSignature(1))

    def elaborate(self, platform):
        m = Module()

        def stage(value, name):
            register = Signal(value.shape(), name=name, reset_less=True)
            m.d.sync += register.eq(value)
            return register

        a = self.a[0].as_unsigned()
        rows = [stage((a & bit.replicate(8)).as_signed(), f"row_{i}") for i, bit in enumerate(self.w[0])]
        for level in range(3):
            pairs = list(zip(rows[::2], (row << (1 << level) for row in rows[1::2])))
            sums = [low + high for low, high in pairs]
            if level == 0:
                sums[-1] = pairs[-1][0] - pairs[-1][1]  # the sign bit of w
            rows = [stage(total, f"sum_{level}_{i}") for i, total in enumerate(sums)]
        product = rows[0][:16].as_signed()
        for spare in range(self.latency - 4):
            product = stage(product, f"product_{spare}")
        m.d.comb += self.p.eq(product)
        return m


def places(rows: int, columns: int) -> list[list[tuple[int, int]]]:
    """The block of each of ``rows`` x ``columns`` cells of four multipliers, by row and column: its column in the chip and its
    row of multipliers.

    A column of the array lies in a column of blocks as long as there are any; then the way goes back along the blocks that
    are left, so that whatever is one behind the other in the array is at most two blocks apart, or the rows of the array.
    """
    result = [[(x, r) for x in BLOCK_COLUMNS[:columns]] for r in range(rows)]
    left = [(x, row) for i, row in enumerate(range(rows, len(DSP_ROWS))) for x in BLOCK_COLUMNS[:: (1, -1)[i % 2 == 0]]]
    assert columns <= len(BLOCK_COLUMNS) + len(left) // rows, "more cells than blocks"
    for c in range(columns - len(BLOCK_COLUMNS)):
        for r in range(rows):
            result[r].append(left[c * rows + r])
    return result


def fits(config: Config) -> bool:
    """Whether PlacedPairs can make the multipliers of the array of ``config``."""
    rows, columns = config.rows // config.dot, config.columns + 1
    more = (len(DSP_ROWS) - rows) * len(BLOCK_COLUMNS) // rows
    return config.dot in (2 * BLOCK, 4 * BLOCK) and rows <= len(DSP_ROWS) and columns <= len(BLOCK_COLUMNS) + more


class PlacedPairs:
    """Makes the multipliers of a PairArray with ``rows`` x ``columns`` cells of 8 or 16 rows: those of the cells, row by row, and of
    the side column in a block each, the side column first, and in look-up tables what does not fit there; ``hard`` of those of the weights anywhere,
    the others in look-up tables.
    """

    latency = FastDotProduct.latency

    def __init__(self, rows: int, columns: int, hard: int = 0):
        self.hard = hard
        blocks = places(rows, columns + 1)
        self.sides = iter([row[0] for row in blocks])
        self.cells = iter([block for row in blocks for block in row[1:]])

    def __call__(self, length: int, bits: int = 8):
        if length == 1:
            self.hard -= 1
            return FastDotProduct(1) if self.hard >= 0 else SoftProduct()
        block = next(self.cells if bits == SUM_BITS else self.sides)
        return MixedDotProduct(block, bits) if length > BLOCK else FastDotProduct(length, block, bits)
