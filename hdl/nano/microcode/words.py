"""Short sequences that all parts of the microcode use."""

from ..instructions import INDEXED, Assembler, Out


def put(a: Assembler, value: int, *addresses: int) -> None:
    """data[address] = value."""
    a.constant(value)
    for address in addresses:
        a.st(address)


def move(a: Assembler, source: int, target: int, words: int = 1) -> None:
    for i in range(words):
        a.ld(source + i)
        a.st(target + i)


def output(a: Assembler, source: int, port: Out) -> None:
    a.ld(source)
    a.out(port)


def extended(a: Assembler, source: int, target: int) -> None:
    """data[target] (2 words) = the signed word at ``source``."""
    a.ld(source)
    a.st(target)
    sign(a)
    a.st(target + 1)


def extend_to(a: Assembler, source: int, target: int) -> None:
    """The same as `extended`, shorter; X is lost."""
    a.ld(source)
    a.ldxi(target)
    a.call("extend to X")


def routines(a: Assembler) -> None:
    a.label("extend to X")  # data[X] (2 words) = A, sign-extended
    a.st(INDEXED)
    sign(a)
    a.st(INDEXED | 1)
    a.ret()


def sign(a: Assembler) -> None:
    """A = −1 if A is negative, or else 0."""
    negative, end = a.unnamed(), a.unnamed()
    a.jn(negative)
    a.ldi(0)
    a.jmp(end)
    a.label(negative)
    a.ldi(-1)
    a.label(end)


def add_to(a: Assembler, target: int) -> None:
    """data[target] (2 words) += A, unsigned."""
    a.add(target)
    a.st(target)
    a.ldi(0)
    a.adc(target + 1)
    a.st(target + 1)


def low_byte(a: Assembler, source: int) -> None:
    a.ld(source)
    a.andi(0xFF)


def high_byte(a: Assembler, source: int) -> None:
    a.ld(source)
    a.swap()
    a.andi(0xFF)


def bit(a: Assembler, source: int, position: int) -> None:
    """A is 0 unless the bit of data[source] is set."""
    a.ld(source)
    if position >= 8:
        a.swap()
    a.andi(1 << position % 8)


def beyond(a: Assembler, address: int, words: int, label: str) -> None:
    """Jumps when data[address] is not below ``words``, a power of two of 2**8 to 2**16."""
    assert words & words - 1 == 0 and 1 << 8 <= words <= 1 << 16, words
    if words < 1 << 16:
        a.ld(address)
        a.swap()
        a.andi(0xFF & ~(words - 1 >> 8))
        a.jnz(label)


def outside(a: Assembler, coordinate: int, limit: int, label: str) -> None:
    """Jumps unless 0 <= data[coordinate] (32 bits) < data[limit]."""
    a.ld(coordinate + 1)
    a.jnz(label)
    a.ld(coordinate)
    a.sub(limit)
    a.jc(label)


def half(a: Assembler) -> None:
    """A = A / 2, unsigned."""
    a.clear()
    a.right()


def doubled(a: Assembler, times: int) -> None:
    """A = A · 2**times, which must fit."""
    a.clear()
    for _ in range(times):
        a.left()
