"""Load and store: runs of bytes between external memory and granules on the chip."""

import numpy as np

from ..config import Config
from ..isa import Cause, Instruction, Space
from .memories import ExternalMemory, Fault, OnchipMemories, check_addresses
from .nest import Indices, Walk, blocks

LOOPS = ("z", "y", "x")
BLOCK_BYTES = 1 << 22


def load(instruction: Instruction, config: Config, memories: OnchipMemories, external: ExternalMemory) -> None:
    granules = memories.granules[Space(instruction.space)]
    if instruction.transpose and not instruction.fill_only:
        return _load_transposed(instruction, config, granules, external)
    length = instruction.length
    width = -(-length // config.bus_bytes) * config.bus_bytes
    source, target = Walk(instruction, "external", config.address_bits), Walk(instruction, "onchip")
    for runs in blocks(instruction, LOOPS, max(1, BLOCK_BYTES // width)):
        index = check_addresses(_run(target(runs), width // config.bus_bytes), granules)
        data = np.full((len(index), width), instruction.fill, np.int8)
        if not instruction.fill_only:
            data[:, :length] = external.read(source(runs), length)
        granules[index.ravel()] = data.reshape(-1, config.bus_bytes)
    return None


def _load_transposed(instruction: Instruction, config: Config, granules: np.ndarray, external: ExternalMemory) -> None:
    length, count = instruction.length, instruction.count_x
    if max(length, count) > config.bus_bytes:
        raise Fault(Cause.ADDRESS)
    source = Walk(instruction, "external", config.address_bits)
    target = Walk(instruction, "onchip", still=("x",))
    across = (np.arange(length) * instruction.onchip_step_x).astype(np.uint64)
    for block in blocks(instruction, LOOPS, BLOCK_BYTES // config.bus_bytes // count * count):
        rows = external.read(source(block), length).reshape(-1, count, length)
        first = {loop: index[::count] for loop, index in block.items()}
        index = check_addresses(target(_without_x(first))[:, None] + across & target.mask, granules)
        data = np.full((len(rows), length, config.bus_bytes), instruction.fill, np.int8)
        data[:, :, :count] = rows.transpose(0, 2, 1)
        granules[index.ravel()] = data.reshape(-1, config.bus_bytes)


def store(instruction: Instruction, config: Config, memories: OnchipMemories, external: ExternalMemory) -> None:
    granules = memories.granules[Space(instruction.space)]
    length = instruction.length
    count = -(-length // config.bus_bytes)
    source, target = Walk(instruction, "onchip"), Walk(instruction, "external", config.address_bits)
    for runs in blocks(instruction, LOOPS, max(1, BLOCK_BYTES // (count * config.bus_bytes))):
        index = check_addresses(_run(source(runs), count), granules)
        data = granules[index].reshape(len(index), -1)
        external.write(target(runs), data[:, :length])


def _run(first: np.ndarray, count: int) -> np.ndarray:
    """The addresses of ``count`` granules from each of ``first``."""
    return first[:, None] + np.arange(count, dtype=np.uint64) & np.uint64(0xFFFF)


def _without_x(indices: Indices) -> Indices:
    return {loop: index for loop, index in indices.items() if loop != "x"}
