"""Matmul instructions: the loops around the rows."""

from gemmary.config import Config
from gemmary.isa import FORMATS, Opcode

from ..instructions import INDEXED, Assembler, In, Mode, Out
from . import data
from .words import add_to, beyond, bit, extend_to, high_byte, low_byte, move, output, outside

LOOPS = FORMATS[Opcode.MATMUL].loops
OUTER = len(LOOPS) - 1
"""All loops but the innermost, whose iterations the rows are. In X, loop i is i + 1."""


def _field(name: str) -> int:
    return data.field(Opcode.MATMUL, name)


def matmul(a: Assembler, config: Config) -> None:
    _begin(a)
    _tile(a, config)
    _row(a)
    _next(a)


def _begin(a):
    a.label("matmul")
    # There are no line memories.
    bit(a, _field("window"), FORMATS[Opcode.MATMUL]["window"].offset % 16)
    a.jnz("address error")
    move(a, _field("count_n"), data.COUNT, OUTER)
    output(a, _field("activation_address"), Out.ACTIVATION_ADDRESS)
    output(a, _field("accumulator_address"), Out.ACCUMULATOR_ADDRESS)
    move(a, _field("weight_address"), data.WEIGHT)
    _inner_steps(a)
    output(a, _field("x_stride"), Out.X_STRIDE)
    output(a, _field("x_limit"), Out.X_LIMIT)
    extend_to(a, _field("x_start"), data.X)
    extend_to(a, _field("y_start"), data.Y_BASE)
    low_byte(a, _field("constant"))
    a.st(data.MODE)
    a.ld(_field("accumulator_step_x"))
    a.jnz("tile")
    a.ld(data.MODE)
    a.ldh(1 << Mode.SLOW - 8)
    a.st(data.MODE)


def _inner_steps(a):
    output(a, _field("activation_step_x"), Out.ACTIVATION_STEP)
    output(a, _field("accumulator_step_x"), Out.ACCUMULATOR_STEP)


def _tile(a, config):
    """The weights, and whether this is the first tile of its sums. Rows start long after the weights have been asked for."""
    a.label("tile")
    a.poll("answer")
    a.ld(data.WEIGHT)
    a.addi(config.rows - 1)
    a.jc("address error")
    a.st(data.KIND)
    beyond(a, data.KIND, config.weight_words, "address error")
    output(a, data.WEIGHT, Out.WEIGHTS)
    move(a, data.Y_BASE, data.Y, 2)
    a.ld(data.MODE)
    a.st(data.KIND)
    bit(a, _field("activation_dtype"), 12)  # accumulate
    a.jnz("row")
    for loop in ("k", "ky", "kx"):
        a.ld(data.COUNT + LOOPS.index(loop))
        a.sub(_field(f"count_{loop}"))
        a.jnz("row")
    a.ld(data.MODE)
    a.addi(1 << Mode.OVERWRITE)
    a.st(data.KIND)


def _row(a):
    a.label("row")
    outside(a, data.Y, _field("y_limit"), "row outside")
    a.ld(data.KIND)
    a.addi(1 << Mode.INSIDE)
    a.jmp("row mode")
    a.label("row outside")
    a.ld(data.KIND)
    a.label("row mode")
    a.out(Out.MODE)
    output(a, data.X, Out.X_LOW)
    # From 2**16 on it stays outside: any value from there on will do.
    a.ld(data.X + 1)
    a.jz("row x")
    a.jn("row x")
    a.ldi(1)
    a.label("row x")
    a.out(Out.X_HIGH)
    output(a, _field("count_x"), Out.START)
    a.label("rows")
    a.in_(In.STATUS)
    a.jn("rows")
    a.left()
    a.jn("address error")
    a.poll("answer")


def _next(a):
    """The next iteration of the outer loops."""
    a.ldxi(OUTER)
    a.label("next tile or row")
    a.ld(INDEXED | data.COUNT - 1)
    a.addi(-1)
    a.st(INDEXED | data.COUNT - 1)
    a.jnz("advance matmul")
    a.ld(INDEXED | _field("count_n") - 1)
    a.st(INDEXED | data.COUNT - 1)
    a.addx(-1)
    a.txa()
    a.jnz("next tile or row")
    a.jmp("complete")

    a.label("advance matmul")
    output(a, INDEXED | _field("activation_step_n") - 1, Out.ACTIVATION_STEP)
    output(a, INDEXED | _field("accumulator_step_n") - 1, Out.ACCUMULATOR_STEP)
    a.out(Out.ADVANCE)
    _inner_steps(a)
    a.txa()
    a.xori(LOOPS.index("y") + 1)
    a.jnz("advance tile")
    low_byte(a, _field("y_stride"))
    add_to(a, data.Y)
    a.jmp("row")

    a.label("advance tile")
    a.ld(INDEXED | _field("weight_step_n") - 1)
    a.add(data.WEIGHT)
    a.st(data.WEIGHT)
    a.txa()
    a.xori(LOOPS.index("kx") + 1)
    a.jnz("restart x")
    high_byte(a, _field("x_dilation"))
    add_to(a, data.X)
    a.jmp("tile")
    a.label("restart x")
    a.txa()
    a.xori(LOOPS.index("ky") + 1)
    a.st(data.KIND)
    extend_to(a, _field("x_start"), data.X)
    a.ld(data.KIND)
    a.jnz("restart y")
    high_byte(a, _field("y_dilation"))
    add_to(a, data.Y_BASE)
    a.jmp("tile")
    a.label("restart y")
    extend_to(a, _field("y_start"), data.Y_BASE)
    a.jmp("tile")
