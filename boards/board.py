"""What a board is, and which there are."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from importlib import import_module

from amaranth.hdl import Elaboratable

from gemmary.config import Config, preset
from gemmary.errors import InputError

from .chips.chip import Chip

MODULES = {"ulx3s-85f": "boards.ulx3s", "icebreaker": "boards.icebreaker"}


@dataclass(frozen=True)
class Board:
    """A board and the design on it.

    ``clock_mhz`` runs everything, or all but the tensor engine if there is ``compute_mhz``, which ``compute_clocks`` has by preset;
    ``baud`` divides it. ``memory_bytes``: RAM that stands for external memory (0: none, so only presets without DMA). ``seed``: of the router, unless another is asked for. ``platform`` makes the amaranth-boards
    platform and ``design`` the top for it. ``loader``: the name that openFPGALoader knows. ``finish`` changes Yosys' netlist
    of a config after that of the chip has: it gives cells their places. ``pll`` raises InputError for two clocks that cannot be made.
    """

    name: str
    chip: Chip
    preset: str
    clock_mhz: Fraction
    baud: int
    memory_bytes: int
    seed: int
    platform: Callable[[], object]
    design: Callable[["Board", Config], Elaboratable]
    loader: str
    finish: Callable[[dict, Config], object] | None = None
    compute_mhz: Fraction | None = None
    compute_clocks: Mapping[str, Fraction] = field(default_factory=dict)
    pll: Callable[[Fraction, Fraction], object] | None = None

    @cached_property
    def divisor(self) -> int:
        """Cycles a bit of the UART."""
        cycles = self.clock_mhz * 1_000_000 / self.baud
        assert cycles.denominator == 1, f"{self.baud} baud do not divide {float(self.clock_mhz)} MHz"
        return int(cycles)

    def of(self, config: Config) -> "Board":
        """The board with the clocks of ``config``."""
        compute_mhz, chip = self.compute_clocks.get(config.name, self.compute_mhz), self.chip
        if compute_mhz is not None:
            chip = dataclasses.replace(chip, route_options=(*chip.route_options, *chip.fast_options))
        return dataclasses.replace(self, compute_mhz=compute_mhz, chip=chip)

    def computing(self, config: Config, mhz: Fraction) -> "Board":
        """The board with another clock for the tensor engine of ``config``. InputError where that has none of its own, or cannot have
        this one."""
        if config.name not in self.compute_clocks:
            known = ", ".join(self.compute_clocks) or "no preset"
            raise InputError(
                f"COMPUTE_MHZ is for presets whose tensor engine has a clock of its own on {self.name} ({known}), not {config.name}"
            )
        if self.pll:
            self.pll(self.clock_mhz, mhz)
        return dataclasses.replace(self, compute_clocks={**self.compute_clocks, config.name: mhz})

    def config(self, name: str | None = None) -> Config:
        """The preset called ``name`` (default: the board's own). InputError if there is none or the board cannot have it."""
        config = preset(name or self.preset)
        if config.dma and not self.memory_bytes:
            raise InputError(
                f"preset {config.name} needs a memory on its bus, which {self.name} lacks: use {self.preset}"
            )
        return config


def board(name: str) -> Board:
    """The board called ``name``; InputError lists the known ones otherwise."""
    if name not in MODULES:
        raise InputError(f"unknown board {name!r}: choose one of {', '.join(MODULES)}")
    return import_module(MODULES[name]).BOARD
