"""gemmary.isa: encode and decode, steps and strides, what the dispatcher refuses, the disassembler."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gemmary import isa
from gemmary.errors import InputError
from gemmary.isa import FORMATS, INSTRUCTION_BYTES, Cause, DType, Instruction, Opcode
from verif.agents.illegal import harmless, illegal_programs
from verif.configs import TINY


def legal_values(field: isa.Field) -> st.SearchStrategy[int]:
    if field.kind == "count":
        return st.integers(1, isa.MAX_COUNT)
    if field.kind == "length":
        return st.integers(1, isa.MAX_LENGTH)
    if field.allowed:
        return st.sampled_from(field.allowed)
    low = -(1 << field.width - 1) if field.signed else 0
    return st.integers(low, low + (1 << field.width) - 1)


@st.composite
def instructions(draw) -> Instruction:
    opcode = draw(st.sampled_from(Opcode))
    fields = [f for f in FORMATS[opcode].fields if f.kind != "reserved" and f.name not in ("opcode", "version")]
    return Instruction(opcode, **{field.name: draw(legal_values(field)) for field in fields})


@pytest.mark.parametrize("opcode", Opcode)
def test_fields_fill_the_instruction_without_gap_or_overlap(opcode):
    offset = 0
    for field in FORMATS[opcode].fields:
        assert field.offset == offset
        offset += field.width
    assert offset == 8 * INSTRUCTION_BYTES
    assert len({field.name for field in FORMATS[opcode].fields}) == len(FORMATS[opcode].fields)


@given(instructions())
def test_decode_inverts_encode(instruction):
    word = instruction.encode()
    assert len(word) == INSTRUCTION_BYTES
    assert isa.check(word) == Cause.NONE
    decoded = isa.decode(word)
    for field in instruction.format.fields:
        assert getattr(decoded, field.name) == getattr(instruction, field.name), field.name
    assert decoded == instruction and decoded.encode() == word


@given(instructions())
def test_every_field_is_where_its_offset_says(instruction):
    word = int.from_bytes(instruction.encode(), "little")
    for field in instruction.format.fields:
        value = getattr(instruction, field.name)
        assert word >> field.offset & (1 << field.width) - 1 == value & (1 << field.width) - 1


@given(st.lists(instructions(), max_size=4))
def test_decode_program_inverts_encode_program(program):
    assert list(isa.decode_program(isa.encode_program(program))) == program


def test_decode_program_names_the_offset():
    program = isa.encode_program([harmless(Opcode.LOAD)]) + b"\xff" * INSTRUCTION_BYTES
    with pytest.raises(InputError, match=r"at byte 96: .*unknown opcode"):
        list(isa.decode_program(program))
    with pytest.raises(InputError, match="multiple of 96"):
        list(isa.decode_program(program[:-1]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"colour": 1}, "LOAD has no field 'colour'"),
        ({"length": 1 << 16}, "LOAD field length = 65536 is outside 0..65535"),
        ({"fill": 128}, "LOAD field fill = 128 is outside -128..127"),
        ({"onchip_address": -1}, "LOAD field onchip_address = -1 is outside 0..65535"),
    ],
)
def test_instruction_refuses_what_does_not_fit(fields, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Instruction(Opcode.LOAD, **fields)


# Steps and strides.

small_counts = st.lists(st.integers(1, 4), min_size=1, max_size=6)
any_counts = st.lists(st.integers(1, isa.MAX_COUNT), min_size=1, max_size=6)


def named(values):
    return {f"l{i}": value for i, value in enumerate(values)}


@given(st.data(), any_counts, st.sampled_from([16, 32]))
def test_strides_inverts_steps(data, counts, width):
    value = st.integers(-(1 << width - 1), (1 << width - 1) - 1)
    strides = [data.draw(value) for _ in counts]
    steps = isa.steps(named(counts), named(counts), named(strides), width)
    assert all(-(1 << width - 1) <= step < 1 << width - 1 for step in steps.values())
    assert isa.strides(named(counts), steps, width) == named(strides)


@given(st.data(), small_counts, st.sampled_from([16, 32]))
def test_adding_steps_visits_index_times_stride(data, counts, width):
    strides = [data.draw(st.integers(-(1 << width - 1), (1 << width - 1) - 1)) for _ in counts]
    steps = list(isa.steps(named(counts), named(counts), named(strides), width).values())
    address, before = 0, None
    for index in itertools.product(*map(range, counts)):
        if before is not None:
            advanced = next(i for i in range(len(counts)) if index[i] != before[i])
            address += steps[advanced]
        before = index
        assert (address - int(np.dot(np.array(index, object), strides))) % (1 << width) == 0


@given(instructions())
def test_walk_fields_gives_back_the_strides_of_every_walk(instruction):
    for walk in instruction.format.walks:
        by_loop = {loop: s for loop, s in instruction.strides(walk.name).items() if loop in walk.loops}
        address = getattr(instruction, f"{walk.name}_address")
        fields = isa.walk_fields(instruction.opcode, walk.name, address, instruction.counts, **by_loop)
        assert fields == {name: getattr(instruction, name) for name in fields}
        assert len(fields) == 1 + len(walk.loops)


def test_walk_fields_refuses_a_loop_that_the_walk_has_not():
    with pytest.raises(InputError, match="walk weight of MATMUL has no loop 'y'"):
        isa.walk_fields(Opcode.MATMUL, "weight", 0, {}, y=1)


# What the dispatcher refuses.


def broken(opcode: Opcode, cause: Cause) -> tuple[str, int]:
    """A field of ``opcode`` and a value that raises ``cause``."""
    kind = {Cause.DTYPE: "dtype", Cause.FIELD: "reserved", Cause.COUNT: "count"}
    if cause in kind:
        field = next(f for f in FORMATS[opcode].fields if f.kind == kind[cause])
        return field.name, {"dtype": 15, "reserved": 1, "count": 0}[kind[cause]]
    return ("opcode", 0xEE) if cause == Cause.OPCODE else ("version", 2)


DISPATCH_CAUSES = (Cause.OPCODE, Cause.VERSION, Cause.DTYPE, Cause.FIELD, Cause.COUNT)


@pytest.mark.parametrize("opcode", Opcode)
def test_check_reports_the_lowest_of_several_causes(opcode):
    for causes in itertools.chain.from_iterable(itertools.combinations(DISPATCH_CAUSES, n) for n in range(1, 6)):
        word = int.from_bytes(harmless(opcode).encode(), "little")
        for cause in causes:
            name, value = broken(opcode, cause)
            field = FORMATS[opcode][name]
            word = word & ~((1 << field.width) - 1 << field.offset) | value << field.offset
        assert isa.check(word.to_bytes(INSTRUCTION_BYTES, "little")) == min(causes)


@pytest.mark.parametrize("opcode", Opcode)
def test_check_takes_the_limits_of_every_field(opcode):
    for field in FORMATS[opcode].fields:
        most = {"count": isa.MAX_COUNT, "length": isa.MAX_LENGTH}.get(field.kind)
        for value in field.allowed or ((1, most) if most else ()):
            assert isa.check(harmless(opcode, **{field.name: value}).encode()) == Cause.NONE, field.name


def test_check_finds_the_cause_of_every_illegal_program_that_the_dispatcher_refuses():
    for case in illegal_programs(TINY):
        if case.cause in DISPATCH_CAUSES:
            word = case.program[case.offset : case.offset + INSTRUCTION_BYTES]
            assert isa.check(word) == case.cause, case.name
            with pytest.raises(InputError, match=re.escape(isa.CAUSE_DOC[case.cause])):
                isa.decode(word)


# Disassembly.


@given(instructions())
@example(harmless(Opcode.LOAD, transpose=1, count_x=4, onchip_step_x=3))
@example(harmless(Opcode.LOAD, transpose=1, fill_only=1, count_x=4, onchip_step_x=3))
def test_disassemble_shows_every_field(instruction):
    line = isa.disassemble(instruction)
    assert line.startswith(instruction.opcode.name.lower())
    words = re.split(r"[ ()\[\]]+", line)
    transposed = instruction.opcode == Opcode.LOAD and instruction.transpose and not instruction.fill_only
    for loop, count in instruction.counts.items():
        assert (f"{loop}:{count}" in words) or count == 1
    for walk in instruction.format.walks:
        address = getattr(instruction, f"{walk.name}_address")
        shown = re.search(rf" {walk.name}@{address:#x}(?:\(([^)]*)\))?( |$)", line)
        assert shown
        if not (transposed and walk.name == "onchip"):
            strides = instruction.strides(walk.name)
            moving = {f"{loop}:{s}" for loop, s in strides.items() if s and instruction.counts[loop] > 1}
            assert set((shown[1] or "").split()) == moving
        else:
            assert f"element:{instruction.onchip_step_x}" in shown[1]
    for field in instruction.format.fields:
        value = getattr(instruction, field.name)
        shown_above = field.name in ("opcode", "version") or re.search("_address$|_step_|^count_", field.name)
        if value and not shown_above:
            assert any(word.startswith(f"{field.name}=") for word in words), field.name


def test_disassemble_reads_well():
    counts = {"n": 2, "k": 3, "ky": 1, "kx": 1, "y": 4, "x": 5}
    instruction = Instruction(
        Opcode.MATMUL,
        **{f"count_{loop}": count for loop, count in counts.items()},
        **isa.walk_fields(Opcode.MATMUL, "activation", 16, counts, k=20, y=5, x=1),
        **isa.walk_fields(Opcode.MATMUL, "weight", 0, counts, n=12, k=4),
        **isa.walk_fields(Opcode.MATMUL, "accumulator", 255, counts, n=20, y=5, x=1),
        activation_dtype=DType.INT8,
        weight_dtype=DType.INT8,
        accumulator_dtype=DType.INT32,
        accumulate=1,
        wait=0b101,
        signal=1 << 15,
        constant=-7,
    )
    assert isa.disassemble(instruction) == (
        "matmul  [n:2 k:3 y:4 x:5] activation@0x10(k:20 y:5 x:1) weight@0x0(n:12 k:4) accumulator@0xff(n:20 y:5 x:1) "
        "wait=0,2 signal=15 activation_dtype=int8 weight_dtype=int8 accumulator_dtype=int32 accumulate=1 constant=-7"
    )


def test_disassemble_tells_a_transposed_load():
    counts = {"y": 3, "x": 4}
    instruction = harmless(
        Opcode.LOAD, transpose=1, length=4, count_y=3, count_x=4,
        **isa.walk_fields(Opcode.LOAD, "external", 0x100, counts, y=64, x=16),
        onchip_address=8, onchip_step_y=4, onchip_step_x=1,
    )  # fmt: skip
    assert isa.disassemble(instruction) == (
        "load    [y:3 x:4] external@0x100(y:64 x:16) onchip@0x8(y:4 element:1) "
        "dtype=int8 space=activation transpose=1 length=4"
    )
