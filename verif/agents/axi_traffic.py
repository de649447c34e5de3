"""Random programs of loads and stores alone, and every burst and byte that they must put on the memory bus."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from gemmary.config import SEMAPHORES, Config
from gemmary.isa import DType, Instruction, Opcode, Space, encode_program, walk_fields
from verif.golden import dma as golden
from verif.golden.memories import Memories

from .instructions import STORED, Arena, Sampler
from .schedule import Schedule

PAGE = 4096
DATA = 4 * PAGE
"""Bytes of external memory that programs move data in; they themselves lie behind."""
BLOCK_BEATS, FETCH_BYTES = 32, 512
"""Bursts of load and store end at multiples of so many beats, those of fetch at multiples of so many bytes."""
FETCH, LOAD, STORE = 0, 1, 0
"""IDs."""

Burst = tuple[int, int, int]
Beat = tuple[int, int, bytes]


@dataclass
class Traffic:
    """A program and what it must do to the bus: ``fetches``, ``loads`` and ``stores`` are lists of (address, beats, ID), each
    in order, ``beats`` the write data as (address, strobe, enabled bytes). ``touched``: bytes that are read or written."""

    program: bytes
    address: int
    external: bytearray
    fetches: list[Burst] = field(default_factory=list)
    loads: list[Burst] = field(default_factory=list)
    stores: list[Burst] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    touched: list[int] = field(default_factory=list)

    @property
    def written(self) -> set[int]:
        return {first + i for first, strobe, _ in self.beats for i in range(strobe.bit_length()) if strobe >> i & 1}


class BusSampler(Sampler):
    """Transfers that are short, unaligned and near a multiple of 4 KiB more often than not. Half of them keep to one half of
    memory, loads to the lower one, so that both directions can work at the same time."""

    def _transfer(self, opcode: Opcode, space: Space) -> dict[str, int]:
        bus, rng = self.config.bus_bytes, self.rng
        first, room = self.arena.words(space, bus)
        length = 1 + self._below(self._choice(bus, 2 * bus, 6 * bus, 6 * bus, 50 * bus))
        length = min(length, room * bus)
        counts = self._counts({"z": 3, "y": 4, "x": 12}, max(1, 160 * bus // (length + 3 * bus)))
        low, size = self._choice((0, DATA), (0, DATA // 2) if opcode == Opcode.LOAD else (DATA // 2, DATA // 2))
        external, strides = self._walk(counts, low, size, length)
        if self._chance(0.6):
            # The first run begins just below a border, and most others follow it closely.
            border = low + PAGE * int(rng.integers(1, size // PAGE))
            external, strides = border - 1 - self._below(length + bus), {"x": length + self._below(bus)}
            if external + length + (counts["x"] - 1) * strides["x"] > low + size:
                external, strides = border - length, {}
        onchip, onchip_strides = self._walk(counts, first, room, -(-length // bus))
        return (
            {"dtype": DType.INT8, "space": space, "length": length}
            | {f"count_{loop}": count for loop, count in counts.items()}
            | walk_fields(opcode, "external", external, counts, **strides)
            | walk_fields(opcode, "onchip", onchip, counts, **onchip_strides)
        )


def bus_traffic(config: Config, rng: np.random.Generator, external: bytes, instructions: int) -> Traffic:
    """A program of ``instructions`` random loads and stores, between loads that define what stores may read and stores that show
    it all: a quarter of each memory. ``external``: the memory before; a copy of it becomes what it must be afterwards."""
    memories = Memories(config)
    windows = {space: _part(len(content), rng) for space, content in memories.bytes.items()}
    sampler = BusSampler(config, Arena(windows), DATA, rng)
    sizes = {space: len(content) // config.bus_bytes for space, content in memories.bytes.items()} | {"external": DATA}
    schedule = Schedule(sizes, rng.permutation(SEMAPHORES), rng)
    for space in STORED:
        for fields in sampler.define(space):
            schedule.add(Opcode.LOAD, *sampler.with_accesses(Opcode.LOAD, fields))
    for _ in range(instructions):
        opcode = Opcode.LOAD if rng.random() < 0.5 else Opcode.STORE
        schedule.add(opcode, *sampler.with_accesses(opcode, sampler.sample(opcode)))
    for space in STORED:
        for fields in sampler.show(space, int(rng.integers(DATA - len(memories.bytes[space])))):
            schedule.add(Opcode.STORE, *sampler.with_accesses(Opcode.STORE, fields))

    program = schedule.instructions()
    traffic = Traffic(encode_program(program), DATA + config.bus_bytes * int(rng.integers(64)), bytearray(external))
    traffic.fetches = [(*burst, FETCH) for burst in split(traffic.address, len(traffic.program), config, FETCH_BYTES)]
    for instruction in program:
        _expect(traffic, instruction, memories)
    return traffic


def _part(size: int, rng: np.random.Generator) -> tuple[int, int]:
    first = size // 4 * int(rng.integers(4))
    return first, first + size // 4


def _expect(traffic: Traffic, instruction: Instruction, memories: Memories) -> None:
    """Adds what an instruction does."""
    config, length = memories.config, instruction.length
    block = BLOCK_BEATS * config.bus_bytes
    if instruction.opcode == Opcode.LOAD:
        golden.load(instruction, traffic.external, memories)
        for address in [] if instruction.fill_only else golden.external_addresses(instruction, memories):
            traffic.loads += [(*burst, LOAD) for burst in split(address, length, config, block)]
            traffic.touched += range(address, address + length)
        return
    golden.store(instruction, traffic.external, memories)
    space = memories.bytes[instruction.space]
    for address, granule in golden.runs(instruction, memories):
        traffic.stores += [(*burst, STORE) for burst in split(address, length, config, block)]
        traffic.beats += _beats(address, bytes(space[granule * config.bus_bytes :][:length]), config.bus_bytes)
        traffic.touched += range(address, address + length)


def split(address: int, length: int, config: Config, block: int) -> Iterator[tuple[int, int]]:
    """(address, beats) of the bursts that read or write a run: whole beats, each burst inside an aligned block."""
    bus = config.bus_bytes
    at, end = address // bus * bus, -(-(address + length) // bus) * bus
    while at < end:
        stop = min(end, (at // block + 1) * block)
        yield at, (stop - at) // bus
        at = stop


def _beats(address: int, content: bytes, bus: int) -> Iterator[Beat]:
    for at in range(address // bus * bus, address + len(content), bus):
        places = range(max(at, address), min(at + bus, address + len(content)))
        strobe = sum(1 << place - at for place in places)
        yield at, strobe, content[places.start - address : places.stop - address]
