"""Steps 5 to 9 of docs/numerics.md, for one channel."""

from gemmary.isa import FORMATS, Opcode, Space

from ..instructions import INDEXED, Assembler, In, Out, Status
from . import data
from .words import bit, doubled, half, high_byte, low_byte, output, sign

FLAGS = data.field(Opcode.VECTOR, "source_dtype")
BEYOND = 1000
"""What clips to the same as anything larger."""


def requantize(a: Assembler) -> None:
    """A routine: REDUCED of channel X in, A out (its lower byte counts). CHANNEL is X."""
    a.label("requantize")
    _scale(a)
    _residual(a)
    _shift(a)
    _round(a)
    _clip(a)
    _table(a)


def _flag(a, name):
    bit(a, FLAGS, FORMATS[Opcode.VECTOR][name].offset % 16)


def _push(a, *addresses):
    for address in addresses:
        output(a, address, Out.PUSH)


def _wait(a):
    """Until the product is there."""
    again = a.label(a.unnamed())
    a.in_(In.STATUS)
    for _ in range(15 - Status.PRODUCT_BUSY):
        a.left()
    a.jn(again)


def _multiply(a, mantissa):
    """The product of the factor and the 24 bits at ``mantissa``."""
    _push(a, mantissa)
    low_byte(a, mantissa + 1)
    a.out(Out.PUSH)
    a.ldi(0)
    a.out(Out.PUSH)
    a.out(Out.PUSH)
    a.out(Out.MULTIPLY)
    _wait(a)


def _save(a, target):
    """The product goes into the four words at ``target``."""
    for i in range(4):
        a.in_(In.PRODUCT)
        a.st(target + i)
        a.out(Out.PUSH)


def _scale(a):
    output(a, INDEXED | data.REDUCED_LOW, Out.FACTOR_LOW)
    output(a, INDEXED | data.REDUCED_HIGH, Out.FACTOR_HIGH)
    _multiply(a, data.SCALE)


def _residual(a):
    _flag(a, "residual")
    a.jz("shift")
    _save(a, data.TERM)
    a.ldx(data.CHANNEL)
    output(a, INDEXED | data.ELEMENT, Out.FACTOR_LOW)
    sign(a)
    a.out(Out.FACTOR_HIGH)
    _multiply(a, data.RESIDUAL_SCALE)
    _save(a, data.ADDEND)
    high_byte(a, data.SCALE + 1)
    a.st(data.OPERAND)
    low_byte(a, data.field(Opcode.VECTOR, "residual_shift"))
    a.st(data.OPERAND + 1)
    a.ld(data.OPERAND)
    a.sub(data.OPERAND + 1)
    a.andi(31)
    a.tax()
    a.label("align")
    a.txa()
    a.jz("aligned")
    a.clear()
    for i in range(4):
        a.ld(data.ADDEND + i)
        a.left()
        a.st(data.ADDEND + i)
    a.addx(-1)
    a.jmp("align")
    a.label("aligned")
    for i in range(4):
        a.ld(data.TERM + i)
        if i:
            a.adc(data.ADDEND + i)
        else:
            a.add(data.ADDEND)
        a.out(Out.PUSH)


def _shift(a):
    a.label("shift")
    a.ld(data.SCALE + 1)
    a.swap()
    a.andi(63)
    a.out(Out.SHIFT)
    _wait(a)
    _save(a, data.TERM)


def _round(a):
    """TERM, rounded to the nearest with ties to even; BEYOND for whatever is clipped alike."""
    a.ld(data.TERM + 3)
    a.jn("negative")
    a.or_(data.TERM + 2)
    a.or_(data.TERM + 1)
    a.jnz("large")
    a.ld(data.TERM)
    a.swap()
    a.andi(0xC0)
    a.jz("round")
    a.label("large")
    a.ldi(BEYOND)
    a.jmp("rounded")
    a.label("negative")
    a.and_(data.TERM + 2)
    a.and_(data.TERM + 1)
    a.addi(1)
    a.jnz("large negative")
    a.ld(data.TERM)
    a.swap()
    a.andi(0xC0)
    a.xori(0xC0)
    a.jz("round")
    a.label("large negative")
    a.ldi(-BEYOND)
    a.jmp("rounded")
    a.label("round")
    a.in_(In.STATUS)
    a.andi(1 << Status.HALF)
    a.jz("down")
    a.in_(In.STATUS)
    a.andi(1 << Status.STICKY)
    a.jnz("up")
    bit(a, data.TERM, 0)
    a.jz("down")
    a.label("up")
    a.ld(data.TERM)
    a.addi(1)
    a.jmp("rounded")
    a.label("down")
    a.ld(data.TERM)
    a.label("rounded")


def _clip(a):
    a.add(data.ZERO_POINT)
    a.st(data.TERM)
    a.sub(data.CLIP_LOW)
    a.jnn("not below")
    a.ld(data.CLIP_LOW)
    a.st(data.TERM)
    a.label("not below")
    a.ld(data.TERM)
    a.sub(data.CLIP_HIGH)
    a.jn("not above")
    a.ld(data.CLIP_HIGH)
    a.st(data.TERM)
    a.label("not above")


def _table(a):
    _flag(a, "table")
    a.jnz("look up")
    a.ld(data.TERM)
    a.ret()
    a.label("look up")
    a.ldi(Space.TABLE)
    a.out(Out.SPACE)
    a.ld(data.TERM)
    a.addi(128)
    a.andi(0xFF)
    a.st(data.TERM)
    half(a)
    a.st(data.TERM + 1)
    _flag(a, "table_index")
    offset = FORMATS[Opcode.VECTOR]["table_index"].offset % 8
    doubled(a, 7 - offset)
    a.or_(data.TERM + 1)
    a.out(Out.ADDRESS)
    bit(a, data.TERM, 0)
    a.jnz("odd entry")
    a.in_(In.MEMORY)
    a.ret()
    a.label("odd entry")
    a.in_(In.MEMORY)
    a.swap()
    a.ret()
