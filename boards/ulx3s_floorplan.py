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


def _sums(copy: int, column: int, half: int):
    """Below the column: two halves of each of two copies."""
    number = 2 * copy + half
    if column < LAST:
        return 1, column + 1, number
    block = LAST - 2 * (column - LAST)
    return (2, block, 2 + number) if number < 2 else (2, block - 1, number - 2)


def _weight(column: int, number: int):
    """Beside the column, between its two rows of cells; those of the last columns below them."""
    return (0, column + 1, number) if column < LAST else (2, LAST - 2 * (column - LAST), number)


ACTIVATIONS = r"(?:.*\.)?activation\.bank_(\d+)\.shared_(\d+)\.0\.(\d+)"
LEFT = (
    [(row, 0, number) for row in (0, 1) for number in range(4)]
    + [(0, block, number) for block in range(1, 5) for number in (2, 3)]
    + [(row, block, number) for block in range(5) for row in (2, 3) for number in range(4)]
    + [(3, block, number) for block in (5, 6) for number in range(4)]
)
"""Nearest to where the activations enter the array, of what the columns leave."""
RIGHT = [(0, block, number) for block in range(5, 11) for number in (2, 3)] + [
    (3, block, number) for block in range(7, 13) for number in range(4)
]


def _activations(config: Config):
    """The RAMs of a part of all banks together: a part is what a cycle of the vector engine writes."""
    banks, parts = config.activation_banks, config.rows // config.lanes
    each = len(LEFT) // (banks * parts)
    return lambda bank, part, number: LEFT[banks * (each * part + number) + bank]


PAIR: Rules = {
    r"(?:.*\.)?accumulator\.column_(\d+)\.memory\.0\.(\d+)": lambda column, half: _sums(0, column, half),
    r"(?:.*\.)?accumulator\.copy_(\d+)\.shared\.0\.(\d+)": lambda column, half: _sums(1, column, half),
    r"(?:.*\.)?weight\.bank_0\.shared_(\d+)\.0\.(\d+)": _weight,
    r".*\.parameter\.bank_0\.memory\.0\.(\d+)": lambda part: (0, 11, 2 + part) if part < 2 else (0, 12, part),
    r"system\.memory\.lane_(\d+)\.memory\.0\.(\d+)": lambda byte, part: RIGHT[4 * byte + part],
}
"""16 columns of a pair array of two rows of cells, with 2 banks of activations or one, and a clock of its own."""


def place(netlist: dict, config: Config) -> int:
    """Pins the block RAMs of ``netlist``; returns how many."""
    if config.multiplier != "pair":
        return place_block_rams(netlist, PLAIN)
    return place_block_rams(netlist, PAIR | {ACTIVATIONS: _activations(config)})
