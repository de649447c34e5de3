"""What the cycle model reads of a program: a few numbers an instruction, without decoding whole ones."""

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ..config import BURST_BEATS, Config
from ..isa import FORMATS, INSTRUCTION_BYTES, DType, Engine, Instruction, Opcode

HALVES = struct.Struct(f"<{INSTRUCTION_BYTES // 2}H")
LOAD, TENSOR, VECTOR, STORE = map(int, Engine)
MATMUL, REQUANTIZE, LOAD_CODE = int(Opcode.MATMUL), int(Opcode.VECTOR), int(Opcode.LOAD)
INT8 = int(DType.INT8)


def _half(opcode: Opcode, name: str) -> int:
    """Which of the 16-bit halves of an instruction holds the field, or its lowest bits."""
    offset = FORMATS[opcode][name].offset
    assert offset % 16 == 0, name
    return offset // 16


def _counts(opcode: Opcode) -> tuple[int, ...]:
    return tuple(_half(opcode, f"count_{loop}") for loop in FORMATS[opcode].loops)


WAIT, SIGNAL = _half(Opcode.LOAD, "wait"), _half(Opcode.LOAD, "signal")
LENGTH, Z, Y, X = _half(Opcode.LOAD, "length"), *_counts(Opcode.LOAD)
EXTERNAL = _half(Opcode.LOAD, "external_address")
STEPS = tuple(_half(Opcode.LOAD, f"external_step_{loop}") for loop in "zyx")
STORED = tuple(_half(Opcode.STORE, name) for name in ("length", "count_z", "count_y", "count_x", "external_address"))
STORE_STEPS = tuple(_half(Opcode.STORE, f"external_step_{loop}") for loop in "zyx")
N, K, KY, KX, ROWS, COLUMNS = _counts(Opcode.MATMUL)
VECTOR_LOOPS = _counts(Opcode.VECTOR)
FLAGS = FORMATS[Opcode.LOAD]["dtype"].offset // 16  # dtypes, space, flags: the first half behind the header
_SPACE, _TRANSPOSE, _FILLS = (FORMATS[Opcode.LOAD][name].offset % 16 for name in ("space", "transpose", "fill_only"))
_SOURCE, _RESULT = (FORMATS[Opcode.VECTOR][name].offset % 16 for name in ("source_dtype", "result_dtype"))


def columns(config: Config, program: Iterable[Instruction] | bytes) -> Iterator[tuple]:
    """(engine, wait mask, signal mask, …) of each instruction; then

    load, store: runs, bursts, beats, space; of a load also granules of fill (else 0) and columns to transpose (else 0).
    tensor: weight tiles, rows of each. vector: source rows, whether the result is int8.
    """
    if not isinstance(program, bytes):
        program = b"".join(instruction.encode() for instruction in program)
    size = config.bus_bytes
    for half in HALVES.iter_unpack(program):
        opcode = half[0] & 0xFF
        if opcode == MATMUL:
            yield (
                TENSOR,
                half[WAIT],
                half[SIGNAL],
                half[N] * half[K] * half[KY] * half[KX],
                half[ROWS] * half[COLUMNS],
            )
        elif opcode == REQUANTIZE:
            n, y, x, ky, kx = (half[i] for i in VECTOR_LOOPS)
            narrow = half[FLAGS] >> _RESULT & 15 == INT8
            yield VECTOR, half[WAIT], half[SIGNAL], n * y * x * ky * kx, narrow
        elif opcode == LOAD_CODE:
            flags, length = half[FLAGS], half[LENGTH]
            runs = half[Z] * half[Y] * half[X]
            fills = runs * -(-length // size) if flags >> _FILLS & 1 else 0
            bursts, beats = _transfer(
                size, half[EXTERNAL], length, half[Z], half[Y], half[X], *(half[i] for i in STEPS)
            )
            blocks = half[Z] * half[Y] * (length + 5) if flags >> _TRANSPOSE & 1 and not fills else 0
            yield Engine.LOAD, half[WAIT], half[SIGNAL], runs, bursts, beats, flags >> _SPACE & 15, fills, blocks
        else:
            length, z, y, x, address = (half[i] for i in STORED)
            bursts, beats = _transfer(size, address, length, z, y, x, *(half[i] for i in STORE_STEPS))
            yield STORE, half[WAIT], half[SIGNAL], z * y * x, bursts, beats


@lru_cache(maxsize=4096)
def _transfer(
    size: int, address: int, length: int, z: int, y: int, x: int, sz: int, sy: int, sx: int
) -> tuple[int, int]:
    """(bursts, beats) of runs of ``length`` bytes; addresses and steps are modulo 2^16, as only the alignment matters."""
    block = BURST_BEATS * size
    runs = z * y * x
    if runs == 1 or not ((sx * (x > 1) | (sy + (x - 1) * sx) * (y > 1) | sz * (z > 1)) % block):
        beats = (address % size + length + size - 1) // size
        return runs * -(-(address % block // size + beats) * size // block), runs * beats
    bursts = beats = 0
    for i in range(runs):
        end = address + length + size - 1
        beats += end // size - address // size
        bursts += (end // size * size - 1) // block - address // block + 1
        step = sx if (i + 1) % x else sy if (i + 1) % (x * y) else sz
        address += step
    return bursts, beats
