"""The rows of a matrix product as `nano` walks them, written from the docstrings of hdl/nano/rows.py and `Out`, `Mode`."""

from dataclasses import dataclass

from gemmary.config import Config

ADDRESSES = 1 << 16
"""Addresses wrap here; coordinates do not."""


@dataclass
class Setup:
    """What the ports set up; ``x`` is the coordinate of the first row."""

    activation: int = 0
    activation_step: int = 0
    accumulator: int = 0
    accumulator_step: int = 0
    x: int = 0
    stride: int = 0
    limit: int = 0
    y_inside: bool = False

    def advance(self) -> None:
        self.activation = (self.activation + self.activation_step) % ADDRESSES
        self.accumulator = (self.accumulator + self.accumulator_step) % ADDRESSES


@dataclass(frozen=True)
class Row:
    inside: bool
    activation: int
    accumulator: int


def walk(config: Config, setup: Setup, count: int) -> tuple[list[Row], bool]:
    """The rows that are sent, and whether one failed: it and those after it are not. Leaves the last row in ``setup``.

    The address of an activation that is out of bounds is not used, hence not checked.
    """
    rows = []
    for number in range(count):
        if number:
            setup.advance()
        x = setup.x + number * setup.stride
        inside = setup.y_inside and 0 <= x < setup.limit
        if setup.accumulator >= config.accumulator_words or inside and setup.activation >= config.activation_words:
            return rows, True
        rows.append(Row(inside, setup.activation, setup.accumulator))
    return rows, False
