"""The processor of `nano`, one instruction a call, written from `Op` and `Unary` in hdl/nano/instructions.py alone."""

from collections.abc import Callable

from hdl.nano.instructions import DATA_BITS, INDEXED, OPERAND_BITS, Op, Out, Unary

DEPTH = 4
"""Calls inside calls."""
OPERAND, DATA = (1 << OPERAND_BITS) - 1, (1 << DATA_BITS) - 1
WORD = 0xFFFF
INSTRUCTION_WORDS = 64


class Undefined(Exception):
    """What follows is not defined: the program does what it must not."""


class Processor:
    """``read(port)``, ``write(port, data)`` and ``poll()`` stand for the machine around it."""

    def __init__(self, read: Callable[[int], int], write: Callable[[int, int], None], poll: Callable[[], bool]):
        self.read, self.write, self.poll = read, write, poll
        self.pc = 0
        self.a: int | None = None
        self.x: int | None = None
        self.c: int | None = None
        self.data: list[int | None] = [None] * (DATA + 1)
        self.stack: list[int] = []

    def step(self, word: int) -> None:
        """Executes ``word``, which is the microcode at ``pc``; raises Undefined before it changes anything."""
        try:
            op = Op(word >> OPERAND_BITS)
        except ValueError:
            raise Undefined(f"operation {word >> OPERAND_BITS}") from None
        operand = word & OPERAND
        following = self.pc + 1
        if op in _ON_DATA:
            self._on_data(op, operand)
        elif op in _JUMPS:
            following = operand if self._known(_JUMPS[op](self)) else following
        elif op is Op.RET:
            if not self.stack:
                raise Undefined("return without a call")
            following = self.stack.pop()
        elif op is Op.CALL or op is Op.POLL:
            if op is Op.CALL or self.poll():
                if len(self.stack) == DEPTH:
                    raise Undefined("too many calls")
                self.stack.append(following)
                following = operand
        else:
            self._on_constant(op, operand)
        self.pc = following

    def _known(self, value):
        if value is None:
            raise Undefined("a value that nobody has set")
        return value

    def _on_data(self, op: Op, operand: int) -> None:
        if operand & ~(INDEXED | DATA):
            raise Undefined("bits above an address of data")
        address = operand & DATA
        if operand & INDEXED:
            address = address + self._known(self.x) & DATA
        if op is Op.ST:
            self.data[address] = self._known(self.a)
            return
        word = self._known(self.data[address])
        if op is Op.LD:
            self.a = word
        elif op is Op.LDX:
            self.x = word & DATA
        elif op in (Op.AND, Op.OR, Op.XOR):
            a = self._known(self.a)
            self.a = {Op.AND: a & word, Op.OR: a | word, Op.XOR: a ^ word}[op]
        else:
            # A difference is a sum with the complement; its carry says that nothing was borrowed.
            subtract = op in (Op.SUB, Op.SBC)
            carry = self._known(self.c) if op in (Op.ADC, Op.SBC) else int(subtract)
            self._add(word ^ WORD if subtract else word, carry)

    def _add(self, value: int, carry: int = 0) -> None:
        total = self._known(self.a) + value + carry
        self.a, self.c = total & WORD, total >> 16

    def _on_constant(self, op: Op, k: int) -> None:
        extended = (k - ((k & 1 << OPERAND_BITS - 1) << 1)) & WORD
        if op is Op.LDI:
            self.a = extended
        elif op is Op.ADDI:
            self._add(extended)
        elif op is Op.ANDI:
            self.a = self._known(self.a) & k
        elif op is Op.XORI:
            self.a = self._known(self.a) ^ k
        elif op is Op.LDH:
            self.a = self._known(self.a) & 0xFF | (k & 0xFF) << 8
        elif op is Op.LDXI:
            self.x = k & DATA
        elif op is Op.ADDX:
            self.x = self._known(self.x) + k & DATA
        elif op is Op.UNARY:
            self._unary(k)
        elif op is Op.IN:
            self.a = self.read(k)
        elif op is Op.OUT:
            self.write(k, self._known(self.a))
            if k == Out.BANK:
                half = INSTRUCTION_WORDS
                self.data[:half], self.data[half : 2 * half] = self.data[half : 2 * half], self.data[:half]

    def _unary(self, k: int) -> None:
        if k not in list(Unary):
            raise Undefined(f"unary operation {k}")
        if k == Unary.CLEAR:
            self.c = 0
            return
        if k == Unary.TXA:
            self.a = self._known(self.x)
            return
        a = self._known(self.a)
        if k == Unary.RIGHT:
            self.a, self.c = a >> 1 | self._known(self.c) << 15, a & 1
        elif k == Unary.LEFT:
            self.a, self.c = a << 1 & WORD | self._known(self.c), a >> 15
        elif k == Unary.SWAP:
            self.a = a >> 8 | (a & 0xFF) << 8
        elif k == Unary.EXTEND:
            self.a = (a & 0xFF) - ((a & 0x80) << 1) & WORD
        elif k == Unary.TAX:
            self.x = a & DATA


def _test(register: str, condition: Callable[[int], bool]):
    def taken(processor: Processor) -> bool | None:
        value = getattr(processor, register)
        return None if value is None else condition(value)

    return taken


_ON_DATA = (Op.LD, Op.ST, Op.ADD, Op.ADC, Op.SUB, Op.SBC, Op.AND, Op.OR, Op.XOR, Op.LDX)
_JUMPS: dict[Op, Callable[[Processor], bool | None]] = {
    Op.JMP: lambda processor: True,
    Op.JZ: _test("a", lambda a: a == 0),
    Op.JNZ: _test("a", lambda a: a != 0),
    Op.JN: _test("a", lambda a: a >= 0x8000),
    Op.JNN: _test("a", lambda a: a < 0x8000),
    Op.JC: _test("c", lambda c: c == 1),
    Op.JNC: _test("c", lambda c: c == 0),
}
