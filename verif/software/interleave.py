"""Runs a program as concurrent engines may: any order that queues and semaphores allow, picked at random."""

from collections import deque

import numpy as np

from gemmary.compiler import Program
from gemmary.emulator.device import EmulatorDevice
from gemmary.isa import Engine, decode_program


def execute_interleaved(program: Program, inputs: dict[str, np.ndarray], rng: np.random.Generator):
    """The program's results by name. AssertionError if no engine can go on."""
    device = EmulatorDevice(program.config)
    packed = [(program.tensors[name].address, program.tensors[name].pack(a)) for name, a in inputs.items()]
    for address, data in (*program.constants, *packed):
        device.write(address, data)
    for layer in program.layers:
        for run in layer.runs:
            _run(device.machine, deque(decode_program(run.code)), program.config.queue_depth, rng)
            assert not any(device.machine.semaphores), "a semaphore is left signalled"
    results = {name: t for name, t in program.tensors.items() if name not in program.inputs}
    return {name: t.unpack(device.read(t.address, t.size)) for name, t in results.items()}


def _run(machine, stream, depth, rng):
    queues = {engine: deque() for engine in Engine}
    # A bias of each run's own, so that now one engine runs ahead and now another.
    weights = rng.exponential(size=len(Engine))
    while stream or any(queues.values()):
        while stream and len(queues[stream[0].engine]) < depth:
            queues[stream[0].engine].append(stream.popleft())
        able = [e for e in Engine if queues[e] and _has(machine.semaphores, queues[e][0].wait)]
        assert able, f"deadlock: {[queue[0] for queue in queues.values() if queue]}"
        share = weights[able] / weights[able].sum()
        machine.step(queues[Engine(rng.choice(able, p=share))].popleft())


def _has(semaphores, mask):
    return all(semaphores[i] for i in range(16) if mask >> i & 1)
