"""Where the block RAMs of the ULX3S' presets lie: (row, block, number), by their names."""

from gemmary.config import Config

from .chips.ecp5_floorplan import Rules, place_block_rams

SPREAD, BETWEEN = (1, 2, 4, 5, 7, 8, 10, 11), (0, 3, 6, 9, 12)
"""Blocks of RAMs: one for each of eight columns of the array, along it, and those between them."""

PLAIN: Rules = {
    # A byte of all banks together: they share the data that are written, and a multiplexer of what is read.
    r".*\.activation\.bank_(\d+)\.memory\.0\.(\d+)": lambda bank, byte: (byte % 2, SPREAD[byte // 2 % 8], bank),
    r".*\.accumulator\.bank_(\d+)\.column_(\d+)\.memory\.0\.0": lambda bank, column: (2, SPREAD[column % 8], bank),
    r".*\.parameter\.bank_0\.memory\.0\.(\d+)": lambda part: (2, SPREAD[part % 8], 2),
    # A column's weights.
    r".*\.weight\.bank_0\.memory\.0\.(\d+)": lambda part: (part // 4 < 5, BETWEEN[part // 4 % 5], part % 4),
    r"system\.memory\.lane_(\d+)\.memory\.0\.(\d+)": lambda byte, part: (3, SPREAD[byte % 8], part),
}
"""8 columns of the plain array, with 4 banks of activations."""

LAST = 12
"""Columns of a pair array that lie side by side; what is more lies in the row of multipliers below, two blocks each, from the
right."""


def _weight(part: int):
    """A nibble of a column: beside the column, between its two rows of cells."""
    column, nibble = divmod(part, 2)
    return (0, column + 1, nibble) if column < LAST else (1, LAST - 2 * (column - LAST), 2 + nibble)


def _accumulator(bank: int, column: int):
    """Below the column."""
    return (1, column + 1, bank) if column < LAST else (1, LAST - 1 - 2 * (column - LAST), 2 + bank)


def _activation(bank: int, nibble: int):
    """A byte of both banks together, in the left half, where the activations enter the array."""
    byte = nibble // 2
    return 2 + byte % 2, byte // 2, 2 * bank + nibble % 2


PAIR: Rules = {
    r".*\.activation\.bank_(\d+)\.memory\.0\.(\d+)": _activation,
    r".*\.accumulator\.bank_(\d+)\.column_(\d+)\.memory\.0\.0": _accumulator,
    r".*\.weight\.bank_0\.memory\.0\.(\d+)": _weight,
    r".*\.parameter\.bank_0\.memory\.0\.(\d+)": lambda part: (2, 12, part),
    r"system\.memory\.lane_(\d+)\.memory\.0\.(\d+)": lambda byte, part: (2 + byte % 2, 8 + byte // 2, part),
}
"""16 columns of a pair array of two rows of cells, with 2 banks of activations."""


def place(netlist: dict, config: Config) -> int:
    """Pins the block RAMs of ``netlist``; returns how many."""
    return place_block_rams(netlist, PAIR if config.multiplier == "pair" else PLAIN)
