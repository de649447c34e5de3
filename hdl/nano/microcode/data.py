"""Where the microcode keeps what: addresses in the data memory of the processor."""

from gemmary.isa import FORMATS, INSTRUCTION_BYTES, Opcode
from gemmary.registers import ADDRESS, SEMAPHORE_BASE

INSTRUCTION, NEXT = 0x00, 0x40
"""The instruction that is executed and the one that comes, in halfwords. Out.BANK exchanges them."""
INSTRUCTION_HALFWORDS = INSTRUCTION_BYTES // 2

REGISTERS = 0x80
"""The registers below SEMAPHORE_BASE as the host reads them, low halfword first; those that nobody reads are 0."""
SEMAPHORES = REGISTERS + SEMAPHORE_BASE // 2


def register(name: str) -> int:
    """The low halfword of a register."""
    assert ADDRESS[name] < SEMAPHORE_BASE, name
    return REGISTERS + ADDRESS[name] // 2


def field(opcode: Opcode, name: str) -> int:
    """The halfword of the instruction in which a field begins."""
    return INSTRUCTION + FORMATS[opcode][name].offset // 16


class _Room:
    def __init__(self, *ranges: range):
        self.free = [address for part in ranges for address in part]

    def take(self, halfwords: int = 1) -> int:
        first = self.free[0]
        assert self.free[:halfwords] == list(range(first, first + halfwords)), "no room for this in the data memory"
        del self.free[:halfwords]
        return first


# A soft reset clears all from SEMAPHORES to CLEARED.
_kept = _Room(range(SEMAPHORES + 16, 0x100))
FILLED = _kept.take()  # halfwords of the next instruction that are there
NEXT_OFFSET = _kept.take(2)  # of the next instruction, in bytes since the start
OFFSET = _kept.take(2)  # of this one
ERROR_OFFSET = _kept.take(2)
WAITED = _kept.take(2)  # cycles without progress
AWAITED = _kept.take()  # semaphore
# By engine: 0 tensor, 1 vector.
STATE = _kept.take(2)
OFFSET_LOW, OFFSET_HIGH = _kept.take(2), _kept.take(2)
RETIRED_LOW, RETIRED_HIGH = _kept.take(2), _kept.take(2)
CLEARED = RETIRED_HIGH + 2
ENGINE = _kept.take()
CAUSE = _kept.take()
SIGN = _kept.take()  # 0x8000

# Of the routines that answer the host and change semaphores.
MASK, OVERFLOWN = _kept.take(), _kept.take()
FLAGS, BUS_ADDRESS = _kept.take(), _kept.take()
LOW, HIGH = _kept.take(2), _kept.take(2)
"""Of a write: its mask and what it writes (two halfwords each). LOW also serves to add offsets."""

# From one instruction to the next: behind the halfwords of the two instructions.
_instruction = _Room(range(0x30, 0x40), range(0x70, 0x80))
COUNT = _instruction.take(5)  # iterations left, of this one included; outermost loop first
X, Y = _instruction.take(2), _instruction.take(2)  # coordinates, 32 bits
X_BASE, Y_BASE = _instruction.take(2), _instruction.take(2)
KIND = _instruction.take()
MODE = _instruction.take()
WEIGHT = RESULT = _instruction.take()
REDUCED_LOW, REDUCED_HIGH = _instruction.take(4), _instruction.take(4)
ELEMENT = _instruction.take(4)  # int8 operands, sign-extended
TERM = _instruction.take(4)  # 64 bits

_vector = _Room(range(REGISTERS + 0x24 // 2, REGISTERS + 0x40 // 2), range(_kept.free[0], 0x100))
BIAS, SCALE = _vector.take(2), _vector.take(2)  # SCALE: mantissa, and shift in the upper byte
ADDEND = _vector.take(4)  # 64 bits
RESIDUAL_SCALE, OPERAND = _vector.take(2), _vector.take(2)
SOURCE, RESIDUAL, PARAMETER = _vector.take(), _vector.take(), _vector.take()
CHANNEL, SCALE_ADDRESS, FIRST = _vector.take(), _vector.take(), _vector.take()
ZERO_POINT, CLIP_LOW, CLIP_HIGH, RESIDUAL_ZERO = (_vector.take() for _ in range(4))
