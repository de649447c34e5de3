"""The processor of `nano`: an accumulator machine of 16 bits with its microcode."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .instructions import DATA_BITS, INDEXED, OPERAND_BITS, WORD_BITS, Op, Unary
from .instructions import Out as Port

BLOCK = 512
"""The ROM has a multiple of so many words."""
STACK = 4
"""Calls inside calls."""


class Processor(wiring.Component):
    """Executes ``microcode`` from its first word on, 2 cycles a word: read the data, then execute.

    ``write`` for one cycle: A, which is ``data``, goes to ``port``. ``read`` is what A takes from ``port`` (both as in
    `instructions`; ``read`` in the cycle of ``port``). ``poll``: the host waits, so POLL calls. The lower half of the data memory
    is two instructions of 64 words, which Out.BANK exchanges. Before they are first written, X and the data are undefined, and
    so is what returns after more than STACK calls inside calls or from none.
    """

    def __init__(self, microcode: list[int]):
        self.microcode = microcode
        super().__init__(
            {"port": Out(5), "write": Out(1), "data": Out(WORD_BITS), "read": In(WORD_BITS), "poll": In(1)}
        )

    def elaborate(self, platform):
        m = Module()
        depth = -len(self.microcode) % BLOCK + len(self.microcode)
        m.submodules.rom = rom = memory.Memory(shape=WORD_BITS, depth=depth, init=self.microcode)
        fetch = rom.read_port()
        op, operand = Signal(Op), fetch.data[:OPERAND_BITS]
        execute, running = Signal(init=1), Signal()
        pc, after = Signal(range(depth)), Signal(range(depth))
        m.d.comb += [op.eq(fetch.data[OPERAND_BITS:]), fetch.addr.eq(after), fetch.en.eq(execute)]
        m.d.sync += [execute.eq(~execute), running.eq(1)]

        a, x, carry = Signal(WORD_BITS), Signal(DATA_BITS, reset_less=True), Signal()
        memory_word = self._data(m, op, operand, a, x, execute & running)
        jump = self._jump(m, op, a, carry)
        now = execute & running
        m.d.comb += [after.eq(0), self.data.eq(a), self.port.eq(operand), self.write.eq(now & (op == Op.OUT))]
        with m.If(running):
            stack = [Signal(range(depth), name=f"return_{i}", reset_less=True) for i in range(STACK)]
            following = Signal(range(depth))
            m.d.comb += [following.eq(pc + 1), after.eq(Mux(jump, operand, following))]
            with m.If(op == Op.RET):
                m.d.comb += after.eq(stack[0])
            with m.If(now):
                m.d.sync += pc.eq(after)
                with m.If((op == Op.CALL) | (op == Op.POLL) & self.poll):
                    m.d.sync += Cat(stack).eq(Cat(following, *stack))
                with m.If(op == Op.RET):
                    m.d.sync += Cat(stack).eq(Cat(stack[1:]))
                self._operate(m, op, operand, memory_word, a, x, carry)
        return m

    def _data(self, m, op, operand, a, x, now):
        """The word of data that the operation addresses."""
        m.submodules.storage = storage = memory.Memory(
            shape=WORD_BITS, depth=1 << DATA_BITS, init=[], attrs={"no_rw_check": 1}
        )
        read, write, bank = storage.read_port(), storage.write_port(), Signal()
        address = Signal(DATA_BITS)
        m.d.comb += [
            address.eq(operand[:DATA_BITS] + Mux(operand[DATA_BITS], x, 0)),
            read.addr.eq(Cat(address[:6], address[6] ^ (bank & ~address[7]), address[7])),
            read.en.eq(~now),
            write.addr.eq(read.addr),
            write.data.eq(a),
            write.en.eq(now & (op == Op.ST)),
        ]
        with m.If(self.write & (self.port == Port.BANK)):
            m.d.sync += bank.eq(~bank)
        return read.data

    def _jump(self, m, op, a, carry):
        jump = Signal()
        taken = {
            Op.JMP: 1,
            Op.CALL: 1,
            Op.POLL: self.poll,
            Op.JZ: a == 0,
            Op.JNZ: a != 0,
            Op.JN: a[-1],
            Op.JNN: ~a[-1],
            Op.JC: carry,
            Op.JNC: ~carry,
        }
        with m.Switch(op):
            for code, condition in taken.items():
                with m.Case(code):
                    m.d.comb += jump.eq(condition)
        return jump

    def _operate(self, m, op, operand, word, a, x, carry):
        """What an operation does to A, X and C."""
        constant = Cat(operand, operand[-1].replicate(WORD_BITS - OPERAND_BITS))
        second, subtract, carry_in, total = Signal(WORD_BITS), Signal(), Signal(), Signal(WORD_BITS + 1)
        m.d.comb += [
            subtract.eq((op == Op.SUB) | (op == Op.SBC)),
            second.eq(Mux(op == Op.ADDI, constant, word ^ subtract.replicate(WORD_BITS))),
            carry_in.eq(((op == Op.ADC) | (op == Op.SBC)) & carry | (op == Op.SUB)),
            total.eq(a + second + carry_in),
        ]
        with m.Switch(op):
            with m.Case(Op.LD):
                m.d.sync += a.eq(word)
            with m.Case(Op.ADD, Op.ADC, Op.SUB, Op.SBC, Op.ADDI):
                m.d.sync += Cat(a, carry).eq(total)
            with m.Case(Op.AND):
                m.d.sync += a.eq(a & word)
            with m.Case(Op.OR):
                m.d.sync += a.eq(a | word)
            with m.Case(Op.XOR):
                m.d.sync += a.eq(a ^ word)
            with m.Case(Op.LDX):
                m.d.sync += x.eq(word)
            with m.Case(Op.LDI):
                m.d.sync += a.eq(constant)
            with m.Case(Op.ANDI):
                m.d.sync += a.eq(a & operand)
            with m.Case(Op.XORI):
                m.d.sync += a.eq(a ^ operand)
            with m.Case(Op.LDH):
                m.d.sync += a[8:].eq(operand)
            with m.Case(Op.LDXI):
                m.d.sync += x.eq(operand)
            with m.Case(Op.ADDX):
                m.d.sync += x.eq(x + operand)
            with m.Case(Op.IN):
                m.d.sync += a.eq(self.read)
            with m.Case(Op.UNARY):
                with m.Switch(operand[:3]):
                    with m.Case(Unary.RIGHT):
                        m.d.sync += Cat(carry, a).eq(Cat(a, carry))
                    with m.Case(Unary.LEFT):
                        m.d.sync += Cat(a, carry).eq(Cat(carry, a))
                    with m.Case(Unary.SWAP):
                        m.d.sync += a.eq(Cat(a[8:], a[:8]))
                    with m.Case(Unary.EXTEND):
                        m.d.sync += a[8:].eq(a[7].replicate(8))
                    with m.Case(Unary.TAX):
                        m.d.sync += x.eq(a)
                    with m.Case(Unary.TXA):
                        m.d.sync += a.eq(x)
                    with m.Case(Unary.CLEAR):
                        m.d.sync += carry.eq(0)


assert INDEXED == 1 << DATA_BITS and Const(len(Port) - 1).shape().width <= 5
