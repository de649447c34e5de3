"""The fewest cycles that a layer can take: what the array, and what the memory, allow."""

from math import prod

from ..config import Config
from ..isa import WINDOW
from ..workloads import Conv, Layer, Matmul
from .memory import Memory

OUTPUT_BYTES = {"int8": 1, "int32": 4}


def bound(config: Config, layer: Layer, memory: Memory, array_cycles: int = 1) -> float:
    """max(padded tile cycles, bytes read / bandwidth, bytes written / bandwidth): each operand is read once, the result
    written once. Everything else is overhead: latency, filling, draining, instructions, parameters, refetched operands.
    ``array_cycles``: how many cycles the array has in one, where its clock is faster."""
    rate = memory.rate(config)
    return max(tile_cycles(config, layer) / array_cycles, bytes_read(layer) / rate, bytes_written(layer) / rate)


def tile_cycles(config: Config, layer: Layer) -> int:
    """Rows that go into the array in the mapping that needs fewest: every weight tile, padded to the array, meets each
    position once. Where one product leaves columns unused, neighbouring outputs of a line, or groups, may share a tile; it
    then holds the weights of each of them, and zeros. Where the array has a window, a depthwise tile meets each position of the
    padded input once."""
    if not isinstance(layer, Conv) or layer.n > config.columns:
        return layer.batch * layer.m * _tiles(config, layer.k, layer.n)
    (kh, kw), stride, columns = layer.kernel, layer.stride[1], config.columns
    rows, width, _ = layer.output_shape
    channels = layer.cin // layer.groups
    fewest = [_window_cycles(config, layer)] if _fits_window(config, layer) else []
    for outputs in range(1, min(width, columns // layer.n) + 1):
        window = kh * ((outputs - 1) * stride + kw) * channels
        for groups in range(1, min(layer.groups, columns // (outputs * layer.n)) + 1):
            positions = rows * -(-width // outputs) * -(-layer.groups // groups)
            fewest.append(positions * _tiles(config, groups * window, groups * outputs * layer.n))
    return min(fewest)


def _window_sizes(layer: Conv) -> list[int]:
    """Lines, and positions of a line, between the first and the last window's outer edges."""
    return [(size - 1) * stride + WINDOW for size, stride in zip(layer.output_shape, layer.stride)]


def _fits_window(config: Config, layer: Conv) -> bool:
    depthwise = layer.groups == layer.cin == layer.cout
    small = max(layer.kernel) <= WINDOW and max(layer.stride) <= 2
    return depthwise and small and _window_sizes(layer)[1] <= config.window_line


def _window_cycles(config: Config, layer: Conv) -> int:
    return prod(_window_sizes(layer)) * -(-layer.groups // config.columns)


def _tiles(config: Config, k: int, n: int) -> int:
    return -(-k // config.rows) * -(-n // config.columns)


def bytes_read(layer: Layer) -> int:
    """Of the input (what no window touches is not read), the weights or the right operand, and the residual."""
    if isinstance(layer, Matmul):
        operands = layer.batch * (layer.m * layer.k + layer.k * layer.n)
    else:
        top, _, left, _ = layer.padding
        rows = _touched(layer.height, layer.output_shape[0], layer.kernel[0], layer.stride[0], top)
        columns = _touched(layer.width, layer.output_shape[1], layer.kernel[1], layer.stride[1], left)
        operands = rows * columns * layer.cin + layer.weights
    return operands + (layer.batch * layer.m * layer.n if layer.residual else 0)


def _touched(size: int, outputs: int, kernel: int, stride: int, before: int) -> int:
    """How many of ``size`` places some window of ``kernel`` covers."""
    return len({o * stride + k - before for o in range(outputs) for k in range(kernel)} & set(range(size)))


def bytes_written(layer: Layer) -> int:
    return layer.batch * layer.m * layer.n * OUTPUT_BYTES[layer.output]
