"""Programs that must stop the accelerator, each with one fault."""

from collections.abc import Iterator
from dataclasses import dataclass

from gemmary.config import SEMAPHORE_MAX, Config
from gemmary.isa import (
    ENGINE,
    FORMATS,
    INSTRUCTION_BYTES,
    MAX_COUNT,
    MAX_LENGTH,
    Cause,
    DType,
    Engine,
    Instruction,
    Opcode,
    Space,
    encode_program,
)


@dataclass(frozen=True)
class IllegalCase:
    """``program`` raises DeviceError(cause, offset, engine); ``engine`` is None where the dispatcher or the fetch finds it.

    The watchdog's cases need a limit that is short enough to wait for. External memory must end below the last 4 KiB of
    the address space.
    """

    name: str
    program: bytes
    cause: Cause
    offset: int
    engine: Engine | None


def illegal_programs(config: Config) -> list[IllegalCase]:
    return [
        *_bad_programs(),
        *_bad_headers(),
        *_bad_fields(),
        *_bad_onchip_addresses(config),
        *_bad_external_addresses(config),
        *_bad_semaphores(),
    ]


def harmless(opcode: Opcode, **fields: int) -> Instruction:
    """A legal instruction of one iteration at address 0, with ``fields`` changed. It need not be able to run: a matmul or
    vector instruction reads whatever is there."""
    form = FORMATS[opcode]
    values = {f"count_{loop}": 1 for loop in form.loops}
    values |= {field.name: field.allowed[0] for field in form.fields if field.kind == "dtype"}
    if "length" in form:
        values["length"] = 1
    if "y_limit" in form:
        values |= {"y_limit": 1, "x_limit": 1}
    return Instruction(opcode, **(values | fields))


def _case(name: str, *bad: Instruction | bytes, cause: Cause, engine: Engine | None = None, at: int = 0) -> IllegalCase:
    """After a good instruction ``bad``, of which number ``at`` is the offending one; then one more good one."""
    good = harmless(Opcode.LOAD, fill_only=1)
    parts = [good, *bad, good]
    program = b"".join(part.encode() if isinstance(part, Instruction) else part for part in parts)
    return IllegalCase(name, program, cause, (1 + at) * INSTRUCTION_BYTES, engine)


def _raw(opcode: Opcode, name: str, value: int) -> bytes:
    """A harmless instruction with any ``value`` in the bits of field ``name``."""
    field = FORMATS[opcode][name]
    word = int.from_bytes(harmless(opcode).encode(), "little")
    mask = (1 << field.width) - 1 << field.offset
    return (word & ~mask | value << field.offset).to_bytes(INSTRUCTION_BYTES, "little")


def _bad_programs() -> Iterator[IllegalCase]:
    good = encode_program([harmless(Opcode.LOAD, fill_only=1)])
    yield IllegalCase("program-empty", b"", Cause.PROGRAM, 0, None)
    yield IllegalCase("program-cut-off", good + good[:-4], Cause.PROGRAM, 0, None)


def _bad_headers() -> Iterator[IllegalCase]:
    flipped = {opcode ^ 1 << bit for opcode in Opcode for bit in range(8)}
    for code in sorted({0x00, 0xFF} | flipped - set(Opcode)):
        yield _case(f"opcode-{code:02x}", _raw(Opcode.LOAD, "opcode", code), cause=Cause.OPCODE)
    for opcode in Opcode:
        for version in (0, 2, 0x81):
            word = _raw(opcode, "version", version)
            yield _case(f"{opcode.name}-version-{version}", word, cause=Cause.VERSION)


def _bad_fields() -> Iterator[IllegalCase]:
    for opcode in Opcode:
        for field in FORMATS[opcode].fields:
            bits = (0, field.width - 1)
            if field.kind == "reserved":
                values, cause = {1 << bit for bit in bits}, Cause.FIELD
            elif field.kind == "dtype":
                values = set(range(1 << field.width)) - set(field.allowed)
                values, cause = values & {0, 1, 2, 3, 5, 9, 15}, Cause.DTYPE
            elif field.kind == "code":
                values = set(range(1 << field.width)) - set(field.allowed)
                values, cause = {min(values), max(values)}, Cause.FIELD
            elif field.kind in ("count", "length"):
                most = MAX_COUNT if field.kind == "count" else MAX_LENGTH
                values, cause = {0, most + 1, 0x8000, 0xFFFF}, Cause.COUNT
            else:
                continue
            for value in sorted(values):
                yield _case(f"{opcode.name}-{field.name}-{value:x}", _raw(opcode, field.name, value), cause=cause)


def _depths(config: Config) -> dict[Space, int]:
    """In granules."""
    sizes = {
        Space.ACTIVATION: config.activation_bytes,
        Space.WEIGHT: config.weight_bytes,
        Space.ACCUMULATOR: config.accumulator_words * config.accumulator_row_bytes,
        Space.PARAMETER: config.parameter_rows * config.parameter_row_bytes,
        Space.TABLE: 512,
    }
    return {space: size // config.bus_bytes for space, size in sizes.items()}


def _bad_onchip_addresses(config: Config) -> Iterator[IllegalCase]:
    for opcode in (Opcode.LOAD, Opcode.STORE):
        for space in map(Space, FORMATS[opcode]["space"].allowed):
            depth = _depths(config)[space]
            fields = {"space": space} | ({"fill_only": 1} if opcode == Opcode.LOAD else {})
            name = f"{opcode.name}-{space.name}"
            yield from _beyond(name, opcode, "onchip", depth, **fields)
            if depth < 1 << 16:
                # The run's first granule is the last of the memory.
                word = harmless(opcode, onchip_address=depth - 1, length=config.bus_bytes + 1, **fields)
                yield _address_case(f"{name}-run", word)
    yield from _beyond("MATMUL", Opcode.MATMUL, "activation", config.activation_words)
    yield from _beyond("MATMUL", Opcode.MATMUL, "accumulator", config.accumulator_words)
    if config.weight_words < 1 << 16:
        # The last word of the tile is the first beyond the memory.
        yield from _beyond("MATMUL", Opcode.MATMUL, "weight", config.weight_words - config.rows + 1)
    yield from _bad_windows(config)
    for dtype, depth in ((DType.INT8, config.vector_words), (DType.INT32, config.accumulator_words)):
        yield from _beyond(f"VECTOR-{dtype.name}", Opcode.VECTOR, "source", depth, source_dtype=dtype)
        yield from _beyond(f"VECTOR-{dtype.name}", Opcode.VECTOR, "result", depth, result_dtype=dtype)
    yield from _beyond("VECTOR", Opcode.VECTOR, "residual", config.vector_words, residual=1)
    yield from _beyond("VECTOR", Opcode.VECTOR, "parameter", config.parameter_rows, per_channel=1)
    yield from _bad_transposes(config)


def _beyond(name: str, opcode: Opcode, walk: str, depth: int, **fields: int) -> Iterator[IllegalCase]:
    """The first address is at ``depth``, or the second one in each loop is there, or wraps around below 0."""
    if depth >= 1 << 16:
        return  # every address is legal
    yield _address_case(f"{name}-{walk}-first", harmless(opcode, **fields, **{f"{walk}_address": depth}))
    for loop in FORMATS[opcode].walk(walk).loops:
        # Coordinates have stride 0 here: the second iteration is in bounds like the first.
        above = {f"count_{loop}": 2, f"{walk}_address": depth - 1, f"{walk}_step_{loop}": 1}
        below = {f"count_{loop}": 2, f"{walk}_address": 0, f"{walk}_step_{loop}": -1}
        yield _address_case(f"{name}-{walk}-{loop}", harmless(opcode, **fields, **above))
        yield _address_case(f"{name}-{walk}-{loop}-below-0", harmless(opcode, **fields, **below))


def _bad_windows(config: Config) -> Iterator[IllegalCase]:
    """A line too short or too long, any line where there is no window, and operands beyond their memories."""
    lines = {1, 2, 3, 4, 16, config.window_line + 1, MAX_COUNT} - set(range(3, config.window_line + 1))
    wrong = {f"line-{x}": {"count_x": x} for x in sorted(lines) if x <= MAX_COUNT}
    if config.window_line:
        end, last = config.accumulator_words, config.accumulator_words - 1
        on, late = {"count_x": 4, "accumulator_step_x": 1}, {"count_y": 3, "window_lead": 2, "count_x": 4}
        wrong |= {
            # The line memories may hold anything: nobody sees these sums.
            "accumulator-first": {"count_x": 3, "accumulator_address": end},
            "accumulator-second": {**on, "accumulator_address": last},
            "accumulator-below-0": {**on, "accumulator_step_x": -1},
            "accumulator-late": {**late, "accumulator_address": end},
            "accumulator-skip": {
                **on,
                "count_x": 5,
                "window_skip_x": 1,
                "accumulator_step_x": 0x7FFF,
                "accumulator_address": 1,
            },
            "accumulator-line": {**late, "count_y": 4, "accumulator_step_y": 1, "accumulator_address": last},
            "accumulator-tile": {**late, "count_n": 2, "accumulator_step_n": 1, "accumulator_address": last},
            # Words are read and tiles are loaded also where nothing is written.
            "activation": {**late, "window_lead": 3, "activation_address": config.activation_words},
            "activation-last": {
                **on,
                "window_skip_x": 1,
                "activation_step_x": 1,
                "activation_address": config.activation_words - 3,
            },
            "weight": {**late, "window_lead": 3, "weight_address": config.weight_words - config.rows + 1},
        }
    for name, fields in wrong.items():
        yield _address_case(f"MATMUL-window-{name}", harmless(Opcode.MATMUL, window=1, **fields))


def _bad_transposes(config: Config) -> Iterator[IllegalCase]:
    bus = config.bus_bytes
    depth = _depths(config)[Space.TABLE]
    transposed = {"transpose": 1, "space": Space.TABLE, "onchip_step_x": 1}
    wrong = {
        "long": {"length": bus + 1},
        "many": {"count_x": bus + 1},
        "element": {"length": 2, "onchip_address": depth - 1},
        "block": {"count_y": 2, "onchip_step_y": 1, "onchip_address": depth - 1},
    }
    for name, fields in wrong.items():
        yield _address_case(f"LOAD-transpose-{name}", harmless(Opcode.LOAD, **transposed, **fields))


def _address_case(name: str, word: Instruction) -> IllegalCase:
    return _case(f"{name}-address", word, cause=Cause.ADDRESS, engine=ENGINE[word.opcode])


def _bad_external_addresses(config: Config) -> Iterator[IllegalCase]:
    page = 4096
    end = 1 << config.address_bits
    wrong = {
        "first": {"external_address": end - page},
        "wrapped": {"external_address": end - 1, "length": 2},
        "below-0": {"count_x": 2, "external_step_x": -page},
        "later": {"count_x": 2, "external_step_x": 0x7FFF_FFFF},
        "long-way": {"count_y": 2, "external_step_y": -1},
    }
    for opcode, cause in ((Opcode.LOAD, Cause.BUS_READ), (Opcode.STORE, Cause.BUS_WRITE)):
        for name, fields in wrong.items():
            # Results over one another, so that only the external address is wrong.
            word = harmless(opcode, **fields)
            yield _case(f"{opcode.name}-external-{name}", word, cause=cause, engine=ENGINE[opcode])


def _bad_semaphores() -> Iterator[IllegalCase]:
    for opcode in Opcode:
        engine = ENGINE[opcode]
        # The first wait is served, the second by nobody.
        signal, wait = harmless(opcode, signal=1 << 3), harmless(opcode, wait=1 << 3)
        words = signal, wait, wait
        yield _case(f"{opcode.name}-waits-for-ever", *words, cause=Cause.WATCHDOG, engine=engine, at=2)
        word = harmless(opcode, wait=0b11 << 14)
        one_of_two = harmless(opcode, signal=1 << 15)
        yield _case(f"{opcode.name}-waits-for-one-of-two", one_of_two, word, cause=Cause.WATCHDOG, engine=engine, at=1)
        words = [harmless(opcode, signal=1 << 15)] * (SEMAPHORE_MAX + 1)
        cause = Cause.SEMAPHORE_OVERFLOW
        yield _case(f"{opcode.name}-overflow", *words, cause=cause, engine=engine, at=SEMAPHORE_MAX)
