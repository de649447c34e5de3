"""The configuration of an accelerator: one frozen dataclass, its derived sizes, and the presets."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from .errors import InputError

TABLE_ENTRIES = 256
TABLES = 2
SEMAPHORES = 16
SEMAPHORE_MAX = 63
BURST_BEATS = 32
"""A burst stays inside one aligned block of this many beats, and so inside 4 KiB: the bus has at most 32 bytes. With 16 outstanding
bursts 512 cycles of latency are covered, and an instruction fetch never waits for more than 512 beats of data."""
PARAMETER_BYTES = 8  # a channel: int32 bias, then mantissa (24 bits) and shift (8 bits)


@dataclass(frozen=True)
class Config:
    """What an accelerator is made of.

    ``rows`` (K) and ``columns`` (N) size the systolic array. The activation scratchpad holds words of ``rows`` bytes in
    ``activation_banks`` interleaved banks; the weight scratchpad words of ``columns`` bytes; each of the two accumulator
    banks ``accumulator_rows`` rows of ``columns`` int32; the parameter memory ``parameter_rows`` rows of ``columns``
    channels. ``lanes`` is the number of elements that the vector engine takes a cycle. ``bus_bytes`` is the width of the
    memory bus, and the granule in which DMA addresses on-chip memory. ``dma`` False leaves out AXI, fetch, load and
    store: the host link writes the scratchpads and pushes the instructions, and one microcoded engine executes them.
    ``window_line`` is the longest line of a depthwise matmul, in activation words, 0 for an array that knows none.
    ``multiplier`` "pair" makes the array of half as many multipliers, each for two rows at once.

    Raises InputError, naming the field, for anything inconsistent.
    """

    name: str
    rows: int
    columns: int
    lanes: int
    activation_bytes: int
    weight_bytes: int
    accumulator_rows: int
    bus_bytes: int
    activation_banks: int = 4
    parameter_rows: int = 64
    window_line: int = 0
    dot: int = 4
    multiplier: str = "plain"
    queue_depth: int = 4
    outstanding: int = 16
    address_bits: int = 40
    id_bits: int = 4
    scratchpad_ports: str = "1r1w"
    dma: bool = True
    counters: bool = True

    def __post_init__(self):
        def check(condition, field, message):
            if not condition:
                raise InputError(f"config field {field} = {getattr(self, field)!r}: {message}")

        for field in dataclasses.fields(self):
            if field.type is int:
                value = getattr(self, field.name)
                least = 0 if field.name == "window_line" else 1
                check(type(value) is int and value >= least, field.name, "must be a positive integer")
        powers = ("rows", "columns", "lanes", "activation_bytes", "weight_bytes", "accumulator_rows", "bus_bytes")
        for field in (
            *powers,
            "activation_banks",
            "parameter_rows",
            "window_line",
            "dot",
            "queue_depth",
            "outstanding",
        ):
            value = getattr(self, field)
            check(value & (value - 1) == 0, field, "must be a power of two")
        check(2 <= self.rows <= 64, "rows", "must be 2 to 64")
        check(self.columns <= self.rows, "columns", f"must not exceed rows = {self.rows}")
        check(self.columns >= 2, "columns", "must be at least 2")
        check(self.lanes <= self.columns, "lanes", f"must not exceed columns = {self.columns}")
        check(self.dot <= self.rows, "dot", f"must not exceed rows = {self.rows}")
        check(4 <= self.bus_bytes <= 32, "bus_bytes", "must be 4 to 32")
        check(self.bus_bytes <= self.columns, "bus_bytes", f"must not exceed columns = {self.columns}")
        check(self.activation_banks <= 16, "activation_banks", "must not exceed 16")
        for field, width in (("activation_bytes", self.rows), ("weight_bytes", self.columns)):
            words = getattr(self, field) // width
            least = 2 * (self.activation_banks if field == "activation_bytes" else self.rows)
            check(words >= least, field, f"must hold at least {least} words of {width} bytes")
            check(words <= 1 << 16, field, f"must hold at most {1 << 16} words of {width} bytes")
        check(2 <= self.accumulator_rows <= 4096, "accumulator_rows", "must be 2 to 4096")
        check(self.parameter_rows <= 1024, "parameter_rows", "must not exceed 1024")
        if self.window_line:
            check(4 <= self.window_line <= 4096, "window_line", "must be 0, or 4 to 4096")
            check(self.rows == self.columns >= 16, "window_line", "must be 0 unless rows = columns >= 16")
            check(self.dma, "window_line", "must be 0 without dma")
        check(self.multiplier in ("plain", "pair"), "multiplier", 'must be "plain" or "pair"')
        if self.multiplier == "pair":
            check(self.dot >= 2, "dot", 'must be at least 2 with multiplier = "pair"')
            check(self.window_line == 0, "window_line", 'must be 0 with multiplier = "pair"')
            check(self.dma, "multiplier", 'must be "plain" without dma')
        check(2 <= self.queue_depth <= 64, "queue_depth", "must be 2 to 64")
        check(2 <= self.outstanding <= 64, "outstanding", "must be 2 to 64")
        check(32 <= self.address_bits <= 64, "address_bits", "must be 32 to 64")
        check(self.id_bits <= 8, "id_bits", "must not exceed 8")
        if not self.dma:
            # The microcoded machine (hdl/nano) has one shape.
            for field, only in (("rows", 4), ("columns", 4), ("lanes", 1), ("bus_bytes", 4), ("activation_banks", 1)):
                check(getattr(self, field) == only, field, f"must be {only} without dma")
            for field, low, high in (
                ("activation_bytes", 1 << 10, 1 << 16),
                ("weight_bytes", 1 << 10, 1 << 16),
                ("accumulator_rows", 128, 2048),
                ("parameter_rows", 8, 1024),
            ):
                check(low <= getattr(self, field) <= high, field, f"must be {low} to {high} without dma")
            check(not self.counters, "counters", "must be False without dma")
            check(self.address_bits <= 42, "address_bits", "must not exceed 42 without dma")
        check(self.scratchpad_ports in ("1r1w", "1rw"), "scratchpad_ports", 'must be "1r1w" or "1rw"')

    # Depths, in words of each memory.
    @property
    def activation_words(self) -> int:
        return self.activation_bytes // self.rows

    @property
    def weight_words(self) -> int:
        return self.weight_bytes // self.columns

    @property
    def accumulator_words(self) -> int:
        """Rows of both banks: bank 0 first."""
        return 2 * self.accumulator_rows

    @property
    def vector_words(self) -> int:
        """The activation scratchpad in rows of ``columns`` bytes, as the vector engine addresses it."""
        return self.activation_bytes // self.columns

    # Bytes of one word of each space, and of the whole space.
    @property
    def accumulator_row_bytes(self) -> int:
        return 4 * self.columns

    @property
    def parameter_row_bytes(self) -> int:
        return PARAMETER_BYTES * self.columns

    @property
    def psum_bits(self) -> int:
        """Width of an exact sum of ``rows`` products of int8: |sum| <= rows * 2**14."""
        return 16 + (self.rows - 1).bit_length()

    @property
    def array_depth(self) -> int:
        """Cycles that a row takes through the array, its multipliers not among them."""
        cells = self.rows // self.dot
        return self.columns + (2 * cells + 1 if self.multiplier == "pair" else cells)

    @property
    def lane_groups(self) -> int:
        """Cycles in which the vector engine takes one row."""
        return self.columns // self.lanes

    @property
    def macs_per_cycle(self) -> int:
        return self.rows * self.columns

    @cached_property
    def identity(self) -> int:
        """32-bit hash of everything but the name: programs carry it, and devices refuse a foreign one."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if k != "name"}
        return int.from_bytes(hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()[:4], "little")


PRESETS = {
    config.name: config
    for config in (
        Config("base", 16, 16, 16, 128 << 10, 64 << 10, 512, 16, activation_banks=8, window_line=256),
        Config("small", 8, 8, 8, 32 << 10, 16 << 10, 128, 8),
        # One MAC a DSP multiplier: 128 of 156, the rest for the requantizer.
        Config("ulx3s-85f", 16, 8, 4, 128 << 10, 64 << 10, 512, 8),
        # Two MACs a DSP multiplier: 142 of 156 for the array, its two terms among them, 12 for the requantizer. What costs wires
        # and does little for the clock cycles is small.
        Config(
            "ulx3s-pair", 16, 16, 2, 128 << 10, 64 << 10, 512, 8,
            activation_banks=2, outstanding=4, address_bits=32, dot=8, multiplier="pair",
        ),
        # Twice as many rows, half of whose products are made in look-up tables; the control had no room for counters.
        Config(
            "ulx3s-mixed", 32, 16, 2, 128 << 10, 64 << 10, 512, 8,
            activation_banks=1, outstanding=4, address_bits=32, queue_depth=2, counters=False, dot=16, multiplier="pair",
        ),
        # iCE40UP5K: four SPRAMs as two 1RW scratchpads, no AXI, one serial requantizer.
        Config(
            "nano", 4, 4, 1, 64 << 10, 64 << 10, 256, 4,
            activation_banks=1, parameter_rows=64, queue_depth=2, outstanding=2,
            scratchpad_ports="1rw", dma=False, counters=False,
        ),
    )
}  # fmt: skip


def preset(name: str) -> Config:
    """The preset called ``name``; InputError lists the known ones otherwise."""
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
