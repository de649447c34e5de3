"""Random legal programs: every feature of every instruction, engines that overlap wherever nothing orders them."""

from dataclasses import dataclass

import numpy as np

from gemmary.config import SEMAPHORES, TABLE_ENTRIES, TABLES, Config
from gemmary.isa import Opcode, Space, encode_program
from gemmary.runtime.device import Device

from .illegal import IllegalCase, illegal_programs
from .instructions import Arena, Sampler
from .schedule import Schedule

__all__ = ["IllegalCase", "ProgramCase", "illegal_programs", "random_program"]

WORDS = 96
"""Words of a scratchpad that a program uses, at most: few enough for accesses to meet."""


@dataclass(frozen=True)
class ProgramCase:
    """A program and the memory it starts from. Two devices agree when ``run`` returns the same.

    ``memory`` is the image from address 0. The program goes to ``address``, behind the image, and needs ``memory_bytes``
    bytes of memory in all. ``regions`` ((address, size), …) is what to compare. Semaphores end as they began.
    """

    name: str
    config: Config
    program: bytes
    memory: bytes
    address: int
    regions: tuple[tuple[int, int], ...]

    @property
    def memory_bytes(self) -> int:
        return -(-(self.address + len(self.program)) // 4096) * 4096

    def run(self, device: Device) -> bytes:
        """The contents of all regions afterwards."""
        device.write(0, self.memory)
        device.run(self.program, self.address)
        return b"".join(device.read(address, size) for address, size in self.regions)


def random_program(
    config: Config, seed: int, instructions: int = 60, memory_bytes: int = 16 << 10, opcodes: tuple[Opcode, ...] = ()
) -> ProgramCase:
    """A program of ``instructions`` random instructions, between loads that define all they may read and stores that show
    the memories in the end.

    It uses a window of each on-chip memory, at its start, at its end or in between. Loads and stores reach the first
    ``memory_bytes`` bytes; the final stores go behind them. ``opcodes``: only these, and what the ends need.
    """
    rng = np.random.default_rng([seed, config.rows, config.columns, config.bus_bytes])
    arena = _arena(config, rng)
    sampler = Sampler(config, arena, memory_bytes, rng)
    shown = sum(arena.size(space) for space in (Space.ACTIVATION, Space.WEIGHT, Space.ACCUMULATOR))
    image_bytes = memory_bytes + shown
    sizes = {space: _granules(config, space) for space in Space} | {"external": image_bytes}
    schedule = Schedule(sizes, rng.permutation(SEMAPHORES), rng)

    for space in Space:
        for fields in sampler.define(space):
            schedule.add(Opcode.LOAD, *sampler.with_accesses(Opcode.LOAD, fields))
    for _ in range(instructions):
        opcode = Opcode(rng.choice(opcodes or tuple(Opcode)))
        schedule.add(opcode, *sampler.with_accesses(opcode, sampler.sample(opcode)))
    end = memory_bytes
    for space in (Space.ACTIVATION, Space.WEIGHT, Space.ACCUMULATOR):
        for fields in sampler.show(space, end):
            schedule.add(Opcode.STORE, *sampler.with_accesses(Opcode.STORE, fields))
        end += arena.size(space)

    return ProgramCase(
        name=f"{config.name}-{seed}",
        config=config,
        program=encode_program(schedule.instructions()),
        memory=_image(config, arena, rng, memory_bytes) + bytes(shown),
        address=-(-image_bytes // config.bus_bytes) * config.bus_bytes + int(rng.integers(64)) * config.bus_bytes,
        regions=((0, image_bytes),),
    )


def _granules(config: Config, space: Space) -> int:
    return _space_bytes(config, space) // config.bus_bytes


def _space_bytes(config: Config, space: Space) -> int:
    return {
        Space.ACTIVATION: config.activation_bytes,
        Space.WEIGHT: config.weight_bytes,
        Space.ACCUMULATOR: config.accumulator_words * config.accumulator_row_bytes,
        Space.PARAMETER: config.parameter_rows * config.parameter_row_bytes,
        Space.TABLE: TABLES * TABLE_ENTRIES,
    }[space]


def _arena(config: Config, rng: np.random.Generator) -> Arena:
    """A window of each memory, of whole words; all of the tables."""
    word = {
        Space.ACTIVATION: config.rows,
        Space.WEIGHT: config.columns,
        Space.ACCUMULATOR: config.accumulator_row_bytes,
        Space.PARAMETER: config.parameter_row_bytes,
        Space.TABLE: TABLES * TABLE_ENTRIES,
    }
    most = {Space.ACCUMULATOR: WORDS // 2, Space.PARAMETER: 6, Space.WEIGHT: max(WORDS, 3 * config.rows)}
    windows = {}
    for space in Space:
        words = _space_bytes(config, space) // word[space]
        size = min(words, most.get(space, WORDS))
        first = int(rng.choice([0, words - size, rng.integers(words - size + 1)]))
        windows[space] = first * word[space], (first + size) * word[space]
    return Arena(windows)


def _image(config: Config, arena: Arena, rng: np.random.Generator, size: int) -> bytes:
    """Random bytes with stretches of extremes; at its start rows of parameters that do not saturate everything."""
    image = rng.integers(-128, 128, size, np.int8)
    for value in (-128, 127, -1, 0):
        start = int(rng.integers(size))
        image[start : start + int(rng.integers(1, 64))] = value
    channels = arena.size(Space.PARAMETER) // 8
    parameters = np.empty((channels, 2), np.uint32)
    parameters[:, 0] = rng.integers(-3000, 3000, channels).astype(np.int32).view(np.uint32)
    # The two upper bits mean nothing.
    shift = rng.integers(26, 40, channels) | rng.integers(4, size=channels) << 6
    parameters[:, 1] = rng.integers(1 << 23, 1 << 24, channels) | shift << 24
    image[: 8 * channels] = np.frombuffer(parameters.tobytes(), np.int8)
    return image.tobytes()
