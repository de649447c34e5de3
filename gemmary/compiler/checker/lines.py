"""The line memories of the tensor engine: a matmul with a window must not compute with lines that nothing has written."""

import numpy as np

from ...config import Config
from ...isa import WINDOW
from .finding import Finding
from .stream import Group, Stream

LINES = WINDOW - 1


class Lines:
    """How many lines each position has taken since the machine was reset, up to the two that it keeps."""

    def __init__(self, config: Config):
        self.config = config
        self.taken = np.zeros(config.window_line, np.int64)

    def begin(self, stream: Stream, findings: list[Finding]) -> None:
        self.stream, self.findings = stream, findings
        self.windows = {}
        for group in stream.groups:
            if "window" in group.fields:
                chosen = np.flatnonzero(group.window).tolist()
                self.windows = {int(group.indices[i]): _shape(group, i) for i in chosen}

    def take(self, index: int) -> None:
        if index not in self.windows:
            return
        tiles, lines, length, lead = self.windows[index]
        name = self.stream.name(index)
        if not WINDOW <= length <= self.config.window_line:
            text = f"{name}: count_x = {length} of a matmul with window must be {WINDOW} to window_line = {self.config.window_line}"
            self.findings.append(Finding("address", (index,), text))
            return
        if lead < min(LINES, lines) and self.taken[:length].min() < LINES - lead:
            text = f"{name} continues an image (window_lead {lead}), but its lines before were not streamed: "
            self.findings.append(Finding("undefined", (index,), text + "start it with window_lead 2"))
        self.taken[:length] = np.minimum(self.taken[:length] + tiles * lines, LINES)


def _shape(group: Group, i: int) -> tuple[int, int, int, int]:
    """(tiles, lines of a tile, positions of a line, lead)."""
    field = {name: int(group.fields[name][i]) for name in group.fields}
    tiles = field["count_n"] * field["count_k"] * field["count_ky"] * field["count_kx"]
    return tiles, field["count_y"], field["count_x"], field["window_lead"]
