"""The instruction set as data: opcodes, fields, encode and decode.

An instruction has 96 bytes (768 bits, little-endian). The first fields of every instruction are the header. Loop nests are
declared outermost loop first; an operand's address is a *walk* over its instruction's nest. In the encoding a walk holds
*steps*, not strides: ``step_l`` is added when loop l advances and every loop inside it restarts, so hardware needs one adder
a walk. ``steps`` and ``strides`` convert. Address arithmetic is modulo 2**16.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from .errors import InputError

INSTRUCTION_BYTES = 96
VERSION = 1
MAX_COUNT = 4096
MAX_LENGTH = 4096


class Engine(IntEnum):
    """The four engines, in the order of every per-engine register and counter."""

    LOAD = 0
    TENSOR = 1
    VECTOR = 2
    STORE = 3


class Opcode(IntEnum):
    LOAD = 0x10
    MATMUL = 0x20
    VECTOR = 0x30
    STORE = 0x40


ENGINE = {
    Opcode.LOAD: Engine.LOAD,
    Opcode.MATMUL: Engine.TENSOR,
    Opcode.VECTOR: Engine.VECTOR,
    Opcode.STORE: Engine.STORE,
}


class DType(IntEnum):
    """Number formats; codes not listed are refused."""

    INT8 = 1
    INT32 = 2


class Space(IntEnum):
    """On-chip memories that DMA addresses in granules of ``bus_bytes``."""

    ACTIVATION = 0
    WEIGHT = 1
    ACCUMULATOR = 2
    PARAMETER = 3
    TABLE = 4


class Reduction(IntEnum):
    SUM = 0
    MAX = 1


class Cause(IntEnum):
    """Why the accelerator stopped (register ERROR_CAUSE)."""

    NONE = 0
    OPCODE = 1
    VERSION = 2
    DTYPE = 3
    FIELD = 4
    COUNT = 5
    ADDRESS = 6
    BUS_READ = 7
    BUS_WRITE = 8
    SEMAPHORE_OVERFLOW = 9
    WATCHDOG = 10
    PROGRAM = 11


CAUSE_DOC = {
    Cause.NONE: "no error",
    Cause.OPCODE: "unknown opcode",
    Cause.VERSION: "instruction version is not 1",
    Cause.DTYPE: "dtype that this field does not take",
    Cause.FIELD: "reserved bits set, or a code that this field does not take",
    Cause.COUNT: f"loop count outside 1..{MAX_COUNT} or run length outside 1..{MAX_LENGTH}",
    Cause.ADDRESS: "on-chip address outside its memory",
    Cause.BUS_READ: "SLVERR or DECERR on a read",
    Cause.BUS_WRITE: "SLVERR or DECERR on a write",
    Cause.SEMAPHORE_OVERFLOW: "semaphore signalled past 63",
    Cause.WATCHDOG: "no progress for WATCHDOG_LIMIT cycles, as when waiting for a semaphore nobody signals",
    Cause.PROGRAM: "program address not a multiple of bus_bytes, or program length 0 or not a multiple of 96 bytes",
}


@dataclass(frozen=True)
class Field:
    """One field: ``kind`` says what values are legal and which Cause an illegal one raises.

    ``count`` 1..MAX_COUNT and ``length`` 1..MAX_LENGTH (COUNT); ``dtype`` one of ``allowed`` (DTYPE); ``code`` one of
    ``allowed`` (FIELD); ``reserved`` zero (FIELD); ``value`` anything.
    """

    name: str
    width: int
    kind: str = "value"
    signed: bool = False
    allowed: tuple[int, ...] = ()
    doc: str = ""
    offset: int = 0


@dataclass(frozen=True)
class Walk:
    """An operand address: field ``<name>_address`` and a field ``<name>_step_<loop>`` for each of ``loops``."""

    name: str
    loops: tuple[str, ...]
    unit: str
    width: int = 16


@dataclass(frozen=True)
class Format:
    """One instruction: its loop nest (outermost first), walks and fields with offsets."""

    opcode: Opcode
    doc: str
    loops: tuple[str, ...]
    walks: tuple[Walk, ...]
    fields: tuple[Field, ...]

    def __getitem__(self, name: str) -> Field:
        return _by_name(self.opcode)[name]

    def __contains__(self, name: str) -> bool:
        return name in _by_name(self.opcode)

    def walk(self, name: str) -> Walk:
        return next(w for w in self.walks if w.name == name)


def _header(opcode: Opcode) -> list[Field]:
    return [
        Field("opcode", 8, "value", doc=f"0x{opcode:02x}"),
        Field("version", 8, "value", doc=f"{VERSION}"),
        Field("reserved_header", 16, "reserved"),
        Field("wait", 16, doc="semaphores to wait for: each must be above 0, then all go down by 1, before the start"),
        Field("signal", 16, doc="semaphores to raise by 1 when every result of the instruction is in memory"),
    ]


def _counts(loops: Iterable[str]) -> list[Field]:
    return [Field(f"count_{loop}", 16, "count", doc=f"iterations of loop {loop}") for loop in loops]


def _walk(walk: Walk) -> list[Field]:
    steps = [
        Field(f"{walk.name}_step_{loop}", walk.width, signed=True, doc=f"added when loop {loop} advances")
        for loop in walk.loops
    ]
    base = 64 if walk.width == 32 else walk.width
    return [Field(f"{walk.name}_address", base, doc=f"first address, in {walk.unit}"), *steps]


def _bounds() -> list[Field]:
    fields = []
    for axis in "yx":
        fields += [
            Field(
                f"{axis}_start",
                16,
                signed=True,
                doc=f"coordinate {axis} at the first iteration (−padding); never wraps",
            ),
            Field(f"{axis}_stride", 8, doc=f"added to coordinate {axis} when loop {axis} advances"),
            Field(f"{axis}_dilation", 8, doc=f"added to coordinate {axis} when loop k{axis} advances"),
            Field(f"{axis}_limit", 16, doc=f"in bounds while 0 <= {axis} < limit"),
        ]
    return [
        *fields,
        Field("constant", 8, signed=True, doc="operand where a coordinate is out of bounds (no memory read)"),
    ]


def _format(opcode, doc, loops, walks, *groups) -> Format:
    fields, offset = [], 0
    for field in [f for group in (_header(opcode), *groups) for f in group]:
        fields.append(Field(**{**field.__dict__, "offset": offset}))
        offset += field.width
    size = 8 * INSTRUCTION_BYTES
    assert offset <= size, (opcode, offset)
    if offset < size:
        fields.append(Field("reserved", size - offset, "reserved", offset=offset))
    return Format(opcode, doc, tuple(loops), tuple(walks), tuple(fields))


def _dtypes(**allowed: tuple[DType, ...]) -> list[Field]:
    return [Field(name, 4, "dtype", allowed=tuple(map(int, values))) for name, values in allowed.items()]


_DMA_LOOPS = ("z", "y", "x")
_EXTERNAL = Walk("external", _DMA_LOOPS, "bytes of external memory", width=32)
_ONCHIP = Walk("onchip", _DMA_LOOPS, "granules of bus_bytes")
_LENGTH = Field("length", 16, "length", doc="bytes of a run, contiguous on both sides")

_TENSOR_LOOPS = ("n", "k", "ky", "kx", "y", "x")
_TENSOR_WALKS = (
    Walk("activation", _TENSOR_LOOPS, "words of `rows` bytes"),
    Walk("weight", ("n", "k", "ky", "kx"), "words of `columns` bytes; a tile is `rows` consecutive words"),
    Walk("accumulator", _TENSOR_LOOPS, "rows of `columns` int32"),
)

WINDOW = 3
"""Lines, and positions of a line, that the window of a depthwise matmul spans."""

_WINDOW = [
    Field("window", 1, doc="1: depthwise, over a window of 3 x 3 positions; count_x is 3..window_line (else ADDRESS)"),
    Field("window_skip_y", 1, doc="with window: only every second line is written"),
    Field("window_skip_x", 1, doc="with window: only every second position of a line is written"),
    Field("window_lead", 2, doc="with window: lines at the start of a tile that write nothing"),
    Field("reserved_window", 3, "reserved"),
]

_VECTOR_LOOPS = ("n", "y", "x", "ky", "kx")
_VECTOR_WALKS = (
    Walk("source", _VECTOR_LOOPS, "rows: of `columns` int32 (accumulator) or of `columns` bytes (activation)"),
    Walk("residual", ("n", "y", "x"), "rows of `columns` bytes (activation)"),
    Walk("result", ("n", "y", "x"), "rows: of `columns` bytes (activation) or of `columns` int32 (accumulator)"),
    Walk("parameter", ("n",), "rows of `columns` channels"),
)

FORMATS: dict[Opcode, Format] = {
    f.opcode: f
    for f in (
        _format(
            Opcode.LOAD,
            "External memory to on-chip memory. For every iteration of the nest, `length` bytes from `external` go to "
            "consecutive granules from `onchip`; the rest of the last granule becomes `fill`. With `fill_only` nothing is "
            "read and every byte is `fill`. With `transpose` an iteration of z and y moves a block: count_x runs of "
            "`length` bytes (count_x and length at most bus_bytes, else ADDRESS), element j of run i going to byte i of "
            "granule onchip + j · onchip_step_x; onchip does not move with loop x (its steps y and z are made for a stride 0 "
            "of x), and bytes count_x and up of each granule become `fill`. `fill_only` wins over `transpose`.",
            _DMA_LOOPS,
            (_EXTERNAL, _ONCHIP),
            _dtypes(dtype=(DType.INT8,)),
            [
                Field("space", 4, "code", allowed=tuple(map(int, Space)), doc="destination"),
                Field("transpose", 1, doc="transpose blocks"),
                Field("fill_only", 1, doc="write `fill` only"),
                Field("reserved_flags", 6, "reserved"),
                Field("fill", 8, signed=True, doc="value after the end of a run"),
                Field("reserved_fill", 8, "reserved"),
                _LENGTH,
            ],
            _counts(_DMA_LOOPS),
            _walk(_EXTERNAL),
            _walk(_ONCHIP),
        ),
        _format(
            Opcode.MATMUL,
            "Systolic array. For every iteration of n, k, ky, kx one weight tile (`rows` words) becomes active, and for every "
            "iteration of y, x inside it one activation word is multiplied by the tile and added to its accumulator row. "
            "The row is overwritten instead where `accumulate` is 0 and k, ky and kx are all at their first iteration. With "
            "`window` each column multiplies its own channel, over the 3 x 3 words that end with this one (depthwise "
            "convolution, docs/isa-semantics.md).",
            _TENSOR_LOOPS,
            _TENSOR_WALKS,
            _dtypes(
                activation_dtype=(DType.INT8,),
                weight_dtype=(DType.INT8,),
                accumulator_dtype=(DType.INT32,),
            ),
            [
                Field("accumulate", 1, doc="1: add to what the accumulator holds, from the first iteration on"),
                Field("reserved_flags", 3, "reserved"),
            ],
            _counts(_TENSOR_LOOPS),
            *(_walk(w) for w in _TENSOR_WALKS),
            _bounds(),
            _WINDOW,
        ),
        _format(
            Opcode.VECTOR,
            "Vector engine. For every iteration of n, y, x the window ky, kx of source rows is reduced, biased, scaled, "
            "added to a residual, rounded, clipped and looked up (docs/numerics.md), and one result row is written. An int8 "
            "source or result is in the activation scratchpad, an int32 one in the accumulator.",
            _VECTOR_LOOPS,
            _VECTOR_WALKS,
            _dtypes(source_dtype=(DType.INT8, DType.INT32), result_dtype=(DType.INT8, DType.INT32)),
            [
                Field("reduction", 2, "code", allowed=tuple(map(int, Reduction)), doc="over the window: 0 sum, 1 max"),
                Field("per_channel", 1, doc="1: bias, mantissa, shift from parameter memory; 0: from this instruction"),
                Field("residual", 1, doc="1: add the residual operand (int8 results only)"),
                Field("table", 1, doc="1: look the result up (int8 results only)"),
                Field("table_index", 1, doc="which of the two tables"),
                Field("reserved_flags", 2, "reserved"),
                Field("zero_point", 8, signed=True, doc="added after rounding"),
                Field("low", 8, signed=True, doc="lower clip"),
                Field("high", 8, signed=True, doc="upper clip"),
                Field("residual_zero_point", 8, signed=True, doc="subtracted from the residual operand"),
                Field("residual_shift", 8, "code", allowed=tuple(range(64)), doc="with residual_mantissa, its scale"),
                Field("residual_mantissa", 24, doc="scale of the residual: residual_mantissa / 2^residual_shift"),
                Field("bias", 32, signed=True, doc="added after the reduction"),
                Field("mantissa", 24, doc="scale of the result: mantissa / 2^shift"),
                Field("shift", 8, "code", allowed=tuple(range(64)), doc="with mantissa, the scale"),
            ],
            _counts(_VECTOR_LOOPS),
            *(_walk(w) for w in _VECTOR_WALKS),
            _bounds(),
        ),
        _format(
            Opcode.STORE,
            "On-chip memory to external memory. For every iteration of the nest, `length` bytes from consecutive granules "
            "from `onchip` go to `external`. No byte beside them is written.",
            _DMA_LOOPS,
            (_EXTERNAL, _ONCHIP),
            _dtypes(dtype=(DType.INT8,)),
            [
                Field(
                    "space", 4, "code", allowed=(int(Space.ACTIVATION), int(Space.WEIGHT), int(Space.ACCUMULATOR)), doc="source"
                ),
                Field("reserved_flags", 24, "reserved"),
                _LENGTH,
            ],
            _counts(_DMA_LOOPS),
            _walk(_EXTERNAL),
            _walk(_ONCHIP),
        ),
    )
}  # fmt: skip


@cache
def _by_name(opcode: Opcode) -> dict[str, Field]:
    return {f.name: f for f in FORMATS[opcode].fields}


def _wrap(value: int, field: Field) -> int:
    value &= (1 << field.width) - 1
    return value - (1 << field.width) if field.signed and value >> (field.width - 1) else value


class Instruction:
    """An opcode and the values of its fields, each readable as an attribute; fields not given are 0.

    Raises InputError for an unknown field and for a value that does not fit. Legality (counts, codes) is not checked here
    but by ``check``, so that tests can build illegal instructions.
    """

    __slots__ = ("opcode", "values")

    def __init__(self, opcode: Opcode, **values: int):
        self.opcode = Opcode(opcode)
        known = _by_name(self.opcode)
        for name, value in values.items():
            if name not in known:
                raise InputError(f"{self.opcode.name} has no field {name!r}")
            field = known[name]
            low, high = (-(1 << field.width - 1), 1 << field.width - 1) if field.signed else (0, 1 << field.width)
            if not low <= value < high:
                raise InputError(f"{self.opcode.name} field {name} = {value} is outside {low}..{high - 1}")
        self.values = {"opcode": int(self.opcode), "version": VERSION} | {k: int(v) for k, v in values.items()}

    def __getattr__(self, name: str) -> int:
        if name.startswith("__") or name not in _by_name(self.opcode):
            raise AttributeError(name)
        return self.values.get(name, 0)

    def __eq__(self, other) -> bool:
        return isinstance(other, Instruction) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())

    def __repr__(self) -> str:
        fields = ", ".join(f"{k}={v}" for k, v in self.values.items() if v and k not in ("opcode", "version"))
        return f"{self.opcode.name}({fields})"

    def copy(self) -> "Instruction":
        """Another one with the same fields."""
        other = object.__new__(Instruction)
        other.opcode, other.values = self.opcode, dict(self.values)
        return other

    @property
    def format(self) -> Format:
        return FORMATS[self.opcode]

    @property
    def engine(self) -> Engine:
        return ENGINE[self.opcode]

    @property
    def counts(self) -> dict[str, int]:
        """Iterations of each loop, outermost first."""
        return {loop: self.values.get(f"count_{loop}", 0) for loop in self.format.loops}

    def strides(self, walk: str) -> dict[str, int]:
        """The stride of each loop of ``walk`` (modulo the walk's width, as signed numbers)."""
        w = self.format.walk(walk)
        return strides(self.counts, {loop: getattr(self, f"{walk}_step_{loop}") for loop in w.loops}, w.width)

    def encode(self) -> bytes:
        """96 bytes, little-endian."""
        word = 0
        for field in self.format.fields:
            word |= (self.values.get(field.name, 0) & (1 << field.width) - 1) << field.offset
        return word.to_bytes(INSTRUCTION_BYTES, "little")


def walk_fields(opcode: Opcode, walk: str, address: int, counts: Mapping[str, int], **by_loop: int) -> dict[str, int]:
    """Fields ``<walk>_address`` and ``<walk>_step_*`` from an address and the stride of each loop (0 where not given)."""
    w = FORMATS[opcode].walk(walk)
    unknown = set(by_loop) - set(w.loops)
    if unknown:
        raise InputError(f"walk {walk} of {Opcode(opcode).name} has no loop {sorted(unknown)[0]!r}")
    result = {f"{walk}_address": address}
    for loop, step in steps(FORMATS[opcode].loops, counts, by_loop, w.width).items():
        if loop in w.loops:
            result[f"{walk}_step_{loop}"] = step
    return result


def _signed(value: int, width: int) -> int:
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def steps(
    loops: Iterable[str], counts: Mapping[str, int], by_loop: Mapping[str, int], width: int = 16
) -> dict[str, int]:
    """Steps from strides: ``step_l = stride_l − sum over loops i inside l of (count_i − 1) · stride_i``.

    ``loops`` outermost first; counts and strides not given are 1 and 0. Modulo 2**width, signed.
    """
    result, inner = {}, 0
    for loop in reversed(tuple(loops)):
        stride = by_loop.get(loop, 0)
        result[loop] = _signed(stride - inner, width)
        inner += (counts.get(loop, 1) - 1) * stride
    return dict(reversed(result.items()))


def strides(counts: Mapping[str, int], by_loop: Mapping[str, int], width: int = 16) -> dict[str, int]:
    """The inverse of ``steps``; loops without a step have stride 0."""
    result, inner = {}, 0
    for loop in reversed(tuple(counts)):
        stride = by_loop[loop] + inner if loop in by_loop else 0
        result[loop] = _signed(stride, width)
        inner += (counts[loop] - 1) * stride
    return dict(reversed(result.items()))


def check(word: bytes) -> Cause:
    """What the dispatcher says of an encoded instruction: NONE, or the first cause in the order of the Cause codes."""
    value = int.from_bytes(word, "little")
    if value & 0xFF not in FORMATS:
        return Cause.OPCODE
    if value >> 8 & 0xFF != VERSION:
        return Cause.VERSION
    causes = set()
    for f in FORMATS[Opcode(value & 0xFF)].fields:
        raw = value >> f.offset & (1 << f.width) - 1
        if f.kind == "dtype" and raw not in f.allowed:
            causes.add(Cause.DTYPE)
        elif (f.kind == "code" and raw not in f.allowed) or (f.kind == "reserved" and raw):
            causes.add(Cause.FIELD)
        elif f.kind in ("count", "length") and not 1 <= raw <= (MAX_COUNT if f.kind == "count" else MAX_LENGTH):
            causes.add(Cause.COUNT)
    return min(causes, default=Cause.NONE)


def decode(word: bytes) -> Instruction:
    """The instruction in 96 bytes. Raises InputError where ``check`` finds a cause."""
    if len(word) != INSTRUCTION_BYTES:
        raise InputError(f"an instruction has {INSTRUCTION_BYTES} bytes, not {len(word)}")
    cause = check(word)
    if cause:
        raise InputError(f"illegal instruction: {CAUSE_DOC[cause]}")
    value = int.from_bytes(word, "little")
    opcode = Opcode(value & 0xFF)
    fields = {f.name: _wrap(value >> f.offset, f) for f in FORMATS[opcode].fields}
    return Instruction(opcode, **{k: v for k, v in fields.items() if k not in ("opcode", "version") and v})


def encode_program(instructions: Iterable[Instruction]) -> bytes:
    return b"".join(i.encode() for i in instructions)


def decode_program(program: bytes) -> Iterator[Instruction]:
    """Raises InputError naming the offset of the first illegal instruction."""
    if len(program) % INSTRUCTION_BYTES:
        raise InputError(f"program length {len(program)} is not a multiple of {INSTRUCTION_BYTES} bytes")
    for offset in range(0, len(program), INSTRUCTION_BYTES):
        try:
            yield decode(program[offset : offset + INSTRUCTION_BYTES])
        except InputError as error:
            raise InputError(f"at byte {offset}: {error}") from None


def disassemble(instruction: Instruction) -> str:
    """One line: opcode, loops with counts above 1, walks as ``name@address(loop:stride …)``, then the other fields."""
    nest = [f"{loop}:{count}" for loop, count in instruction.counts.items() if count != 1]
    parts = [f"{instruction.opcode.name.lower():7}", f"[{' '.join(nest)}]"]
    shown = {f"count_{loop}" for loop in instruction.counts} | {"opcode", "version"}
    for walk in instruction.format.walks:
        shown |= {f"{walk.name}_address"} | {f"{walk.name}_step_{loop}" for loop in walk.loops}
        by_loop = _shown_strides(instruction, walk)
        address = getattr(instruction, f"{walk.name}_address")
        parts.append(f"{walk.name}@{address:#x}" + (f"({' '.join(by_loop)})" if by_loop else ""))
    enums = {"space": Space, "reduction": Reduction}
    for field in instruction.format.fields:
        value = getattr(instruction, field.name)
        if field.name in shown or not value and field.name != "space":
            continue
        if field.name in ("wait", "signal"):
            text = f"{field.name}={','.join(str(i) for i in range(16) if value >> i & 1)}"
        elif field.kind == "dtype":
            text = f"{field.name}={DType(value).name.lower()}"
        elif field.name in enums:
            text = f"{field.name}={enums[field.name](value).name.lower()}"
        else:
            text = f"{field.name}={value}"
        parts.append(text)
    return " ".join(parts)


def _shown_strides(instruction: Instruction, walk: Walk) -> list[str]:
    counts = instruction.counts
    by_loop, extra = instruction.strides(walk.name), []
    transposed = instruction.opcode == Opcode.LOAD and instruction.transpose and not instruction.fill_only
    if transposed and walk.name == "onchip":
        # Loop x moves along the bytes of a granule; its step is the distance between the elements of a run.
        by_loop = strides(counts, {loop: getattr(instruction, f"onchip_step_{loop}") for loop in ("z", "y")})
        extra = [f"element:{instruction.onchip_step_x}"]
    return [f"{loop}:{stride}" for loop, stride in by_loop.items() if stride and counts[loop] != 1] + extra
