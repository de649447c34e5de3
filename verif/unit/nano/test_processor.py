"""The processor of nano: random programs against verif/golden/nano_processor.py.

The machine around it is a loop: IN k reads what OUT k wrote last, and the host waits while bit 0 of one port is set.
"""

from collections import Counter

import cocotb
import numpy as np
import pytest

from hdl.nano.instructions import INDEXED, OPERAND_BITS, Assembler, Op, Out, Unary
from hdl.nano.processor import Processor
from verif import bench
from verif.golden import nano_processor as golden

WORDS = 1 << OPERAND_BITS
STEPS = 5000
POLL = 31
"""The port whose bit 0 says that the host waits."""
EXTREMES = (0, 1, 0x3FF, 0x400, 0x7FF, 0xFF, 0x100)
CASES = ("1",)


@pytest.mark.parametrize("case", CASES)
def test_processor(simulate, case):
    simulate(Processor(Program(int(case)).words), case)


class Loop:
    """The machine around the processor."""

    def __init__(self):
        self.ports = [0] * 32
        self.written: list[tuple[int, int]] = []

    def write(self, port: int, data: int) -> None:
        self.ports[port] = data
        self.written.append((port, data))

    def poll(self) -> bool:
        return bool(self.ports[POLL] & 1)


class Program:
    """``words`` of microcode, and the ``writes`` (step, port, data) that its first STEPS steps make.

    Routines of random words, with jumps ahead, call routines of the next level; the main one starts again at its end.
    """

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        for _ in range(50):
            self.words = self._assemble()
            self.seen: Counter = Counter()
            self.writes: list[tuple[int, int, int]] = []
            self._run()
            if self._wide():
                return
        raise AssertionError("no such program found")

    def _assemble(self) -> list[int]:
        rng, a = self.rng, Assembler()
        prologue(a, rng)
        levels = range(1, golden.DEPTH + 1)
        a.jmp("level 0")
        for level, number in rng.permutation([(level, number) for level in levels for number in range(ROUTINES)]):
            a.label(f"level {level}.{number}")
            self._body(a, level, LENGTH)
            a.ret()
        a.label("level 0")
        self._body(a, 0, WORDS - len(a.code) - 1)
        a.jmp("level 0")
        return a.words()

    def _body(self, a: Assembler, level: int, length: int) -> None:
        rng, end = self.rng, len(a.code) + length
        while (position := len(a.code)) < end:
            op = Op(rng.choice(DRAWN))
            if op in (Op.JZ, Op.JNZ) and position + 1 < end and rng.random() < 0.5:
                a.andi(1)  # or A were hardly ever 0
                position += 1
            if op in (Op.CALL, Op.POLL) and level == golden.DEPTH:
                op = Op.OUT
            operand = int(rng.choice(EXTREMES) if rng.random() < 0.3 else rng.integers(WORDS))
            if Op.LD <= op <= Op.LDX:
                edges = [0, 63, 64, 127, 128, 255]
                operand = int(rng.choice(edges) if rng.random() < 0.2 else rng.integers(2 * INDEXED))
            elif op is Op.UNARY:
                operand = int(rng.integers(len(Unary)))
            elif op in (Op.IN, Op.OUT):
                ports = [POLL] if op is Op.IN else [Out.BANK, POLL]
                operand = int(rng.choice(ports) if rng.random() < 0.2 else rng.integers(32))
            elif Op.JMP <= op <= Op.JNC:
                operand = min(end, position + int(rng.integers(1, 6)))
            elif op in (Op.CALL, Op.POLL):
                operand = f"level {level + 1}.{rng.integers(ROUTINES)}"
            a.code.append((op, operand))

    def _run(self) -> None:
        loop = Loop()
        model = golden.Processor(loop.ports.__getitem__, loop.write, loop.poll)
        for step in range(STEPS):
            word, before, pc = self.words[model.pc], len(loop.written), model.pc
            model.step(word)
            op = Op(word >> OPERAND_BITS)
            self.seen[op, model.pc != pc + 1] += 1
            self.seen["depth", len(model.stack)] += 1
            if op is Op.UNARY:
                self.seen[Unary(word & 7)] += 1
            self.writes += [(step, *write) for write in loop.written[before:]]

    def _wide(self) -> bool:
        """Whether it has done everything often."""
        counts = {(op, jumped): self.seen[op, jumped] for op in BRANCHES for jumped in (False, True)}
        counts |= {op: self.seen[op, False] + self.seen[op, True] for op in Op}
        counts |= {unary: self.seen[unary] for unary in Unary}
        counts |= {"deepest": self.seen["depth", golden.DEPTH], Out.BANK: sum(w[1] == Out.BANK for w in self.writes)}
        return min(counts.values()) >= 10


ROUTINES, LENGTH = 6, 24
"""Of each level, and the words of each."""
BRANCHES = (Op.JZ, Op.JNZ, Op.JN, Op.JNN, Op.JC, Op.JNC, Op.POLL)
DRAWN = [op for op in Op if op is not Op.RET]
DRAWN += [Op.OUT] * 8 + [Op.LDX, Op.ST, Op.LD, Op.ADC, Op.SBC, Op.UNARY, Op.UNARY, Op.POLL, Op.IN, Op.IN]
"""The operations as often as they are drawn."""


def prologue(a: Assembler, rng) -> None:
    """Gives every register, port and word of data a value."""
    a.ldi(0)
    for port in range(32):
        a.addi(int(rng.integers(WORDS // 2)))
        a.out(port)
    for address in range(INDEXED):
        a.addi(int(rng.integers(WORDS // 2)))
        a.st(address)
    a.clear()
    a.ldxi(int(rng.integers(INDEXED)))


async def play(dut, edge, program, cycles: int) -> list[tuple[int, int, int]]:
    """The machine around the processor; the writes in ``cycles`` as (cycle, port, data)."""
    loop, writes = Loop(), []

    async def answer():
        while True:
            dut.read.value = loop.ports[int(dut.port.value)]
            await dut.port.value_change

    task = cocotb.start_soon(answer())
    dut.poll.value = 0
    for cycle in range(cycles):
        await edge
        if dut.write.value == 1:
            loop.write(int(dut.port.value), int(dut.data.value))
            writes.append((cycle, *loop.written[-1]))
            dut.poll.value = loop.poll()
            dut.read.value = loop.ports[int(dut.port.value)]
    task.cancel()
    return writes


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_program(dut):
    """What goes to which port, and in which cycle: 2 a step. A reset starts again, whatever was under way."""
    program = Program(int(bench.case()))
    edge = await bench.start(dut, Processor(program.words))
    for steps in (STEPS // 2 + int(bench.rng().integers(40)), STEPS):
        found = await play(dut, edge, program, 2 * steps)
        start = found[0][0] - 2 * program.writes[0][0]
        assert 0 <= start <= 2
        expected = [(start + 2 * step, port, data) for step, port, data in program.writes]
        for number, (got, want) in enumerate(zip(found, expected)):
            assert got == want, (number, program_listing(program, number))
        assert len(found) >= sum(cycle < 2 * steps for cycle, _, _ in expected)
        await bench.reset(dut)


def program_listing(program, number: int) -> str:
    """The steps before a write, for whoever looks for the fault."""
    first, last = (program.writes[i][0] for i in (max(0, number - 1), number))
    return f"in steps {first} to {last}"
