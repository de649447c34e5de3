"""Blocks of tensors on their way between external memory and the chip."""

from collections.abc import Iterator

from ..config import Config
from ..isa import DType, Opcode, Space
from .builder import Builder, Region
from .tensor import Tensor
from .transfer import Loop, transfer_fields
from .window import Block, Window


def load_bytes(builder: Builder, region: Region, external: int, onchip: int, size: int) -> None:
    """Emits the load of ``size`` bytes from ``external`` to byte ``onchip`` of the region's memory."""
    bus = builder.config.bus_bytes
    for fields in transfer_fields(Opcode.LOAD, bus, external, onchip // bus, [], size):
        builder.emit(Opcode.LOAD, fields | {"dtype": DType.INT8, "space": region.space}, [], [region])


def load_inputs(
    config: Config, tensor: Tensor, window: Window, block: Block, words: tuple[int, int], address: int
) -> Iterator[dict[str, int]]:
    """Fields that load what ``block`` reads of channel words ``(first, count)`` to activation word ``address``: nothing, where all of
    it is padding.

    It lies there as ``[words, images, in_rows, in_columns]``, with the rows that the window reads alone.
    """
    if not window.reads(block):
        return
    first, count = words
    granules = config.rows // config.bus_bytes
    position = (block.image * window.height + block.in_row) * window.width + block.in_column
    line, image = window.width, window.height * window.width
    loops = [
        Loop(count, tensor.plane_bytes, block.in_positions * granules),
        Loop(block.images, image * tensor.word_bytes, block.in_image * granules),
        Loop(block.in_rows, window.row_step * line * tensor.word_bytes, block.in_columns * granules),
    ]
    external = tensor.address + first * tensor.plane_bytes + position * tensor.word_bytes
    length = block.in_columns * tensor.word_bytes
    for fields in transfer_fields(Opcode.LOAD, config.bus_bytes, external, address * granules, loops, length):
        yield fields | {"dtype": DType.INT8, "space": Space.ACTIVATION}


def move_outputs(
    opcode: Opcode,
    config: Config,
    tensor: Tensor,
    window: Window,
    block: Block,
    words: tuple[int, int],
    space: Space,
    address: int,
) -> Iterator[dict[str, int]]:
    """Fields that store (or, for a residual, load) the outputs of ``block`` for channel words ``(first, count)``.

    On the chip they lie as ``[words, positions]`` from ``address``, in words of ``tensor.word_bytes``.
    """
    first, count = words
    granules = tensor.word_bytes // config.bus_bytes
    line, image = window.out_width, window.out_height * window.out_width
    position = block.image * image + block.row * line + block.column
    loops = [
        Loop(count, tensor.plane_bytes, block.positions * granules),
        Loop(block.images, image * tensor.word_bytes, block.rows * block.columns * granules),
        Loop(block.rows, line * tensor.word_bytes, block.columns * granules),
    ]
    external = tensor.address + first * tensor.plane_bytes + position * tensor.word_bytes
    length = block.columns * tensor.word_bytes
    for fields in transfer_fields(opcode, config.bus_bytes, external, address * granules, loops, length):
        yield fields | {"dtype": DType.INT8, "space": space}
