"""Vector instructions of a chain: sums to activations, and means of activations."""

from collections.abc import Iterator

from ...isa import DType, Opcode, Reduction, walk_fields
from ..requantization import Requantization
from ..window import INSIDE, Window


def drain_fields(
    requantization: Requantization,
    tiles: int,
    parts: int,
    rows: int,
    source: int,
    result: int,
    plane: int,
    parameter: int,
    residual: int,
) -> dict[str, int]:
    """Requantizes ``rows`` sums of each of ``tiles`` column tiles, one of every ``parts``, from accumulator row ``source`` to the vector
    engine's row ``result``; words of one position are ``plane`` apart there, and from ``residual`` on. Parameters are those of the
    channels, from row ``parameter``, or the same for all."""
    counts = {"n": tiles, "y": 1, "x": rows, "ky": 1, "kx": 1}
    fields = (
        {f"count_{loop}": n for loop, n in counts.items()}
        | {"source_dtype": DType.INT32}
        | INSIDE
        | requantization.fields()
        | (requantization.scalar_fields() if requantization.scalar else {"per_channel": 1})
        | walk_fields(Opcode.VECTOR, "source", source, counts, n=parts * rows, x=1)
        | walk_fields(Opcode.VECTOR, "result", result, counts, n=plane, x=parts)
        | walk_fields(Opcode.VECTOR, "parameter", parameter, counts, n=parts)
    )
    if requantization.residual:
        fields |= walk_fields(Opcode.VECTOR, "residual", residual, counts, n=plane, x=parts)
    return fields


def pool_fields(
    requantization: Requantization,
    pool: Window,
    tiles: int,
    parts: int,
    lines: int,
    source: int,
    result: int,
    plane: int,
    parameter: int,
) -> Iterator[dict[str, int]]:
    """As ``drain_fields``, of the largest sum of each window: ``lines`` of results. Windows that stick out at a side are cut off, in
    instructions of their own."""
    (sy, sx), width = pool.stride, pool.width
    tile = parts * lines * sy * width
    for piece in pool.pieces(1, 0, pool.out_width):
        counts = {"n": tiles, "y": lines, "x": piece.count, "ky": pool.kernel[0], "kx": piece.taps}
        yield (
            {f"count_{loop}": n for loop, n in counts.items()}
            | {"source_dtype": DType.INT32, "reduction": Reduction.MAX}
            | INSIDE
            | requantization.fields()
            | (requantization.scalar_fields() if requantization.scalar else {"per_channel": 1})
            | walk_fields(
                Opcode.VECTOR, "source", source + piece.start, counts, n=tile, y=sy * width, x=sx, ky=width, kx=1
            )
            | walk_fields(
                Opcode.VECTOR, "result", result + parts * piece.first, counts, n=plane, y=parts * pool.out_width, x=parts
            )
            | walk_fields(Opcode.VECTOR, "parameter", parameter, counts, n=parts)
        )  # fmt: skip


def sum_fields(lines: int, columns: int, width: int, source: int, result: int, step: int = 1) -> dict[str, int]:
    """The sum of ``lines`` x ``columns`` activations from row ``source``, of an image of ``width`` and a position every ``step`` rows, to
    accumulator row ``result``."""
    counts = {"n": 1, "y": 1, "x": 1, "ky": lines, "kx": columns}
    return (
        {f"count_{loop}": n for loop, n in counts.items()}
        | {"source_dtype": DType.INT8, "result_dtype": DType.INT32, "reduction": Reduction.SUM}
        | INSIDE
        | walk_fields(Opcode.VECTOR, "source", source, counts, ky=width * step, kx=step)
        | walk_fields(Opcode.VECTOR, "result", result, counts)
    )


def mean_fields(
    requantization: Requantization, source_dtype: DType, fields: dict[str, int], result: int
) -> dict[str, int]:
    """As ``sum_fields``, of ``source_dtype``, but requantized to row ``result`` of activations."""
    return (
        fields
        | {"source_dtype": source_dtype, "result_address": result}
        | requantization.fields()
        | requantization.scalar_fields()
    )
