"""What a stream can do: the emulator executes it in orders that engines may choose, and the results are compared with the right ones."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from gemmary.compiler import Program
from gemmary.emulator.device import EmulatorDevice
from gemmary.emulator.memories import Fault
from gemmary.isa import Engine, Instruction, decode_program

Choose = Callable[[list[Engine]], Engine]

ROUNDS = 2
"""A program is run so many times without a reset, with other inputs each time: what it leaves behind may harm the next run."""


@dataclass(frozen=True)
class Case:
    """A program with inputs for each round, and what it then makes of them."""

    program: Program
    inputs: tuple[dict[str, np.ndarray], ...]
    expected: tuple[dict[str, bytes], ...]


def case_of(program: Program, inputs: tuple[dict[str, np.ndarray], ...]) -> Case:
    device = EmulatorDevice(program.config, _memory(program))
    expected = tuple(_round(device, program, given, _streams(program), None) for given in inputs)
    return Case(program, inputs, expected)


def behaviour(case: Case, program: Program, seed: int, random_orders: int = 8) -> str:
    """What ``program``, a mutant of the one of ``case``, does: "value", if the order of the program itself stops or gives a wrong
    result; "order", if only others do; "none", if no order that was tried does."""
    if not _right(case, program, None):
        return "value"
    return "none" if all(_right(case, program, choose) for choose in _orders(seed, random_orders)) else "order"


def _orders(seed: int, random_orders: int) -> Iterator[Choose]:
    """Every precedence of engines, then random orders."""
    for precedence in permutations(Engine):
        yield lambda able, precedence=precedence: min(able, key=precedence.index)
    rng = np.random.default_rng(seed)
    for _ in range(random_orders):
        weights = rng.exponential(size=len(Engine))
        yield lambda able, weights=weights: able[_draw(weights[able], rng)]


def _draw(weights: np.ndarray, rng: np.random.Generator) -> int:
    return int(rng.choice(len(weights), p=weights / weights.sum()))


def _right(case: Case, program: Program, choose: Choose | None) -> bool:
    device = EmulatorDevice(program.config, _memory(program))
    streams = _streams(program)
    try:
        return all(
            _round(device, program, given, streams, choose) == expected
            for given, expected in zip(case.inputs, case.expected)
        )
    except (Fault, Deadlock):
        return False


class Deadlock(Exception):
    """No engine can go on."""


def _streams(program: Program) -> list[list[Instruction]]:
    return [list(decode_program(run.code)) for layer in program.layers for run in layer.runs]


def _memory(program: Program) -> int:
    return -(-program.memory_bytes // 64) * 64


def _round(device, program, inputs, streams, choose) -> dict[str, bytes]:
    """The tensors that are no inputs; ``choose`` None takes the order of the program."""
    packed = [(program.tensors[name].address, program.tensors[name].pack(a)) for name, a in inputs.items()]
    for address, data in (*program.constants, *packed):
        device.write(address, data)
    for stream in streams:
        if choose is None:
            for instruction in stream:
                device.machine.step(instruction)
        else:
            _interleave(device.machine, deque(stream), program.config.queue_depth, choose)
    results = {name: t for name, t in program.tensors.items() if name in program.outputs}
    return {name: t.unpack(device.read(t.address, t.size)).tobytes() for name, t in results.items()}


def _interleave(machine, stream: deque, depth: int, choose: Choose) -> None:
    queues = {engine: deque() for engine in Engine}
    while stream or any(queues.values()):
        while stream and len(queues[stream[0].engine]) < depth:
            queues[stream[0].engine].append(stream.popleft())
        able = [e for e in Engine if queues[e] and _above_zero(machine.semaphores, queues[e][0].wait)]
        if not able:
            raise Deadlock
        machine.step(queues[choose(able)].popleft())


def _above_zero(semaphores: list[int], mask: int) -> bool:
    return all(semaphores[s] for s in range(16) if mask >> s & 1)
