"""What the processor of `nano` executes: operations, ports, and an assembler.

A word of microcode is an operation (5 bits) and an operand (11 bits): a constant, an address of microcode, a port, or an
address of data (8 bits, plus X with bit 8).
"""

from enum import IntEnum

WORD_BITS, OPERAND_BITS, DATA_BITS = 16, 11, 8
INDEXED = 1 << DATA_BITS


class Op(IntEnum):
    """A is the accumulator, X the index (8 bits), C the carry; M the addressed word of data, k the operand as a constant.

    k is unsigned unless said otherwise; what X or a byte takes of a word is its lower byte. C stays where it is not named.
    """

    LD = 0  # A = M
    ST = 1  # M = A
    ADD = 2  # C, A = A + M
    ADC = 3  # C, A = A + M + C
    SUB = 4  # C, A = A − M; C: no borrow
    SBC = 5  # C, A = A − M − ~C
    AND = 6
    OR = 7
    XOR = 8
    LDX = 9  # X = M
    LDI = 10  # A = k, sign-extended
    ADDI = 11  # C, A = A + k, sign-extended
    ANDI = 12  # A = A & k
    XORI = 13  # A = A ^ k
    LDH = 14  # upper byte of A = k
    LDXI = 15  # X = k
    ADDX = 16  # X = X + k
    UNARY = 17  # A = Unary(k) of A
    IN = 18  # A = port k
    OUT = 19  # port k = A
    JMP = 20
    JZ = 21  # A = 0
    JNZ = 22
    JN = 23  # A < 0
    JNN = 24
    JC = 25
    JNC = 26
    CALL = 27
    RET = 28
    POLL = 29  # CALL if the host waits for an answer


class Unary(IntEnum):
    """Operations on A alone; a rotation goes through the carry."""

    RIGHT = 0  # A = C:A[15:1], C = A[0]
    LEFT = 1  # A = A[14:0]:C, C = A[15]
    SWAP = 2  # the bytes of A
    EXTEND = 3  # A = sign-extended lower byte
    TAX = 4  # X = A
    TXA = 5  # A = X, upper byte 0
    CLEAR = 6  # C = 0


class In(IntEnum):
    """What A can read."""

    STATUS = 0
    BUS_ADDRESS = 1
    BUS_FLAGS = 2
    BUS_LOW = 3
    BUS_HIGH = 4
    MEMORY = 5
    PRODUCT = 6


class Out(IntEnum):
    """What A can be written to; some act at once."""

    RESPONSE_LOW = 0
    RESPONSE_HIGH = 1
    RESPOND = 2  # answers the host; bit 0: error
    INTERRUPT = 3  # bit 0: level of irq
    BANK = 4  # exchanges the two instructions in data memory, whatever A is
    SPACE = 5
    ADDRESS = 6  # in halfwords of the space
    WRITE = 7  # a halfword; the address goes on
    NEXT = 8  # the address goes on
    ACTIVATION_ADDRESS = 9
    ACTIVATION_STEP = 10
    ACCUMULATOR_ADDRESS = 11
    ACCUMULATOR_STEP = 12
    X_LOW = 13
    X_HIGH = 14
    X_STRIDE = 15
    X_LIMIT = 16
    MODE = 17
    ADVANCE = 18  # adds the steps to the addresses
    START = 19  # rows
    WEIGHTS = 20  # address of a tile
    FACTOR_LOW = 21
    FACTOR_HIGH = 22
    PUSH = 23  # into the product, from above
    MULTIPLY = 24
    SHIFT = 25  # places to the right


class Status:
    """Bits of In.STATUS."""

    ROWS_BUSY = 15  # rows are on their way
    ROWS_FAILED = 14  # an address was outside its memory; until the next start
    PRODUCT_BUSY = 13
    HALF = 1  # the last bit shifted out of the product
    STICKY = 0  # whether one of those before it was set


class BusFlags:
    """Bits of In.BUS_FLAGS."""

    WINDOW = 15  # address bit 31
    WRITE = 14
    FAR = 13  # a register: address bits 30 to 11; in a window: of bits 30 to 27 and 23 to 16, any is set
    SPACE = 8  # 3 bits: address bits 26 to 24
    STROBE = 0  # 4 bits


class Mode:
    """Bits of Out.MODE; the constant in the lower byte."""

    INSIDE = 8  # coordinate y is in bounds
    OVERWRITE = 9
    SLOW = 10  # rows go to one accumulator row: every second cycle


class Assembler:
    """Collects microcode: ``a.ld(address)``, ``a.jz("label")``, ``a.label("label")``; ``words()`` resolves the labels."""

    def __init__(self):
        self.code: list[tuple[Op, int | str]] = []
        self.labels: dict[str, int] = {}
        self._unnamed = 0

    def label(self, name: str) -> str:
        assert name not in self.labels, name
        self.labels[name] = len(self.code)
        return name

    def unnamed(self) -> str:
        """A label name not used yet."""
        self._unnamed += 1
        return f".{self._unnamed}"

    def __getattr__(self, name: str):
        if name.upper() in Unary.__members__:
            return lambda: self._emit(Op.UNARY, Unary[name.upper()])
        if name.strip("_").upper() not in Op.__members__:
            raise AttributeError(name)
        op = Op[name.strip("_").upper()]
        return lambda operand=0: self._emit(op, operand)

    def _emit(self, op: Op, operand: int | str) -> None:
        if not isinstance(operand, str):
            assert -(1 << OPERAND_BITS - 1) <= operand < 1 << OPERAND_BITS, (op, operand)
        self.code.append((op, operand))

    def constant(self, value: int) -> None:
        """A = value, any 16 bits."""
        value &= 0xFFFF
        if value < 1 << OPERAND_BITS - 1 or value >= 0x10000 - (1 << OPERAND_BITS - 1):
            self.ldi(value - 0x10000 if value & 0x8000 else value)
        else:
            self.ldi(value & 0xFF)
            self.ldh(value >> 8)

    def words(self) -> list[int]:
        """The microcode, ``WORD_BITS`` each."""
        resolved = [self.labels[operand] if isinstance(operand, str) else operand for _, operand in self.code]
        assert len(self.code) <= 1 << OPERAND_BITS, "too much microcode for a jump"
        return [op << OPERAND_BITS | operand & (1 << OPERAND_BITS) - 1 for (op, _), operand in zip(self.code, resolved)]
