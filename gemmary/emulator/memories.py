"""The memories of an accelerator, as views of bytes, and the check of every address."""

import numpy as np

from ..config import TABLE_ENTRIES, TABLES, Config
from ..isa import WINDOW, Cause, Space


class Fault(Exception):
    """An instruction stops the accelerator; what it had written by then is not defined."""

    def __init__(self, cause: Cause):
        self.cause = cause
        super().__init__(cause.name)


def check_addresses(addresses: np.ndarray, words: np.ndarray) -> np.ndarray:
    """``addresses`` as an index into ``words``. Fault(ADDRESS) if one is at or beyond its end."""
    if (addresses >= len(words)).any():
        raise Fault(Cause.ADDRESS)
    return addresses.astype(np.intp)


def read_bounded(words: np.ndarray, addresses: np.ndarray, inside: np.ndarray, constant: int) -> np.ndarray:
    """The words at ``addresses``; where not ``inside``, words of ``constant``, and nothing is read or checked."""
    if inside.all():
        return words[check_addresses(addresses, words)]
    result = words[check_addresses(np.where(inside, addresses, 0), words)]
    result[~inside] = constant
    return result


class OnchipMemories:
    """Every on-chip memory, once as bytes and again in the words that each engine addresses.

    ``window`` are the line memories of the tensor engine, upper and lower: [2, position, channel].

    They start with a fixed pseudo-random pattern: nothing may rely on what they hold.
    """

    def __init__(self, config: Config):
        sizes = {
            Space.ACTIVATION: config.activation_bytes,
            Space.WEIGHT: config.weight_bytes,
            Space.ACCUMULATOR: config.accumulator_words * config.accumulator_row_bytes,
            Space.PARAMETER: config.parameter_rows * config.parameter_row_bytes,
            Space.TABLE: TABLES * TABLE_ENTRIES,
        }
        pattern = np.random.default_rng(0x6E61)
        self.bytes = {space: pattern.integers(-128, 128, size, np.int8) for space, size in sizes.items()}

        self.granules = {space: data.reshape(-1, config.bus_bytes) for space, data in self.bytes.items()}
        self.activation_words = self.bytes[Space.ACTIVATION].reshape(-1, config.rows)
        self.activation_rows = self.bytes[Space.ACTIVATION].reshape(-1, config.columns)
        self.weight_words = self.bytes[Space.WEIGHT].reshape(-1, config.columns)
        self.accumulator = self.bytes[Space.ACCUMULATOR].view("<i4").reshape(-1, config.columns)
        self.parameters = self.bytes[Space.PARAMETER].view("<i4").reshape(-1, config.columns, 2)
        self.window = pattern.integers(-128, 128, (WINDOW - 1, config.window_line, config.rows), np.int8)
        self.tables = self.bytes[Space.TABLE].reshape(TABLES, TABLE_ENTRIES)


class ExternalMemory:
    """``size`` bytes from address 0. What lies beyond answers DECERR."""

    def __init__(self, size: int):
        self.bytes = np.zeros(size, np.int8)

    def _runs(self, addresses: np.ndarray, length: int, cause: Cause) -> np.ndarray:
        size = len(self.bytes)
        if length > size or (addresses > np.uint64(size - length)).any():
            raise Fault(cause)
        return np.lib.stride_tricks.sliding_window_view(self.bytes, length, writeable=True)

    def read(self, addresses: np.ndarray, length: int) -> np.ndarray:
        """One row of ``length`` bytes for each address. Fault(BUS_READ) if one is beyond the end."""
        runs = self._runs(addresses, length, Cause.BUS_READ)
        return runs[addresses.astype(np.intp)]

    def write(self, addresses: np.ndarray, rows: np.ndarray) -> None:
        """Writes the row of each address, in order. Fault(BUS_WRITE) if one is beyond the end."""
        runs = self._runs(addresses, rows.shape[1], Cause.BUS_WRITE)
        runs[addresses.astype(np.intp)] = rows
