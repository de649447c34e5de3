"""The assembler of nano: the words that it makes, judged by running them on verif/golden/nano_processor.py."""

import pytest

from hdl.nano.instructions import INDEXED, OPERAND_BITS, Assembler, In, Op, Out, Unary
from verif.golden.nano_processor import Processor

WORDS = 1 << OPERAND_BITS


def run(a: Assembler, steps: int) -> Processor:
    model = Processor(lambda port: 0, lambda port, data: None, lambda: False)
    words = a.words()
    for _ in range(steps):
        model.step(words[model.pc])
    return model


EDGES = [
    base + offset
    for base in (0, 0x80, 0x100, 0x3FF, 0x400, 0x7FF, 0x800, 0x7FFF, 0xFBFF, 0xFC00)
    for offset in (-1, 0, 1)
]


@pytest.mark.parametrize(
    "value", [*EDGES, 0xFFFE, 0xFFFF, -2, -0x400, -0x401, -0x8000, *range(0x1234, 0x10000, 0x1357)]
)
def test_constant(value):
    a = Assembler()
    a.ldi(0x155)
    a.constant(value)
    assert run(a, len(a.code)).a == value & 0xFFFF


def test_constant_is_short_where_it_can_be():
    for value, length in ((0, 1), (0x3FF, 1), (-0x400, 1), (0xFC00, 1), (0x400, 2), (-0x401, 2)):
        a = Assembler()
        a.constant(value)
        assert len(a.words()) == length, value


def test_words():
    """Operation above operand; a negative operand in its own bits; names of Python's with an underscore."""
    a = Assembler()
    a.ld(INDEXED | 0xFF)
    a.ldi(-1)
    a.and_(3)
    a.in_(In.PRODUCT)
    a.out(Out.SHIFT)
    a.swap()
    a.ret()
    expected = [
        (Op.LD, 0x1FF),
        (Op.LDI, 0x7FF),
        (Op.AND, 3),
        (Op.IN, 6),
        (Op.OUT, 25),
        (Op.UNARY, Unary.SWAP),
        (Op.RET, 0),
    ]
    assert a.words() == [op << OPERAND_BITS | operand for op, operand in expected]


def test_every_operation_has_a_name():
    for members in (Op, Unary):
        for member in members:
            a = Assembler()
            method = getattr(a, member.name.lower())
            method() if members is Unary else method(1)
            assert a.words() == [member << OPERAND_BITS | 1 if members is Op else Op.UNARY << OPERAND_BITS | member]


def test_labels():
    """Ahead and back, and a routine that is called twice."""
    a = Assembler()
    a.ldi(1)
    a.call("double")
    a.jmp("ahead")
    a.label("double")
    a.clear()
    a.left()
    a.ret()
    a.label("back")
    a.call("double")
    end = a.label("end")
    a.jmp(end)
    a.label("ahead")
    a.jmp("back")
    model = run(a, 16)
    assert (model.a, model.pc) == (4, a.labels["end"])
    assert a.labels["end"] == 7


def test_unnamed_labels_differ():
    a = Assembler()
    names = [a.unnamed() for _ in range(3)]
    assert len({*names}) == 3
    for name in names:
        a.label(name)
        a.jmp(name)
    assert a.words() == [Op.JMP << OPERAND_BITS | address for address in range(3)]


@pytest.mark.parametrize("operand", [WORDS, 0xFFFF, -WORDS // 2 - 1])
def test_refuses_operands_that_do_not_fit(operand):
    a = Assembler()
    for name in ("ldi", "ld", "jmp", "out"):
        with pytest.raises(AssertionError, match=str(operand)):
            getattr(a, name)(operand)
    a.ldi(WORDS - 1)
    a.ldi(-WORDS // 2)
    assert [word % WORDS for word in a.words()] == [WORDS - 1, WORDS // 2]


def test_refuses_what_is_not_there():
    a = Assembler()
    with pytest.raises(AttributeError, match="mul"):
        a.mul(1)
    a.label("here")
    with pytest.raises(AssertionError, match="here"):
        a.label("here")
    a.jmp("nowhere")
    with pytest.raises(KeyError, match="nowhere"):
        a.words()


def test_refuses_more_microcode_than_a_jump_reaches():
    a = Assembler()
    for _ in range(WORDS):
        a.ret()
    assert len(a.words()) == WORDS
    a.ret()
    with pytest.raises(AssertionError, match="too much"):
        a.words()
