"""Load and store, an instruction at a time and bytewise, written from docs/isa.md and docs/isa-semantics.md."""

from collections.abc import Iterator

from gemmary.isa import Instruction
from verif.golden import address
from verif.golden.memories import Memories
from verif.golden.vector import AddressError, steps

ONCHIP = 2**16


class BusError(Exception):
    """A byte beyond external memory: BUS_READ or BUS_WRITE."""


def load(instruction: Instruction, external: bytes, memories: Memories) -> None:
    """Carries out a load. Earlier runs are done when it raises AddressError or BusError."""
    if instruction.transpose and not instruction.fill_only:
        _transpose(instruction, external, memories)
        return
    bus = memories.config.bus_bytes
    space = memories.bytes[instruction.space]
    granules = -(-instruction.length // bus)
    for source, target in runs(instruction, memories):
        places = [_granule(target + i, space, bus) for i in range(granules)]
        content = bytes([instruction.fill & 0xFF]) * (granules * bus)
        if not instruction.fill_only:
            content = _read(external, source, instruction.length, memories) + content[instruction.length :]
        for i, place in enumerate(places):
            space[place : place + bus] = content[i * bus : (i + 1) * bus]


def _transpose(instruction: Instruction, external: bytes, memories: Memories) -> None:
    bus = memories.config.bus_bytes
    space, rows = memories.bytes[instruction.space], instruction.count_x
    if rows > bus or instruction.length > bus:
        raise AddressError
    sources = external_addresses(instruction, memories)
    outer = {loop: instruction.counts[loop] for loop in ("z", "y")}
    for target in address.addresses(outer, instruction.onchip_address, steps(instruction, "onchip")):
        block = [_read(external, next(sources), instruction.length, memories) for _ in range(rows)]
        for j in range(instruction.length):
            place = _granule(target + j * instruction.onchip_step_x, space, bus)
            column = bytes(run[j] for run in block)
            space[place : place + bus] = column + bytes([instruction.fill & 0xFF]) * (bus - rows)


def store(instruction: Instruction, external: bytearray, memories: Memories) -> None:
    """Carries out a store. Earlier runs are done when it raises AddressError or BusError."""
    bus, limit = memories.config.bus_bytes, 1 << memories.config.address_bits
    space = memories.bytes[instruction.space]
    for target, source in runs(instruction, memories):
        places = [_granule(source + i, space, bus) for i in range(-(-instruction.length // bus))]
        content = b"".join(space[place : place + bus] for place in places)
        for i in range(instruction.length):
            if (target + i) % limit >= len(external):
                raise BusError
            external[(target + i) % limit] = content[i]


def runs(instruction: Instruction, memories: Memories) -> Iterator[tuple[int, int]]:
    """(external byte, first granule) of each iteration."""
    onchip = address.addresses(instruction.counts, instruction.onchip_address, steps(instruction, "onchip"))
    return zip(external_addresses(instruction, memories), onchip)


def external_addresses(instruction: Instruction, memories: Memories) -> Iterator[int]:
    width = memories.config.address_bits
    return address.addresses(instruction.counts, instruction.external_address, steps(instruction, "external"), width)


def _granule(index: int, space: bytearray, bus: int) -> int:
    place = index % ONCHIP * bus
    if place >= len(space):
        raise AddressError(index)
    return place


def _read(external: bytes, first: int, length: int, memories: Memories) -> bytes:
    limit = 1 << memories.config.address_bits
    places = [(first + i) % limit for i in range(length)]
    if any(place >= len(external) for place in places):
        raise BusError
    return bytes(external[place] for place in places)
