"""Load and store instructions for regions of any shape."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..isa import MAX_COUNT, MAX_LENGTH, Opcode, walk_fields


@dataclass(frozen=True)
class Loop:
    """``count`` iterations; strides in bytes of external memory and in granules on the chip."""

    count: int
    external: int
    onchip: int


def transfer_fields(
    opcode: Opcode, bus_bytes: int, external: int, onchip: int, loops: list[Loop], length: int
) -> Iterator[dict[str, int]]:
    """Fields of the instructions that move ``length`` bytes for every iteration of ``loops`` (outermost first).

    ``external`` is a byte address, ``onchip`` a granule; ``length`` is a multiple of ``bus_bytes``. Runs are as long as an
    instruction allows; one instruction is the rule.
    """
    loops, length = _merged([loop for loop in loops if loop.count > 1], length, bus_bytes)
    if length > MAX_LENGTH:
        runs = _equal_runs(length, bus_bytes)
        if runs is None:  # whole runs, then the rest
            head = length // MAX_LENGTH * MAX_LENGTH
            yield from transfer_fields(opcode, bus_bytes, external, onchip, loops, head)
            onchip += head // bus_bytes
            yield from transfer_fields(opcode, bus_bytes, external + head, onchip, loops, length - head)
            return
        length //= runs
        loops = [*loops, Loop(runs, length, length // bus_bytes)]
    if len(loops) > 3 or any(loop.count > MAX_COUNT for loop in loops):
        yield from _unrolled(opcode, bus_bytes, external, onchip, loops, length)
        return
    yield _fields(opcode, external, onchip, loops, length)


def _unrolled(opcode, bus_bytes, external, onchip, loops, length) -> Iterator[dict[str, int]]:
    """Several instructions: each iteration of the shortest loop if there are too many loops, else parts of the longest."""
    choose, step = (min, 1) if len(loops) > 3 else (max, MAX_COUNT)
    split = choose(loops, key=lambda loop: loop.count)
    position = loops.index(split)
    for i in range(0, split.count, step):
        part = Loop(min(step, split.count - i), split.external, split.onchip)
        inner = [*loops[:position], part, *loops[position + 1 :]]
        start = external + i * split.external, onchip + i * split.onchip
        yield from transfer_fields(opcode, bus_bytes, *start, inner, length)


def _merged(loops: list[Loop], length: int, bus_bytes: int) -> tuple[list[Loop], int]:
    """Fewer loops and longer runs where both sides continue without a gap."""
    merged: list[Loop] = []
    for inner in reversed(loops):
        if not merged and inner.external == length and inner.onchip * bus_bytes == length:
            length *= inner.count
        elif (
            merged
            and inner.external == merged[0].count * merged[0].external
            and inner.onchip == merged[0].count * merged[0].onchip
            and inner.count * merged[0].count <= MAX_COUNT
        ):
            merged[0] = Loop(inner.count * merged[0].count, merged[0].external, merged[0].onchip)
        else:
            merged.insert(0, inner)
    return merged, length


def _equal_runs(length: int, bus_bytes: int) -> int | None:
    """How many equal runs ``length`` makes; None if they would be short."""
    least = -(-length // MAX_LENGTH)
    for runs in range(least, min(2 * least, MAX_COUNT) + 1):
        if length % (runs * bus_bytes) == 0:
            return runs
    return None


def _fields(opcode: Opcode, external: int, onchip: int, loops: list[Loop], length: int) -> dict[str, int]:
    by_loop = dict(zip("xyz", reversed(loops)))
    counts = {loop: by_loop[loop].count if loop in by_loop else 1 for loop in "zyx"}
    return (
        {"length": length}
        | {f"count_{loop}": count for loop, count in counts.items()}
        | walk_fields(opcode, "external", external, counts, **{k: v.external for k, v in by_loop.items()})
        | walk_fields(opcode, "onchip", onchip, counts, **{k: v.onchip for k, v in by_loop.items()})
    )
