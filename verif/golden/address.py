"""Loop nests, walks and bounded coordinates, written from docs/isa-semantics.md ("Addresses")."""

from collections.abc import Iterator, Mapping


def iterations(counts: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The index of each loop in each iteration; ``counts`` with the outermost loop first."""
    if not counts:
        yield {}
        return
    (loop, count), *rest = counts.items()
    for index in range(count):
        for inner in iterations(dict(rest)):
            yield {loop: index} | inner


def advances(counts: Mapping[str, int]) -> Iterator[str | None]:
    """After each iteration the loop that advances: the innermost one that has not ended; None after the last."""
    for index in iterations(counts):
        yield next((loop for loop in reversed(index) if index[loop] < counts[loop] - 1), None)


def addresses(counts: Mapping[str, int], start: int, steps: Mapping[str, int], width: int = 16) -> Iterator[int]:
    """The address in each iteration: whenever a loop advances, its step is added, modulo 2**width."""
    address = start
    for loop in advances(counts):
        yield address % 2**width
        address += steps.get(loop, 0)


def strided(counts: Mapping[str, int], start: int, strides: Mapping[str, int], width: int = 16) -> Iterator[int]:
    """The same from strides: start + sum of index · stride."""
    for index in iterations(counts):
        yield (start + sum(index[loop] * strides.get(loop, 0) for loop in counts)) % 2**width


def coordinate(start: int, index: int, stride: int, window_index: int, dilation: int) -> int:
    """An exact coordinate: never wrapped around."""
    return start + index * stride + window_index * dilation


def inside(coordinate: int, limit: int) -> bool:
    return 0 <= coordinate < limit
