"""When an agent goes ahead and when it pauses."""

from collections.abc import Iterator

import numpy as np

LEVELS = (1.0, 1.0, 0.7, 0.3, 0.05)


def paces(rng: np.random.Generator, levels: tuple[float, ...] = LEVELS, stretch: int = 40) -> Iterator[bool]:
    """One answer a cycle. The probability of going ahead changes every ``stretch`` cycles or so, to one of ``levels``."""
    while True:
        level = rng.choice(levels)
        length = int(rng.integers(1, 2 * stretch))
        yield from (rng.random(length) < level).tolist()


def always() -> Iterator[bool]:
    while True:
        yield True
