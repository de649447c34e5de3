"""The on-chip memories as bytes, and how instructions see them (docs/isa-semantics.md)."""

import numpy as np

from gemmary.config import Config
from gemmary.isa import Space
from verif.golden.array import Window


class Memories:
    """``bytes[space]`` holds a memory; the views below share it. ``window`` holds the line memories, undefined at first."""

    def __init__(self, config: Config, rng: np.random.Generator | None = None):
        self.config = config
        sizes = {
            Space.ACTIVATION: config.activation_bytes,
            Space.WEIGHT: config.weight_bytes,
            Space.ACCUMULATOR: config.accumulator_words * config.accumulator_row_bytes,
            Space.PARAMETER: config.parameter_rows * config.parameter_row_bytes,
            Space.TABLE: 512,
        }
        self.bytes = {space: bytearray(rng.bytes(size) if rng else size) for space, size in sizes.items()}
        self.window = Window(config.window_line)

    def copy(self) -> "Memories":
        other = Memories(self.config)
        for space, content in self.bytes.items():
            other.bytes[space][:] = content
        other.window = self.window.copy()
        return other

    def difference(self, other: "Memories", spaces=Space) -> str:
        """Where two differ, in one sentence; empty if they do not."""
        for space in spaces:
            if bad := differing(self.bytes[space], other.bytes[space]):
                return f"{space.name.lower()}: {bad}"
        return ""

    def view(self, space: Space, dtype: str, width: int) -> np.ndarray:
        """Rows of ``width`` elements."""
        return np.frombuffer(self.bytes[space], dtype).reshape(-1, width)

    @property
    def activation_words(self) -> np.ndarray:
        """Words of ``rows`` int8, as the array reads them."""
        return self.view(Space.ACTIVATION, "i1", self.config.rows)

    @property
    def activation_rows(self) -> np.ndarray:
        """Rows of ``columns`` int8, as the vector engine sees them."""
        return self.view(Space.ACTIVATION, "i1", self.config.columns)

    @property
    def weights(self) -> np.ndarray:
        return self.view(Space.WEIGHT, "i1", self.config.columns)

    @property
    def accumulator(self) -> np.ndarray:
        return self.view(Space.ACCUMULATOR, "<i4", self.config.columns)

    @property
    def tables(self) -> np.ndarray:
        return self.view(Space.TABLE, "i1", 256)

    def parameters(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(bias, mantissa, shift) of each channel of a parameter row; the two upper bits are ignored."""
        words = self.view(Space.PARAMETER, "<u4", 2 * self.config.columns)[row].reshape(-1, 2)
        return words[:, 0].astype(np.int32), words[:, 1] & 0xFFFFFF, words[:, 1] >> 24 & 63


def differing(got: bytes, wanted: bytes) -> str:
    """Which bytes differ, in one sentence; empty if none does."""
    places = np.flatnonzero(np.frombuffer(got, np.uint8) != np.frombuffer(wanted, np.uint8)).tolist()
    if not places:
        return ""
    first = places[0]
    return f"{len(places)} bytes differ, {places[:8]}…: {got[first : first + 8].hex()} should be {wanted[first : first + 8].hex()}"
