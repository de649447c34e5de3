"""Answers the host: registers, and windows into the memories."""

from gemmary.config import SEMAPHORES, Config
from gemmary.isa import Cause, Engine, Space
from gemmary.registers import (
    ADDRESS,
    COUNTER_BASE,
    COUNTERS,
    ENGINE_BASE,
    ENGINE_SIZE,
    REGISTERS,
    SEMAPHORE_BASE,
    State,
)

from ...control.layouts import FRONT
from ...interfaces import granules
from ...memory.router import READABLE
from ..instructions import INDEXED, Assembler, BusFlags, In, Out
from . import data
from .control import STATUS
from .words import bit, half, put


def host(a: Assembler, config: Config) -> None:
    _decode(a)
    _read(a, config)
    _engine(a)
    _write(a)
    _act(a)
    _window(a, config)


def _decode(a):
    """Which register it is, if any."""
    a.label("answer")
    put(a, 0, data.WAITED, data.WAITED + 1)
    a.in_(In.BUS_FLAGS)
    a.st(data.FLAGS)
    a.jn("window")
    bit(a, data.FLAGS, BusFlags.FAR)
    a.jnz("no register")
    a.in_(In.BUS_ADDRESS)
    a.andi(0x7FC)
    a.st(data.BUS_ADDRESS)
    a.addi(-SEMAPHORE_BASE)
    a.jnc("low register")
    # One region after the other: a carry says that the address is beyond it.
    end = SEMAPHORE_BASE
    for limit, label in (
        (SEMAPHORE_BASE + 4 * SEMAPHORES, "semaphore register"),
        (ENGINE_BASE, "no register"),
        (COUNTER_BASE, "engine register"),
        (COUNTER_BASE + 4 * len(COUNTERS), "answer 0"),
    ):
        a.addi(end - limit)
        a.jnc(label)
        end = limit
    a.label("no register")
    a.ldi(1)
    a.out(Out.RESPOND)
    a.ret()

    a.label("low register")
    holes = _holes()
    for first, last in holes:
        here = a.unnamed()
        a.ld(data.BUS_ADDRESS)
        a.addi(-first)
        a.jnc(here)
        a.addi(first - last - 4)
        a.jnc("no register")
        a.label(here)
    bit(a, data.FLAGS, BusFlags.WRITE)
    a.jnz("write register")


def _holes() -> list[tuple[int, int]]:
    """The first and last address of each gap between the registers below SEMAPHORE_BASE."""
    known = {r.address for r in REGISTERS}
    holes: list[list[int]] = []
    for address in range(0, SEMAPHORE_BASE, 4):
        if address in known:
            continue
        if holes and holes[-1][1] == address - 4:
            holes[-1][1] = address
        else:
            holes.append([address, address])
    return [tuple(hole) for hole in holes]


def _dispatch(a, labels: dict[int, str]):
    """Jumps to the label of the value of A, or goes on."""
    before = 0
    for value, label in labels.items():
        a.xori(before ^ value)
        a.jz(label)
        before = value


def _read(a, config):
    a.ld(data.BUS_ADDRESS)
    _dispatch(a, {ADDRESS["ERROR_ADDRESS_LOW"]: "error low", ADDRESS["ERROR_ADDRESS_HIGH"]: "error high"})
    a.ld(data.BUS_ADDRESS)
    a.xori(ADDRESS["INSTRUCTION_READY"])
    a.jz("instruction ready")
    a.ld(data.BUS_ADDRESS)
    half(a)
    a.tax()
    a.ld(INDEXED | data.REGISTERS)
    a.out(Out.RESPONSE_LOW)
    a.ld(INDEXED | data.REGISTERS + 1)
    a.label("answer high")
    a.out(Out.RESPONSE_HIGH)
    a.label("answered")
    a.ldi(0)
    a.out(Out.RESPOND)
    a.ret()
    a.label("answer 0")
    a.ldi(0)
    a.label("answer low")  # A, below 2**16
    a.out(Out.RESPONSE_LOW)
    a.ldi(0)
    a.jmp("answer high")

    a.label("instruction ready")
    a.ld(data.FILLED)
    a.jnz("answer 0")
    a.ldi(1)
    a.jmp("answer low")

    a.label("semaphore register")
    a.ld(data.BUS_ADDRESS)
    half(a)
    half(a)
    a.tax()
    a.ld(INDEXED | data.SEMAPHORES - SEMAPHORE_BASE // 4)
    a.jmp("answer low")

    for part in ("low", "high"):
        a.label(f"error {part}")
        for i in range(2):
            a.ld(data.ERROR_OFFSET + i)
            a.st(data.LOW + i)
        if part == "low":
            a.jmp("located low")
    # The external address of the instruction at offset LOW.
    program = data.register("PROGRAM_ADDRESS_LOW")
    a.label("located high")
    _carry(a, program)
    a.ldi(0)
    a.adc(program + 2)
    assert 32 <= config.address_bits <= 42
    a.andi((1 << config.address_bits - 32) - 1)
    a.jmp("answer low")
    a.label("located low")
    a.ld(data.LOW)
    a.add(program)
    a.out(Out.RESPONSE_LOW)
    a.ld(data.LOW + 1)
    a.adc(program + 1)
    a.jmp("answer high")


def _carry(a, program):
    """C = the carry of LOW + the lower 32 bits of ``program``."""
    a.ld(data.LOW)
    a.add(program)
    a.ld(data.LOW + 1)
    a.adc(program + 1)


def _engine(a):
    """Of tensor and vector engine; those of the others are 0, as is QUEUED: only one instruction is taken at a time."""
    prefix = f"{Engine.TENSOR.name}_"
    base = ENGINE_BASE + ENGINE_SIZE * Engine.TENSOR
    shown = {r.address - base: r.name.removeprefix(prefix) for r in REGISTERS if r.name.startswith(prefix)}
    offsets = {
        offset: "answer 0" if name == "QUEUED" else f"engine {name.lower().replace('_', ' ')}"
        for offset, name in sorted(shown.items())
    }
    a.label("engine register")
    a.ld(data.BUS_ADDRESS)
    a.andi(ENGINE_SIZE - 4)
    a.addi(-max(offsets) - 4)
    a.jc("no register")
    a.ldxi(0)
    a.ld(data.BUS_ADDRESS)
    a.andi(3 * ENGINE_SIZE)
    _dispatch(a, {Engine.TENSOR * ENGINE_SIZE: "built engine"})
    a.ldxi(1)
    a.xori((Engine.TENSOR ^ Engine.VECTOR) * ENGINE_SIZE)
    a.jnz("answer 0")
    a.label("built engine")
    a.ld(data.BUS_ADDRESS)
    a.andi(ENGINE_SIZE - 4)
    _dispatch(a, offsets)
    a.label("engine state")
    a.ld(INDEXED | data.STATE)
    a.jmp("answer low")
    a.label("engine retired")
    a.ld(INDEXED | data.RETIRED_LOW)
    a.out(Out.RESPONSE_LOW)
    a.ld(INDEXED | data.RETIRED_HIGH)
    a.jmp("answer high")
    for part in ("low", "high"):
        a.label(f"engine instruction {part}")
        a.ld(INDEXED | data.OFFSET_LOW)
        a.st(data.LOW)
        a.ld(INDEXED | data.OFFSET_HIGH)
        a.st(data.LOW + 1)
        a.jmp(f"located {part}")
    a.label("engine awaited")
    a.ld(INDEXED | data.STATE)
    a.xori(State.WAIT_SEMAPHORE)
    a.jnz("answer 0")
    a.ld(data.AWAITED)
    a.out(Out.RESPONSE_LOW)
    a.ld(data.SIGN)
    a.jmp("answer high")


def _write(a):
    """LOW = mask of the strobes, HIGH = the data under it."""
    a.label("write register")
    put(a, 0, data.LOW, data.LOW + 1)
    for i in range(4):
        skip = a.unnamed()
        bit(a, data.FLAGS, BusFlags.STROBE + i)
        a.jz(skip)
        if i % 2:
            a.ld(data.LOW + i // 2)
            a.ldh(0xFF)
        else:
            a.ldi(0xFF)
        a.st(data.LOW + i // 2)
        a.label(skip)
    for i, port in enumerate((In.BUS_LOW, In.BUS_HIGH)):
        a.in_(port)
        a.and_(data.LOW + i)
        a.st(data.HIGH + i)
    a.ld(data.BUS_ADDRESS)
    settings = [r.name for r in REGISTERS if r.access == "rw"]
    acts = {
        "CONTROL": "control",
        "INTERRUPT_STATUS": "clear interrupt",
        **dict.fromkeys(settings, "set"),
        "SEMAPHORE_SIGNAL": "signal",
        "SEMAPHORE_TAKE": "take written",
        "INSTRUCTION": "push",
    }
    _dispatch(a, {ADDRESS[name]: label for name, label in acts.items()})
    a.jmp("answered")

    a.label("set")
    a.ld(data.BUS_ADDRESS)
    half(a)
    a.tax()
    for i, port in enumerate((In.BUS_LOW, In.BUS_HIGH)):
        word = INDEXED | data.REGISTERS + i
        a.in_(port)
        a.xor(word)
        a.and_(data.LOW + i)
        a.xor(word)
        a.st(word)
    enable = data.register("INTERRUPT_ENABLE")
    a.ld(enable)
    a.andi(3)
    a.st(enable)
    put(a, 0, enable + 1)
    a.call("drive interrupt")
    a.jmp("answered")


def _act(a):
    """Registers whose writes act."""
    a.label("control")
    bit(a, data.HIGH, 1)
    a.jz("no soft reset")
    a.ldi(0)
    a.out(Out.RESPOND)
    a.jmp("soft reset")
    a.label("no soft reset")
    bit(a, data.HIGH, 0)
    a.jz("answered")
    a.ld(data.register("STATUS"))
    a.andi(STATUS["busy"] | STATUS["error"])
    a.jnz("answered")
    put(a, STATUS["quiet"], data.register("STATUS"))
    cleared = [data.NEXT_OFFSET + i for i in range(2)]
    cleared += [first + i for first in (data.RETIRED_LOW, data.RETIRED_HIGH) for i in range(2)]
    put(a, 0, *cleared)
    a.jmp("answered")

    a.label("clear interrupt")
    status = data.register("INTERRUPT_STATUS")
    a.ld(data.HIGH)
    a.and_(status)
    a.xor(status)
    a.st(status)
    a.call("drive interrupt")
    a.jmp("answered")

    a.label("signal")
    a.ld(data.HIGH)
    a.call("raise")
    a.jz("answered")
    bit(a, data.register("STATUS"), STATUS["error"].bit_length() - 1)
    a.jnz("answered")
    a.ldi(0)
    a.out(Out.RESPOND)
    put(a, FRONT << 8 | Cause.SEMAPHORE_OVERFLOW, data.register("ERROR_CAUSE"))
    put(a, 0, data.ERROR_OFFSET, data.ERROR_OFFSET + 1)
    a.jmp("stop")

    a.label("take written")
    a.ld(data.HIGH)
    a.call("take semaphores")
    a.jmp("answered")

    a.label("push")
    a.ld(data.FILLED)
    a.xori(data.INSTRUCTION_HALFWORDS)
    a.jz("no register")
    a.ldx(data.FILLED)
    for i in range(2):
        a.ld(data.HIGH + i)
        a.st(INDEXED | data.NEXT + i)
    a.ld(data.FILLED)
    a.addi(2)
    a.st(data.FILLED)
    a.jmp("answered")


def _window(a, config):
    a.label("window")
    bit(a, data.FLAGS, BusFlags.FAR)
    a.jnz("no register")
    a.ld(data.FLAGS)
    a.swap()
    a.andi(7)
    a.out(Out.SPACE)
    _dispatch(a, {space: f"window {space.name}" for space in Space})
    a.jmp("no register")
    for space in Space:
        size = config.bus_bytes * granules(config, space)
        assert 1 << 8 <= size <= 1 << 16 and size & size - 1 == 0
        a.label(f"window {space.name}")
        if size < 1 << 16:
            a.in_(In.BUS_ADDRESS)
            a.swap()
            a.andi(0xFF & ~(size - 1 >> 8))
            a.jnz("no register")
        if space not in READABLE:
            bit(a, data.FLAGS, BusFlags.WRITE)
            a.jz("no register")
        if space != max(Space):
            a.jmp("in window")
    a.label("in window")
    a.in_(In.BUS_ADDRESS)
    half(a)
    half(a)
    a.clear()
    a.left()
    a.out(Out.ADDRESS)
    bit(a, data.FLAGS, BusFlags.WRITE)
    a.jz("read window")
    a.ld(data.FLAGS)
    a.andi(0xF << BusFlags.STROBE)
    a.xori(0xF << BusFlags.STROBE)
    a.jnz("no register")
    for port in (In.BUS_LOW, In.BUS_HIGH):
        a.in_(port)
        a.out(Out.WRITE)
    a.jmp("answered")
    a.label("read window")
    a.in_(In.MEMORY)
    a.out(Out.RESPONSE_LOW)
    a.out(Out.NEXT)
    a.in_(In.MEMORY)
    a.jmp("answer high")
