"""Byte shuffles that load and store share."""

from amaranth import Cat, Const, Mux, Signal

WORD = 32
"""Bits of the pieces in which wide masks are made."""


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


def byte_mask(m, count, size: int, name: str):
    """The mask of the lowest ``count`` of ``size`` bytes, 8 bits a byte, as a list of words of 32 bits.

    Masks in words keep the Verilated model fast; to synthesis the bits of a byte are one.
    """
    low, high = count[:2], count[2:]
    partial = Signal(WORD, name=f"{name}_partial")
    m.d.comb += partial.eq(Cat(Mux(low > byte, Const(0xFF, 8), 0) for byte in range(3)))
    words = []
    for index in range(size // 4):
        word = Signal(WORD, name=f"{name}_{index}")
        m.d.comb += word.eq(Mux(high > index, Const(-1, WORD), Mux(high == index, partial, 0)))
        words.append(word)
    return words


def choose_bytes(target, mask, one, other):
    """Assignments of ``target``: ``one`` where ``mask`` (words, as ``byte_mask`` gives them) is set, ``other`` elsewhere."""
    parts = [slice(WORD * i, WORD * i + WORD) for i in range(len(mask))]
    return [target[part].eq((one[part] & word) | (other[part] & ~word)) for part, word in zip(parts, mask)]
