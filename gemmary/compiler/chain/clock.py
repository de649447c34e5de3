"""Roughly when the results of a chain are there, so that products that need them can come later."""

from collections.abc import Iterable, Iterator

import numpy as np

from ...config import Config
from ...isa import INSTRUCTION_BYTES
from ..builder import Region

VISIBLE = 12
"""Cycles from the last row into the array to the start of the vector engine, the depth of the array not among them."""

WRITTEN = 20
"""Cycles from the last row that the vector engine takes to the start of a product that reads it; its weights then come first."""


class Clock:
    """Counts what tensor and vector engine do, as if nothing else ever held them up; ``now`` is when the array is free."""

    def __init__(self, config: Config):
        self.config, self.now, self.vector, self.bus = config, 0, 0, 0.0
        self._ready = np.zeros(config.vector_words, np.int64)
        self._depth = VISIBLE + config.array_depth

    def ready(self, regions: Iterable[Region]) -> int:
        """When all of these activations are written."""
        return max((int(self._ready[r.start : r.stop : r.step].max()) for r in regions), default=0)

    def parts(self, words: list[list[Region]], cycles: int) -> Iterator[tuple[int, int]]:
        """(first, count) of channel words, of which each takes ``cycles``, that are there when those before have been taken."""
        ready, start, now = [self.ready(regions) for regions in words], 0, self.now
        while start < len(words):
            now, count = max(now, ready[start]), 1
            while start + count < len(words) and ready[start + count] <= now:
                count += 1
            yield start, count
            start, now = start + count, now + count * cycles

    def product(self, tiles: int, rows: int, reads: Iterable[Region]) -> None:
        """``tiles`` weight tiles meet ``rows`` rows each."""
        self.now = max(self.now, self.ready(reads)) + tiles * max(rows, self.config.rows)

    def load(self, size: int) -> None:
        """``size`` bytes on the bus, and about two instructions; what is multiplied next needs them."""
        self.bus += (size + 2 * INSTRUCTION_BYTES) / self.config.bus_bytes
        self.now = max(self.now, int(self.bus))

    def drain(self, rows: int, writes: Iterable[Region]) -> None:
        """Of what was multiplied last."""
        self._requantize(self.now + self._depth, rows, writes)

    def reduce(self, rows: int, writes: Iterable[Region]) -> None:
        """Of activations that the vector engine has written itself."""
        self._requantize(0, rows, writes)

    def _requantize(self, begin: int, rows: int, writes: Iterable[Region]) -> None:
        self.vector = max(self.vector, begin) + rows * self.config.lane_groups + 1
        for region in writes:
            self._ready[region.start : region.stop : region.step] = self.vector + WRITTEN + self.config.rows
