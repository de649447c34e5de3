"""What each instruction of a stream touches on the chip."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ...config import TABLE_ENTRIES, TABLES, Config
from ...isa import WINDOW, DType, Opcode, Space
from .pattern import ADDRESSES, Pattern, box, listed, signed, walked
from .stream import Group, Stream

WINDOW_ROWS = WINDOW * WINDOW
"""Rows of a weight tile that count in a matmul with ``window``."""


class Kind(IntEnum):
    """CHECK: it must be inside the memory, and is not touched. ADD reads what it writes."""

    READ = 0
    WRITE = 1
    ADD = 2
    CHECK = 3


@dataclass(frozen=True, slots=True)
class Access:
    """``pattern`` from word ``address`` of a memory, in units of ``unit`` granules. ``operand`` is the name of the walk,
    ``walk`` what ``walked`` makes the pattern from."""

    kind: Kind
    space: Space
    operand: str
    unit: int
    address: int
    pattern: Pattern
    walk: tuple | None = None


def granules(config: Config) -> dict[Space, int]:
    """Granules of ``bus_bytes`` in each memory."""
    size = {
        Space.ACTIVATION: config.activation_bytes,
        Space.WEIGHT: config.weight_bytes,
        Space.ACCUMULATOR: config.accumulator_words * config.accumulator_row_bytes,
        Space.PARAMETER: config.parameter_rows * config.parameter_row_bytes,
        Space.TABLE: TABLES * TABLE_ENTRIES,
    }
    return {space: count // config.bus_bytes for space, count in size.items()}


def accesses(stream: Stream, config: Config) -> list[list[Access]]:
    """For each instruction what it reads, then what it writes."""
    result: list[list[Access]] = [[] for _ in range(stream.size)]
    rules = {Opcode.LOAD: _load, Opcode.MATMUL: _matmul, Opcode.VECTOR: _vector, Opcode.STORE: _store}
    for group in stream.groups:
        if len(group.indices):
            for index, each in zip(group.indices.tolist(), rules[group.opcode](group, config)):
                result[index] = each
    return result


def _walk(group: Group, name: str, still: tuple[str, ...] = ()) -> list[tuple[int, list]]:
    """Of each instruction the address and the (count, stride) of every loop."""
    loops = [field for field in group.fields if field.startswith("count_")]
    counts = [group.fields[field].tolist() for field in loops]
    strides = [s.tolist() for s in group.strides(name, still)]
    dims = zip(*(zip(c, s) for c, s in zip(counts, strides)))
    return list(zip(group.fields[f"{name}_address"].tolist(), map(list, dims)))


def _bounds(group: Group) -> list[tuple]:
    """Of each instruction (start, stride, dilation, limit) along y and x."""
    fields = [group.fields[f"{axis}_{part}"] for axis in "yx" for part in ("start", "stride", "dilation", "limit")]
    return list(zip(*(f.tolist() for f in fields)))


def _load(group: Group, config: Config):
    bus, spaces = config.bus_bytes, [Space(s) for s in group.space.tolist()]
    walks, turned = _walk(group, "onchip"), _walk(group, "onchip", ("x",))
    step = group.onchip_step_x.tolist()
    transposed = (group.transpose & ~group.fill_only & 1).tolist()
    for i, length in enumerate(group.length.tolist()):
        if transposed[i]:
            address, dims = turned[i]
            dims = (*dims[:2], (length, step[i]))
        else:
            address, dims = walks[i]
            dims = (*dims, (-(-length // bus), 1))
        yield [Access(Kind.WRITE, spaces[i], "onchip", 1, address, walked(dims))]


def _store(group: Group, config: Config):
    spaces = [Space(s) for s in group.space.tolist()]
    for space, (address, dims), length in zip(spaces, _walk(group, "onchip"), group.length.tolist()):
        pattern = walked((*dims, (-(-length // config.bus_bytes), 1)))
        yield [Access(Kind.READ, space, "onchip", 1, address, pattern)]


def _matmul(group: Group, config: Config):
    words, columns = config.rows // config.bus_bytes, config.columns // config.bus_bytes
    sums = config.accumulator_row_bytes // config.bus_bytes
    activation, weight, accumulator = (_walk(group, name) for name in ("activation", "weight", "accumulator"))
    bounds, window, added = _bounds(group), group.window.tolist(), group.accumulate.tolist()
    for i, bound in enumerate(bounds):
        result = []
        address, dims = activation[i]
        walk = tuple(dims[:2]), _axes(dims[4:6], dims[2:4], bound)
        if pattern := walked(*walk):
            result.append(Access(Kind.READ, Space.ACTIVATION, "activation", words, address, pattern, walk))
        address, dims = weight[i]
        tile = walked((*dims[:4], (config.rows, 1)))
        if window[i]:
            result.append(Access(Kind.CHECK, Space.WEIGHT, "weight", columns, address, tile))
            tile = walked((*dims[:4], (min(WINDOW_ROWS, config.rows), 1)))
        result.append(Access(Kind.READ, Space.WEIGHT, "weight", columns, address, tile))
        address, dims = accumulator[i]
        pattern = window_rows(group, i) if window[i] else walked(tuple(dims))
        place = Space.ACCUMULATOR, "accumulator", sums, address
        if pattern:
            moves = any(count > 1 and signed(stride) for count, stride in dims[1:4])
            if not added[i] and moves and not window[i]:
                # The first tile of each n is written; the others are added, wherever they lie.
                first = walked((dims[0], *dims[4:]))
                result += [Access(Kind.WRITE, *place, first), Access(Kind.ADD, *place, pattern)]
            else:
                result.append(Access(Kind.ADD if added[i] else Kind.WRITE, *place, pattern))
        yield result


def _axes(inner: list, taps: list, bound: tuple) -> tuple:
    """For ``walked``: loops y, x with their windows' loops, and the bounds of both coordinates."""
    return tuple(
        (count, window, stride, tap, *bound[4 * i : 4 * i + 4])
        for i, ((count, stride), (window, tap)) in enumerate(zip(inner, taps))
    )


def window_rows(group: Group, i: int) -> Pattern | None:
    """The accumulator rows that a matmul with ``window`` writes: its walk stands still where it writes none."""
    field = {name: int(column[i]) for name, column in group.fields.items()}
    y = np.arange(field["count_y"])[:, None] - field["window_lead"]
    x = np.arange(field["count_x"])[None]
    written = (y >= 0) & (x >= WINDOW - 1)
    written = written & ~((y & field["window_skip_y"]).astype(bool) | (x & field["window_skip_x"]).astype(bool))
    if not written.any():
        return None
    step = {loop: field[f"accumulator_step_{loop}"] for loop in ("n", "k", "ky", "kx", "y", "x")}
    steps = np.full(written.shape, step["x"])
    steps[:, -1], steps[-1, -1] = step["y"], 0
    inner = np.concatenate([[0], np.cumsum(steps[written])])
    counts = [field[f"count_{loop}"] for loop in ("n", "k", "ky", "kx")]
    index = np.stack(np.unravel_index(np.arange(np.prod(counts)), counts))
    advancing = np.argmax(np.diff(index, axis=1) != 0, axis=0)  # the outermost loop that changes
    outer = np.array([step["n"], step["k"], step["ky"], step["kx"]])[advancing] * written[-1, -1]
    tiles = np.concatenate([[0], np.cumsum(outer + inner[-1])])
    offsets = (tiles[:, None] + inner[:-1]).ravel()
    return listed((offsets + ADDRESSES // 2) % ADDRESSES - ADDRESSES // 2)


def _vector(group: Group, config: Config):
    columns, sums = config.columns // config.bus_bytes, config.accumulator_row_bytes // config.bus_bytes
    table = TABLE_ENTRIES // config.bus_bytes
    source, residual, result, parameter = (_walk(group, n) for n in ("source", "residual", "result", "parameter"))
    wide_source, wide_result = ((group.fields[f"{n}_dtype"] == DType.INT32).tolist() for n in ("source", "result"))
    flags = zip(*(group.fields[name].tolist() for name in ("residual", "per_channel", "table", "table_index")))
    for i, (bound, (adds, per_channel, looks_up, number)) in enumerate(zip(_bounds(group), flags)):
        accessed = []
        address, dims = source[i]
        walk = tuple(dims[:1]), _axes(dims[1:3], dims[3:5], bound)
        if pattern := walked(*walk):
            space, unit = (Space.ACCUMULATOR, sums) if wide_source[i] else (Space.ACTIVATION, columns)
            accessed.append(Access(Kind.READ, space, "source", unit, address, pattern, walk))
        if adds and not wide_result[i]:
            address, dims = residual[i]
            walk = tuple(dims[:3]), ()
            accessed.append(Access(Kind.READ, Space.ACTIVATION, "residual", columns, address, walked(*walk), walk))
        if per_channel:
            address, dims = parameter[i]
            unit = config.parameter_row_bytes // config.bus_bytes
            accessed.append(Access(Kind.READ, Space.PARAMETER, "parameter", unit, address, walked(tuple(dims[:1]))))
        if looks_up and not wide_result[i]:
            accessed.append(Access(Kind.READ, Space.TABLE, "table", table, number, box(())))
        address, dims = result[i]
        space, unit = (Space.ACCUMULATOR, sums) if wide_result[i] else (Space.ACTIVATION, columns)
        accessed.append(Access(Kind.WRITE, space, "result", unit, address, walked(tuple(dims[:3]))))
        yield accessed
