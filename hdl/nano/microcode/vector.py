"""Vector instructions."""

from gemmary.config import Config
from gemmary.isa import FORMATS, Opcode, Space

from ..instructions import INDEXED, Assembler, In, Out
from . import data
from .requantize import requantize
from .words import add_to, beyond, bit, doubled, extend_to, extended, high_byte, low_byte, move, output, outside, put

LOOPS = ("n", "y", "x")
"""The loops over results. In X, loop i is i + 1."""
FLAGS = FORMATS[Opcode.VECTOR]["source_dtype"].offset // 16
CHANNELS = 4
CHANNEL_HALFWORDS = 4
_WIDE_DTYPE = 1  # the bit in which INT32 differs from INT8


def _field(name: str) -> int:
    return data.field(Opcode.VECTOR, name)


def flag(a: Assembler, name: str) -> None:
    """A is 0 unless the one-bit field is set, or the dtype INT32."""
    field = FORMATS[Opcode.VECTOR][name]
    bit(a, _field(name), field.offset % 16 + (_WIDE_DTYPE if field.kind == "dtype" else 0))


def vector(a: Assembler, config: Config) -> None:
    assert config.columns == config.rows == CHANNELS
    _begin(a)
    _window(a, config)
    _reduce(a)
    _next_element(a)
    _result(a, config)
    requantize(a)
    _write(a)
    _next_row(a)


def _begin(a):
    a.label("vector")
    move(a, _field("count_n"), data.COUNT, len(LOOPS))
    for name, address in (
        ("source", data.SOURCE),
        ("residual", data.RESIDUAL),
        ("result", data.RESULT),
        ("parameter", data.PARAMETER),
    ):
        move(a, _field(f"{name}_address"), address)
    extend_to(a, _field("x_start"), data.X_BASE)
    extend_to(a, _field("y_start"), data.Y_BASE)
    for name, address in (
        ("zero_point", data.ZERO_POINT),
        ("low", data.CLIP_LOW),
        ("high", data.CLIP_HIGH),
        ("residual_zero_point", data.RESIDUAL_ZERO),
    ):
        a.ld(_field(name))
        if FORMATS[Opcode.VECTOR][name].offset % 16:
            a.swap()
        a.extend()
        a.st(address)
    move(a, _field("bias"), data.BIAS, 2)
    move(a, _field("mantissa"), data.SCALE, 2)
    # The residual's mantissa begins in the upper byte of a halfword.
    high_byte(a, _field("residual_mantissa"))
    a.st(data.KIND)
    low_byte(a, _field("residual_mantissa") + 1)
    a.swap()
    a.or_(data.KIND)
    a.st(data.RESIDUAL_SCALE)
    high_byte(a, _field("residual_mantissa") + 1)
    a.st(data.RESIDUAL_SCALE + 1)


def _window(a, config):
    """The operands of one element of the window: KIND 1, in the memory, int32; or 0, in ELEMENT."""
    a.label("result row")
    a.poll("answer")
    move(a, _field("count_ky"), data.COUNT + len(LOOPS), 2)
    move(a, data.Y_BASE, data.Y, 2)
    move(a, data.X_BASE, data.X, 2)
    put(a, 1, data.FIRST)
    a.label("element")
    put(a, 0, data.KIND)
    outside(a, data.Y, _field("y_limit"), "element constant")
    outside(a, data.X, _field("x_limit"), "element constant")
    flag(a, "source_dtype")
    a.jnz("element wide")
    _read_bytes(a, data.SOURCE, config)
    a.jmp("reduce")
    a.label("element constant")
    a.ld(_field("constant"))
    a.extend()
    for i in range(CHANNELS):
        a.st(data.ELEMENT + i)
    a.jmp("reduce")
    a.label("element wide")
    put(a, 1, data.KIND)
    _address_wide(a, data.SOURCE, config)


def _address_wide(a, address, config):
    beyond(a, address, config.accumulator_words, "address error")
    put(a, Space.ACCUMULATOR)
    a.out(Out.SPACE)
    a.ld(address)
    doubled(a, 3)
    a.out(Out.ADDRESS)


def _address_narrow(a, address, config):
    beyond(a, address, config.vector_words, "address error")
    put(a, Space.ACTIVATION)
    a.out(Out.SPACE)
    a.ld(address)
    doubled(a, 1)
    a.out(Out.ADDRESS)


def _read_bytes(a, address, config):
    """ELEMENT = the row of int8 at ``address``."""
    _address_narrow(a, address, config)
    for i in range(CHANNELS):
        if i == 2:
            a.out(Out.NEXT)
        a.in_(In.MEMORY)
        if i % 2:
            a.swap()
        a.extend()
        a.st(data.ELEMENT + i)


def _reduce(a):
    a.label("reduce")
    a.ldxi(0)
    a.label("reduce channel")
    a.ld(data.KIND)
    a.jz("reduce narrow")
    for i in range(2):
        a.in_(In.MEMORY)
        a.st(data.OPERAND + i)
        a.out(Out.NEXT)
    a.jmp("combine")
    a.label("reduce narrow")
    extended(a, INDEXED | data.ELEMENT, data.OPERAND)
    a.label("combine")
    low, high = INDEXED | data.REDUCED_LOW, INDEXED | data.REDUCED_HIGH
    a.ld(data.FIRST)
    a.jnz("replace")
    bit(a, FLAGS, 8)  # reduction
    a.jnz("maximum")
    a.ld(data.OPERAND)
    a.add(low)
    a.st(low)
    a.ld(data.OPERAND + 1)
    a.adc(high)
    a.st(high)
    a.jmp("reduced channel")
    a.label("maximum")
    # Signed numbers compare like unsigned ones with the sign inverted.
    a.ld(high)
    a.xor(data.SIGN)
    a.st(data.TERM)
    a.ld(data.OPERAND)
    a.sub(low)
    a.ld(data.OPERAND + 1)
    a.xor(data.SIGN)
    a.sbc(data.TERM)
    a.jnc("reduced channel")
    a.label("replace")
    for i, target in enumerate((low, high)):
        a.ld(data.OPERAND + i)
        a.st(target)
    a.label("reduced channel")
    a.addx(1)
    a.txa()
    a.xori(CHANNELS)
    a.jnz("reduce channel")
    put(a, 0, data.FIRST)


def _next_element(a):
    ky, kx = data.COUNT + len(LOOPS), data.COUNT + len(LOOPS) + 1
    a.ld(kx)
    a.addi(-1)
    a.st(kx)
    a.jz("window row")
    a.ld(_field("source_step_kx"))
    a.add(data.SOURCE)
    a.st(data.SOURCE)
    high_byte(a, _field("x_dilation"))
    add_to(a, data.X)
    a.jmp("element")
    a.label("window row")
    move(a, _field("count_kx"), kx)
    a.ld(ky)
    a.addi(-1)
    a.st(ky)
    a.jz("result")
    a.ld(_field("source_step_ky"))
    a.add(data.SOURCE)
    a.st(data.SOURCE)
    move(a, data.X_BASE, data.X, 2)
    high_byte(a, _field("y_dilation"))
    add_to(a, data.Y)
    a.jmp("element")


def _result(a, config):
    """Bias, and for int8 results what follows it, channel by channel; results replace the reduced values."""
    a.label("result")
    flag(a, "result_dtype")
    a.jnz("no residual")
    flag(a, "residual")
    a.jz("no residual")
    _read_bytes(a, data.RESIDUAL, config)
    for i in range(CHANNELS):
        a.ld(data.ELEMENT + i)
        a.sub(data.RESIDUAL_ZERO)
        a.st(data.ELEMENT + i)
    a.label("no residual")
    put(a, 0, data.CHANNEL)
    flag(a, "per_channel")
    a.jz("channel")
    a.ld(data.PARAMETER)
    a.addi(-config.parameter_rows)
    a.jc("address error")
    a.ld(data.PARAMETER)
    doubled(a, (CHANNELS * CHANNEL_HALFWORDS).bit_length() - 1)
    a.st(data.SCALE_ADDRESS)

    a.label("channel")
    flag(a, "per_channel")
    a.jz("bias")
    put(a, Space.PARAMETER)
    a.out(Out.SPACE)
    output(a, data.SCALE_ADDRESS, Out.ADDRESS)
    a.addi(CHANNEL_HALFWORDS)
    a.st(data.SCALE_ADDRESS)
    for i, target in enumerate((data.BIAS, data.BIAS + 1, data.SCALE, data.SCALE + 1)):
        if i:
            a.out(Out.NEXT)
        a.in_(In.MEMORY)
        a.st(target)
    a.label("bias")
    a.ldx(data.CHANNEL)
    a.ld(INDEXED | data.REDUCED_LOW)
    a.add(data.BIAS)
    a.st(INDEXED | data.REDUCED_LOW)
    a.ld(INDEXED | data.REDUCED_HIGH)
    a.adc(data.BIAS + 1)
    a.st(INDEXED | data.REDUCED_HIGH)
    flag(a, "result_dtype")
    a.jnz("channel done")
    a.call("requantize")
    a.ldx(data.CHANNEL)
    a.st(INDEXED | data.REDUCED_LOW)
    a.label("channel done")
    a.ld(data.CHANNEL)
    a.addi(1)
    a.st(data.CHANNEL)
    a.xori(CHANNELS)
    a.jnz("channel")
    flag(a, "result_dtype")
    a.jnz("write wide")
    _address_narrow(a, data.RESULT, config)
    a.jmp("write narrow")
    a.label("write wide")
    _address_wide(a, data.RESULT, config)
    for i in range(CHANNELS):
        output(a, data.REDUCED_LOW + i, Out.WRITE)
        output(a, data.REDUCED_HIGH + i, Out.WRITE)
    a.jmp("next result")


def _write(a):
    a.label("write narrow")
    for i in range(0, CHANNELS, 2):
        low_byte(a, data.REDUCED_LOW + i)
        a.st(data.TERM)
        low_byte(a, data.REDUCED_LOW + i + 1)
        a.swap()
        a.or_(data.TERM)
        a.out(Out.WRITE)


def _next_row(a):
    a.label("next result")
    a.ldxi(len(LOOPS))
    a.label("next loop")
    a.ld(INDEXED | data.COUNT - 1)
    a.addi(-1)
    a.st(INDEXED | data.COUNT - 1)
    a.jnz("advance vector")
    a.ld(INDEXED | _field("count_n") - 1)
    a.st(INDEXED | data.COUNT - 1)
    a.addx(-1)
    a.txa()
    a.jnz("next loop")
    a.jmp("complete")

    a.label("advance vector")
    for name, address in (("source", data.SOURCE), ("residual", data.RESIDUAL), ("result", data.RESULT)):
        a.ld(INDEXED | _field(f"{name}_step_n") - 1)
        a.add(address)
        a.st(address)
    a.txa()
    a.xori(LOOPS.index("x") + 1)
    a.jnz("restart result x")
    low_byte(a, _field("x_stride"))
    add_to(a, data.X_BASE)
    a.jmp("result row")
    a.label("restart result x")
    a.txa()
    a.xori(LOOPS.index("y") + 1)
    a.st(data.KIND)
    extend_to(a, _field("x_start"), data.X_BASE)
    a.ld(data.KIND)
    a.jnz("restart result y")
    low_byte(a, _field("y_stride"))
    add_to(a, data.Y_BASE)
    a.jmp("result row")
    a.label("restart result y")
    extend_to(a, _field("y_start"), data.Y_BASE)
    a.ld(_field("parameter_step_n"))
    a.add(data.PARAMETER)
    a.st(data.PARAMETER)
    a.jmp("result row")
