"""Grouped convolutions: the array's window, diagonal tiles, or groups as contractions of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..depthwise import TAPS, fits_window, lower_depthwise, streamed_rows, window_weights
from ..diagonal import diagonal_weights, lower_diagonal
from ..ir.contractions import Conv2D
from ..ir.types import quantization
from ..lowering import lower_contraction
from ..tensor import Tensor
from ..tiled import Tiled
from ..window import Window

if TYPE_CHECKING:
    from .generate import Generator


def lower_groups(
    generator: Generator, op: Conv2D, weight: np.ndarray, bias: np.ndarray, target: Tensor, window: Window
) -> tuple[Tiled, ...]:
    """Single channels with the array's window, or groups within a word as the blocks of diagonal tiles, whichever takes fewer
    rows; else so many groups as make whole words are one contraction."""
    groups, rows = op.groups.value.data, generator.config.rows
    cin, cout = weight.shape[2], weight.shape[3] // groups
    source, outside = generator.read(op.input), quantization(op.input).zero_point.data
    everything = generator.requantization(op, bias)
    single = cin == cout == 1 and fits_window(generator.config, window)
    if single and streamed_rows(window) <= window.taps * window.positions:
        taps = window_weights(weight)
        operation = generator.contraction(source, taps, target, window, everything, outside, rows=TAPS)
        return lower_depthwise(replace(operation, window=window), generator.timing, generator.known)
    if cin == cout and rows % cin == 0:
        tiles = diagonal_weights(weight, groups, rows)
        operation = generator.contraction(source, tiles, target, window, everything, outside)
        return lower_diagonal(replace(operation, diagonal=True), generator.timing, generator.known)
    whole = [n for n in range(1, groups) if n * cin % rows == n * cout % rows == groups % n == 0]
    size = min(whole, default=groups)
    operations = []
    for i in range(groups // size):
        inputs, outputs = (slice(i * size * n, (i + 1) * size * n) for n in (cin, cout))
        block = diagonal_weights(weight[..., outputs], size, size * cin)
        views = source.part(inputs), block, target.part(outputs), window
        operations.append(generator.contraction(*views, generator.requantization(op, bias, outputs), outside))
    return lower_contraction(generator.config, *operations, known=generator.known)
