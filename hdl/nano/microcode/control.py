"""From reset to the execution of instructions: checks, semaphores, errors."""

from contextlib import contextmanager

from gemmary import registers
from gemmary.config import SEMAPHORE_MAX, Config
from gemmary.isa import ENGINE, FORMATS, MAX_COUNT, VERSION, Cause, Engine, Field, Opcode
from gemmary.registers import ADDRESS, REGISTERS, State

from ...control.layouts import FRONT
from ..instructions import INDEXED, Assembler, Out
from . import data
from .words import add_to, bit, doubled, high_byte, low_byte, move, put

OPCODES = (Opcode.MATMUL, Opcode.VECTOR)
_FIELDS = {r.name: {f.name: 1 << f.offset for f in r.fields} for r in REGISTERS}
STATUS, EVENT = _FIELDS["STATUS"], _FIELDS["INTERRUPT_STATUS"]
INSTRUCTION_CYCLES = 2
SEARCH, TURN = 8, 26
"""Instructions of the wait for semaphores: for each one passed over, and from the one found at 0 to the next search."""


def control(a: Assembler, config: Config) -> None:
    _reset(a, config)
    _idle(a)
    _check(a)
    _wait(a)
    _complete(a)
    _change_semaphores(a)
    _fail(a)


def _reset(a, config):
    a.label("reset")
    a.ldxi(data.REGISTERS)
    a.ldi(0)
    a.st(data.REGISTERS)
    a.label("clear all")
    a.ldi(0)
    a.st(INDEXED)
    a.addx(1)
    a.txa()
    a.jnz("clear all")
    for name, value in (registers.constants(config) | {"WATCHDOG_LIMIT": registers.WATCHDOG_LIMIT}).items():
        for i in range(2):
            if part := value >> 16 * i & 0xFFFF:
                put(a, part, data.register(name) + i)
    put(a, 0x8000, data.SIGN)

    a.label("soft reset")
    a.ldxi(data.SEMAPHORES)
    a.label("clear")
    a.ldi(0)
    a.st(INDEXED)
    a.addx(1)
    a.txa()
    a.addi(-data.CLEARED)
    a.jnz("clear")
    put(a, 0, data.register("INTERRUPT_STATUS"), data.register("ERROR_CAUSE"))
    a.out(Out.INTERRUPT)
    put(a, STATUS["quiet"], data.register("STATUS"))


def _idle(a):
    a.label("idle")
    a.poll("answer")
    a.ld(data.FILLED)
    a.xori(data.INSTRUCTION_HALFWORDS)
    a.jz("take")
    bit(a, data.register("STATUS"), 0)
    a.jz("idle")
    put(a, STATUS["done"] | STATUS["quiet"], data.register("STATUS"))
    a.ldi(EVENT["done"])
    a.call("raise interrupt")
    a.jmp("idle")

    a.label("raise interrupt")  # A: the event
    a.or_(data.register("INTERRUPT_STATUS"))
    a.st(data.register("INTERRUPT_STATUS"))
    a.label("drive interrupt")
    a.ld(data.register("INTERRUPT_STATUS"))
    a.and_(data.register("INTERRUPT_ENABLE"))
    a.jz("no interrupt")
    a.ldi(1)
    a.label("no interrupt")
    a.out(Out.INTERRUPT)
    a.ret()


def _check(a):
    """Everything that `isa.check` refuses, in the order of the causes."""
    a.label("take")
    a.out(Out.BANK)
    put(a, 0, data.FILLED, data.WAITED, data.WAITED + 1)
    put(a, STATUS["busy"] | STATUS["quiet"], data.register("STATUS"))
    move(a, data.NEXT_OFFSET, data.OFFSET, 2)
    a.ldi(2 * data.INSTRUCTION_HALFWORDS)
    add_to(a, data.NEXT_OFFSET)

    put(a, Cause.OPCODE, data.CAUSE)
    for opcode in OPCODES:
        low_byte(a, data.INSTRUCTION)
        a.xori(opcode)
        a.jz(f"check {opcode.name}")
    a.label("refuse")
    a.ldi(FRONT)
    a.jmp("fail")
    for opcode in OPCODES:
        a.label(f"check {opcode.name}")
        put(a, Cause.VERSION, data.CAUSE)
        high_byte(a, data.INSTRUCTION)
        a.xori(VERSION)
        a.jnz("refuse")
        _check_fields(a, opcode)
        put(a, OPCODES.index(opcode), data.ENGINE)
        if opcode != OPCODES[-1]:
            a.jmp("wait")


def _check_fields(a, opcode):
    fields = FORMATS[opcode].fields
    put(a, Cause.DTYPE, data.CAUSE)
    for field in fields:
        if field.kind == "dtype":
            _check_code(a, field)
    put(a, Cause.FIELD, data.CAUSE)
    zero: dict[int, int] = {}  # by halfword, the bits that must be 0
    for field in fields:
        if field.kind in ("code", "reserved"):
            free = len(field.allowed).bit_length() - 1 if field.kind == "code" else 0
            assert field.kind == "reserved" or field.allowed == tuple(range(1 << free)), field
            for position in range(field.offset + free, field.offset + field.width):
                zero[position // 16] = zero.get(position // 16, 0) | 1 << position % 16
    # The last ones are reserved as a whole.
    tail = next(
        i
        for i in range(data.INSTRUCTION_HALFWORDS)
        if all(zero.get(j) == 0xFFFF for j in range(i, data.INSTRUCTION_HALFWORDS))
    )
    with _over(a, tail, data.INSTRUCTION_HALFWORDS):
        a.ld(INDEXED | data.INSTRUCTION)
        a.jnz("refuse")
    for halfword, mask in zero.items():
        if halfword >= tail:
            continue
        a.ld(data.INSTRUCTION + halfword)
        if mask & 0xFF == 0:
            a.swap()
            mask >>= 8
        if mask < 0x100:
            a.andi(mask)
        else:
            assert mask == 0xFFFF, (opcode, halfword, hex(mask))
        a.jnz("refuse")
    put(a, Cause.COUNT, data.CAUSE)
    loops = FORMATS[opcode].loops
    first = data.field(opcode, f"count_{loops[0]}")
    assert data.field(opcode, f"count_{loops[-1]}") == first + len(loops) - 1
    with _over(a, first, first + len(loops)):
        a.ld(INDEXED)
        a.addi(-1)
        a.swap()
        a.andi(0xFF & ~(MAX_COUNT - 1 >> 8))
        a.jnz("refuse")


@contextmanager
def _over(a, first: int, end: int):
    """A loop with X from ``first`` up to ``end``."""
    a.ldxi(first)
    again = a.label(a.unnamed())
    yield
    a.addx(1)
    a.txa()
    a.xori(end)
    a.jnz(again)


def _check_code(a, field: Field):
    """One of the values of a field of at most 8 bits."""
    known = a.unnamed()
    for i, value in enumerate(field.allowed):
        shift = field.offset % 16
        a.ld(data.INSTRUCTION + field.offset // 16)
        if shift >= 8:
            a.swap()
        a.andi(((1 << field.width) - 1) << shift % 8)
        a.xori(value << shift % 8)
        if i < len(field.allowed) - 1:
            a.jz(known)
    a.jnz("refuse")
    a.label(known)


def _each_semaphore(a, label: str):
    """A loop over the semaphores of data.MASK; X is the one at hand. The body follows, then `_next_semaphore`."""
    a.ldxi(0)
    a.label(label)
    a.ld(data.MASK)
    a.jz(f"{label} end")
    a.clear()
    a.right()
    a.st(data.MASK)
    a.jnc(f"{label} next")


def _next_semaphore(a, label: str):
    a.label(f"{label} next")
    a.addx(1)
    a.jmp(label)
    a.label(f"{label} end")


def _wait(a):
    wait = data.field(Opcode.MATMUL, "wait")
    assert wait == data.field(Opcode.VECTOR, "wait")
    a.label("wait")
    a.ldx(data.ENGINE)
    for source, target in ((data.OFFSET, data.OFFSET_LOW), (data.OFFSET + 1, data.OFFSET_HIGH)):
        a.ld(source)
        a.st(INDEXED | target)

    start = len(a.code)
    a.label("wait again")
    move(a, wait, data.MASK)
    before = len(a.code)
    _each_semaphore(a, "blocked")
    a.ld(INDEXED | data.SEMAPHORES)
    a.jz("at zero")
    turn = len(a.code) - start
    _next_semaphore(a, "blocked")
    # A semaphore that is not waited for takes all of it but the two instructions that read its count.
    assert len(a.code) - before - 1 - 2 == SEARCH

    move(a, wait, data.MASK)
    _each_semaphore(a, "lower")
    a.ld(INDEXED | data.SEMAPHORES)
    a.addi(-1)
    a.st(INDEXED | data.SEMAPHORES)
    _next_semaphore(a, "lower")
    a.ldx(data.ENGINE)
    a.ldi(State.BUSY)
    a.st(INDEXED | data.STATE)
    a.ld(data.ENGINE)
    a.jz("matmul")
    a.jmp("vector")

    a.label("at zero")
    start = len(a.code)
    a.txa()
    a.st(data.AWAITED)
    a.ldx(data.ENGINE)
    a.ldi(State.WAIT_SEMAPHORE)
    a.st(INDEXED | data.STATE)
    a.poll("answer")
    # The cycles of this turn, but for a few where it waits for several semaphores: so the watchdog is late, never early.
    a.ld(data.AWAITED)
    doubled(a, (INSTRUCTION_CYCLES * SEARCH).bit_length() - 1)
    a.addi(INSTRUCTION_CYCLES * (turn + TURN))
    add_to(a, data.WAITED)
    limit = data.register("WATCHDOG_LIMIT")
    a.ld(limit)
    a.or_(limit + 1)
    a.jz("wait again")
    a.ld(data.WAITED)
    a.sub(limit)
    a.ld(data.WAITED + 1)
    a.sbc(limit + 1)
    a.jnc("wait again")
    assert len(a.code) - start == TURN
    put(a, Cause.WATCHDOG, data.CAUSE)
    a.jmp("fail engine")


def _complete(a):
    """Every result is in memory."""
    a.label("complete")
    a.ld(data.field(Opcode.MATMUL, "signal"))
    a.call("raise")
    a.jz("retire")
    put(a, Cause.SEMAPHORE_OVERFLOW, data.CAUSE)
    a.jmp("fail engine")
    a.label("retire")
    a.ldx(data.ENGINE)
    a.ldi(State.IDLE)
    a.st(INDEXED | data.STATE)
    a.ld(INDEXED | data.RETIRED_LOW)
    a.addi(1)
    a.st(INDEXED | data.RETIRED_LOW)
    a.jnc("idle")
    a.ld(INDEXED | data.RETIRED_HIGH)
    a.addi(1)
    a.st(INDEXED | data.RETIRED_HIGH)
    a.jmp("idle")


def _change_semaphores(a):
    a.label("raise")  # A: mask; afterwards A is 0 unless one would have passed its maximum
    a.st(data.MASK)
    put(a, 0, data.OVERFLOWN)
    _each_semaphore(a, "raised")
    a.ld(INDEXED | data.SEMAPHORES)
    a.xori(SEMAPHORE_MAX)
    a.jz("overflow")
    a.ld(INDEXED | data.SEMAPHORES)
    a.addi(1)
    a.st(INDEXED | data.SEMAPHORES)
    a.jmp("raised next")
    a.label("overflow")
    put(a, 1, data.OVERFLOWN)
    _next_semaphore(a, "raised")
    a.ld(data.OVERFLOWN)
    a.ret()

    a.label("take semaphores")  # A: mask
    a.st(data.MASK)
    _each_semaphore(a, "taken")
    a.ld(INDEXED | data.SEMAPHORES)
    a.jz("taken next")
    a.addi(-1)
    a.st(INDEXED | data.SEMAPHORES)
    _next_semaphore(a, "taken")
    a.ret()


def _fail(a):
    """The first error stops everything but the answers to the host."""
    a.label("address error")
    put(a, Cause.ADDRESS, data.CAUSE)
    a.label("fail engine")
    a.ld(data.ENGINE)
    a.addi(Engine.TENSOR)
    a.label("fail")  # A: engine
    a.swap()
    a.or_(data.CAUSE)
    a.st(data.register("ERROR_CAUSE"))
    move(a, data.OFFSET, data.ERROR_OFFSET, 2)
    a.label("stop")
    put(a, STATUS["error"] | STATUS["quiet"], data.register("STATUS"))
    a.ldi(EVENT["error"])
    a.call("raise interrupt")
    a.label("stopped")
    a.poll("answer")
    a.jmp("stopped")


assert [ENGINE[opcode] for opcode in OPCODES] == [Engine.TENSOR, Engine.VECTOR] and Engine.VECTOR == Engine.TENSOR + 1
assert ADDRESS["STATUS"] < registers.SEMAPHORE_BASE and STATUS["busy"] == 1
