"""An instruction and itself: a vector instruction must not read a row that another of its iterations writes."""

from functools import lru_cache

import numpy as np

from ...isa import DType, Opcode
from .accesses import Access, Kind
from .finding import Finding
from .pattern import ADDRESSES
from .stream import Group, Stream


def check_within(stream: Stream, accesses: list[list[Access]]) -> list[Finding]:
    """No row that one iteration writes is read by another."""
    findings = []
    for group in stream.groups:
        if group.opcode == Opcode.VECTOR:
            strides = {name: group.strides(name) for name in ("source", "residual", "result")}
            for i, index in enumerate(group.indices.tolist()):
                if _may_meet(accesses[index]) and _meets(*_geometry(group, strides, i)):
                    text = f"{stream.name(index)} reads a row that another of its iterations writes: "
                    fix = "write the result elsewhere, or read and write each row in the same iteration"
                    findings.append(Finding("within", (index,), text + fix))
    return findings


def check_blocks(stream: Stream, bus_bytes: int) -> list[Finding]:
    """Transposed blocks fit their granules."""
    findings = []
    for group in stream.groups:
        if group.opcode == Opcode.LOAD:
            wide = np.maximum(group.length, group.count_x) > bus_bytes
            for i in np.flatnonzero(group.transpose & ~group.fill_only & wide).tolist():
                index = int(group.indices[i])
                text = f"{stream.name(index)} transposes a block of more than bus_bytes = {bus_bytes}: "
                findings.append(Finding("address", (index,), text + "lessen length and count_x"))
    return findings


def _may_meet(accessed: list[Access]) -> bool:
    """Whether some row that is read is among those written, as far as first and last rows tell."""
    result = accessed[-1]
    low, high = _span(result)
    return any(
        a.kind == Kind.READ and a.space == result.space and not (_span(a)[1] < low or _span(a)[0] > high)
        for a in accessed[:-1]
    )


def _span(access: Access) -> tuple[int, int]:
    """First and last word; the whole range where it wraps around."""
    low, high = access.address + access.pattern.low, access.address + access.pattern.high
    return (low, high) if low >= 0 and high < ADDRESSES else (0, ADDRESSES - 1)


def _geometry(group: Group, all_strides: dict, i: int) -> tuple:
    """All that ``_meets`` takes, with addresses relative to the result's."""
    counts = tuple(int(group.fields[f"count_{loop}"][i]) for loop in ("n", "y", "x", "ky", "kx"))
    strides = {name: tuple(int(s[i]) for s in columns) for name, columns in all_strides.items()}
    bounds = tuple(
        int(group.fields[f"{axis}_{part}"][i]) for axis in "yx" for part in ("start", "stride", "dilation", "limit")
    )
    own = int(group.result_address[i])
    source = int(group.source_address[i]) - own if group.source_dtype[i] == group.result_dtype[i] else None
    adds = group.residual[i] and group.result_dtype[i] == DType.INT8
    residual = int(group.residual_address[i]) - own if adds else None
    return counts, strides["source"], strides["residual"], strides["result"], bounds, source, residual


@lru_cache(maxsize=1 << 12)
def _meets(counts, source_strides, residual_strides, result_strides, bounds, source, residual) -> bool:
    n, y, x, ky, kx = (np.arange(count).reshape(-1, *(1,) * i) for count, i in zip(counts, (4, 3, 2, 1, 0)))
    index = (n, y, x, ky, kx)

    def rows(base, strides):
        return (base + sum(i * (s % ADDRESSES) for i, s in zip(index, strides))) % ADDRESSES

    iteration = np.arange(counts[0] * counts[1] * counts[2]).reshape(*counts[:3], 1, 1)
    written = np.broadcast_to(rows(0, result_strides)[..., :1, :1], iteration.shape)  # whatever the window
    first, last = np.full(ADDRESSES, iteration.size), np.full(ADDRESSES, -1)
    np.minimum.at(first, written.ravel(), iteration.ravel())
    np.maximum.at(last, written.ravel(), iteration.ravel())

    def others(read, inside):
        shape = np.broadcast_shapes(read.shape, iteration.shape, np.shape(inside))
        read, own, inside = (np.broadcast_to(a, shape) for a in (read, iteration, inside))
        met = (last[read] >= 0) & ((first[read] != own) | (last[read] != own))
        return bool((met & inside).any())

    inside = np.True_
    for (start, step, dilation, limit), i, k in zip((bounds[:4], bounds[4:]), (y, x), (ky, kx)):
        coordinate = start + i * step + k * dilation
        inside = inside & (coordinate >= 0) & (coordinate < limit)
    if source is not None and others(rows(source, source_strides), inside):
        return True
    return residual is not None and others(rows(residual, residual_strides), np.True_)
