"""Byte shuffles that load and store share."""

from amaranth import Cat, Const, Mux, Signal


def rotate_bytes(m, value, amount, name: str):
    """``value`` with byte i taken from byte i + ``amount`` (modulo its bytes, a power of two): a logarithmic shifter.

    Combinational, one level a bit of ``amount``, the largest step first.
    """
    for level in reversed(range(len(amount))):
        by = 8 << level
        rotated = Signal(len(value), name=f"{name}_{level}")
        m.d.comb += rotated.eq(Mux(amount[level], Cat(value[by:], value[:by]), value))
        value = rotated
    return value


def below(count, width: int):
    """A mask of ``width`` bits of which the lowest ``count`` are set (thermometer code)."""
    return ~(Const(-1, width) << count)[:width]


def choose_bytes(mask, one, other):
    """Byte i from ``one`` where bit i of ``mask`` is set, from ``other`` elsewhere."""
    return Cat(Mux(bit, one[8 * i : 8 * i + 8], other[8 * i : 8 * i + 8]) for i, bit in enumerate(mask))
