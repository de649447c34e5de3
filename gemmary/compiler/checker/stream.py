"""An encoded stream as columns of numbers: one array a field, for all instructions of an opcode at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...isa import (
    CAUSE_DOC,
    ENGINE,
    FORMATS,
    INSTRUCTION_BYTES,
    MAX_COUNT,
    MAX_LENGTH,
    VERSION,
    Cause,
    Engine,
    Field,
    Opcode,
    check,
)  # fmt: skip
from .finding import Finding


@dataclass(frozen=True)
class Group:
    """All instructions of one opcode: their indices in the stream, and each field as int64 [instruction]."""

    opcode: Opcode
    indices: np.ndarray
    fields: dict[str, np.ndarray]

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    def strides(self, walk: str, still: Sequence[str] = ()) -> list[np.ndarray]:
        """Of each loop of the instruction, outermost first, the stride of ``walk``, modulo 2**64. Loops in ``still`` do not move
        it."""
        declared = FORMATS[self.opcode].walk(walk)
        result, inner = [], np.zeros(len(self.indices), np.int64)
        for loop in reversed(FORMATS[self.opcode].loops):
            moves = loop in declared.loops and loop not in still
            stride = self.fields[f"{walk}_step_{loop}"] + inner if moves else np.zeros_like(inner)
            result.append(stride)
            inner = inner + (self.fields[f"count_{loop}"] - 1) * stride
        return result[::-1]


@dataclass(frozen=True)
class Stream:
    """``names[i]`` says which instruction number i is: index, opcode and layer. ``ordinal[i]``: the how manieth of its engine, from 1."""

    size: int
    engine: list[int]
    ordinal: list[int]
    wait: list[int]
    signal: list[int]
    groups: tuple[Group, ...]
    members: tuple[list[int], ...]
    opcodes: list[str]
    layers: Sequence[str]

    def name(self, index: int) -> str:
        layer = f", layer {self.layers[index]!r}" if self.layers else ""
        return f"instruction {index} ({self.opcodes[index]}{layer})"

    def at(self, engine: int, ordinal: int) -> int:
        """The index of the ``ordinal``-th instruction of an engine, counted from 1."""
        return self.members[engine][ordinal - 1]


def read_stream(code: bytes, layers: Sequence[str] | str = ()) -> Stream | Finding:
    """The stream in ``code``, or what is illegal in its encoding. ``layers`` names the layer of each instruction, or of all.
    InputError for a length that is no multiple of an instruction's, or another number of layers."""
    if len(code) % INSTRUCTION_BYTES or not code:
        raise InputError(f"program length {len(code)} is not a multiple of {INSTRUCTION_BYTES} bytes, or 0")
    raw = np.frombuffer(code, np.uint8).reshape(-1, INSTRUCTION_BYTES)
    if isinstance(layers, str):
        layers = [layers] * len(raw)
    if layers and len(layers) != len(raw):
        raise InputError(f"layers names {len(layers)} instructions, the program has {len(raw)}")
    groups, legal = [], np.zeros(len(raw), bool)
    for opcode in Opcode:
        indices = np.flatnonzero(raw[:, 0] == opcode)
        words = np.ascontiguousarray(raw[indices])
        groups.append(
            Group(opcode, indices, {f.name: _column(words, f) for f in FORMATS[opcode].fields if f.width <= 64})
        )
        legal[indices] = _legal(groups[-1], words)
    if not legal.all():
        index = int(np.argmin(legal))
        cause = check(code[index * INSTRUCTION_BYTES :][:INSTRUCTION_BYTES]) or Cause.FIELD
        return Finding("encoding", (index,), f"instruction {index} is illegal: {CAUSE_DOC[cause]}")
    opcodes = raw[:, 0].tolist()
    engine = [int(ENGINE[o]) for o in opcodes]
    members = tuple([i for i, e in enumerate(engine) if e == each] for each in Engine)
    ordinal = [0] * len(raw)
    for own in members:
        for number, i in enumerate(own, 1):
            ordinal[i] = number
    header = np.ascontiguousarray(raw[:, 4:8]).view("<u2")  # wait and signal lie alike in every format
    return Stream(
        len(raw), engine, ordinal, header[:, 0].tolist(), header[:, 1].tolist(), tuple(groups), members,
        [Opcode(o).name for o in opcodes], layers,
    )  # fmt: skip


def _column(words: np.ndarray, field: Field) -> np.ndarray:
    first, last = field.offset // 8, (field.offset + field.width + 7) // 8
    wide = np.zeros((len(words), 8), np.uint8)
    wide[:, : last - first] = words[:, first:last]
    value = wide.view("<u8")[:, 0] >> np.uint64(field.offset % 8)
    if field.width == 64:
        return value.view(np.int64)
    value = (value & np.uint64((1 << field.width) - 1)).astype(np.int64)
    return np.where(value >> (field.width - 1) != 0, value - (1 << field.width), value) if field.signed else value


def _legal(group: Group, words: np.ndarray) -> np.ndarray:
    """Which of the instructions the dispatcher would take."""
    legal = np.ones(len(words), bool)
    for field in FORMATS[group.opcode].fields:
        if field.width > 64:  # reserved, and whole bytes
            legal &= ~words[:, field.offset // 8 : (field.offset + field.width) // 8].any(axis=1)
            continue
        value = group.fields[field.name]
        if field.kind in ("dtype", "code"):
            legal &= np.isin(value, field.allowed)
        elif field.kind == "reserved":
            legal &= value == 0
        elif field.kind in ("count", "length"):
            legal &= (value >= 1) & (value <= (MAX_COUNT if field.kind == "count" else MAX_LENGTH))
        elif field.name == "version":
            legal &= value == VERSION
    return legal
