"""Small accelerators for tests: every odd shape that the presets do not have, and memories that a test fills at once."""

from gemmary.config import Config

TINY = Config(
    "tiny", 4, 4, 2, activation_bytes=1024, weight_bytes=512, accumulator_rows=32, bus_bytes=4,
    parameter_rows=8, outstanding=4, address_bits=32,
)  # fmt: skip

TINY_WIDE = Config(
    "tiny-wide", 8, 4, 1, activation_bytes=2048, weight_bytes=512, accumulator_rows=32, bus_bytes=4,
    activation_banks=2, parameter_rows=4, queue_depth=2, outstanding=2,
)  # fmt: skip
"""More rows than columns: an activation word is two rows of the vector engine. One lane."""

TINY_NARROW_BUS = Config(
    "tiny-narrow-bus", 16, 8, 8, activation_bytes=4096, weight_bytes=2048, accumulator_rows=16, bus_bytes=4,
    parameter_rows=4, outstanding=8, address_bits=64,
)  # fmt: skip
"""Several granules in every word. All lanes. The widest external address."""

TINY_WINDOW = Config(
    "tiny-window", 16, 16, 2, activation_bytes=4096, weight_bytes=2048, accumulator_rows=16, bus_bytes=8,
    parameter_rows=4, window_line=16, outstanding=4,
)  # fmt: skip
"""Depthwise matmuls, with lines of up to 16 positions."""

TINY_PAIR = Config(
    "tiny-pair", 8, 4, 2, activation_bytes=2048, weight_bytes=512, accumulator_rows=32, bus_bytes=4,
    parameter_rows=8, multiplier="pair", outstanding=4, address_bits=32,
)  # fmt: skip
"""Half as many multipliers as rows times columns, in two rows of cells."""

TINIES = (TINY, TINY_WIDE, TINY_NARROW_BUS)
