"""How many lines of a result are computed at a time."""

from ...config import Config


def even_lines(height: int, width: int, most: int) -> list[int]:
    """The fewest blocks of at most ``most`` positions (but at least a line), as equal as can be."""
    count = -(-height // max(1, most // width))
    return [(i + 1) * height // count - i * height // count for i in range(count)]


def growing_lines(config: Config, height: int, width: int, share: int, most: int) -> list[int]:
    """For an input that is still to come, ``share`` positions a run: the first blocks are small, the others half of ``most``."""
    least, most = -(-2 * config.rows * share // width), max(1, most // 2 // width)
    sizes, size = [], least
    while sum(sizes) < height:
        sizes.append(min(size, height - sum(sizes)))
        size = max(least, min(2 * size, most))
    return sizes


def covering_lines(config: Config, height: int, width: int, most: int) -> list[int]:
    """For an input that is still to come, and several column tiles: the first block gives the array work for as long as all weights
    take to come."""
    first = min(height, most // width, -(-11 * config.rows // 4 // width))
    return [first, *even_lines(height - first, width, most)] if first < height else [height]


def shrinking_lines(config: Config, height: int, width: int, most: int) -> list[int]:
    """Where little is to be left at the end: a last block of about 1.5 times the array's depth, and the others half as many again as
    those behind them."""
    least = -(-3 * config.rows // 2 // width)
    size = max(1, min(most // width, -(-3 * (height - least) // 5)))
    whole, rest = divmod(height - least, size)
    return [size] * whole + [rest] * bool(rest) + [least]
