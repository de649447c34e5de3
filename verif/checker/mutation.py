"""Mutants of encoded streams: one instruction or two are changed in one of four ways."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gemmary.isa import FORMATS, Instruction, Opcode, decode_program, encode_program, steps

DISTANCES = (1, 2, 3, 4, 8, 16, -1, -2, -4, -8)


@dataclass(frozen=True)
class Mutant:
    """``code`` differs from a good stream as ``what`` says."""

    way: str
    what: str
    code: bytes


def mutant(code: bytes, way: str, rng: np.random.Generator) -> Mutant | None:
    """One of ``WAYS``, chosen by ``rng``; None where the stream has nothing that could be changed so."""
    instructions = list(decode_program(code))
    what = WAYS[way](instructions, rng)
    return Mutant(way, what, encode_program(instructions)) if what else None


def _change(instructions: list[Instruction], index: int, **fields: int) -> None:
    old = instructions[index]
    values = {k: v for k, v in old.values.items() if k not in ("opcode", "version")}
    instructions[index] = Instruction(old.opcode, **(values | fields))


def _dropped_wait(instructions, rng) -> str | None:
    waits = [(i, s) for i, each in enumerate(instructions) for s in range(16) if each.wait >> s & 1]
    if not waits:
        return None
    i, s = waits[rng.integers(len(waits))]
    _change(instructions, i, wait=instructions[i].wait & ~(1 << s))
    return f"instruction {i} does not wait for semaphore {s}"


def _dropped_order(instructions, rng) -> str | None:
    """A wait, and the signal that it takes: what a compiler does that does not see a dependency."""
    waits = [(i, s) for i, each in enumerate(instructions) for s in range(16) if each.wait >> s & 1]
    if not waits:
        return None
    i, s = waits[rng.integers(len(waits))]
    number = sum(each.wait >> s & 1 for each in instructions[:i])
    source = [j for j, each in enumerate(instructions) if each.signal >> s & 1][number]
    _change(instructions, i, wait=instructions[i].wait & ~(1 << s))
    _change(instructions, source, signal=instructions[source].signal & ~(1 << s))
    return f"instruction {i} does not wait for instruction {source}, which does not signal, semaphore {s}"


def _swapped_signal(instructions, rng) -> str | None:
    """Two instructions of an engine exchange their signals, or one raises another semaphore than it should."""
    signals = [i for i, each in enumerate(instructions) if each.signal]
    if not signals:
        return None
    i = signals[rng.integers(len(signals))]
    mine = instructions[i]
    others = [j for j, o in enumerate(instructions) if o.engine == mine.engine and o.signal != mine.signal]
    if others and rng.random() < 0.5:
        j = min(others, key=lambda j: (abs(j - i), rng.random()))
        theirs = instructions[j].signal
        _change(instructions, j, signal=mine.signal)
        _change(instructions, i, signal=theirs)
        return f"instructions {i} and {j} have swapped their signals"
    bits = [s for s in range(16) if mine.signal >> s & 1]
    used = [s for s in range(16) if any(o.wait >> s & 1 for o in instructions) and not mine.signal >> s & 1]
    if not used:
        return None
    old, new = bits[rng.integers(len(bits))], used[rng.integers(len(used))]
    _change(instructions, i, signal=mine.signal & ~(1 << old) | 1 << new)
    return f"instruction {i} signals semaphore {new} for {old}"


def _shifted_address(instructions, rng) -> str | None:
    i = rng.integers(len(instructions))
    walks = FORMATS[instructions[i].opcode].walks
    walk = walks[rng.integers(len(walks))]
    name = f"{walk.name}_address"
    by = DISTANCES[rng.integers(len(DISTANCES))]
    bits = 64 if walk.name == "external" else 16
    _change(instructions, i, **{name: (getattr(instructions[i], name) + by) % (1 << bits)})
    return f"{name} of instruction {i} is moved by {by}"


def _shortened_loop(instructions, rng) -> str | None:
    """One iteration less: with the strides of the other loops as they were, or with their steps. Or a shorter run."""
    loops = [(i, loop) for i, each in enumerate(instructions) for loop, n in each.counts.items() if n > 1]
    loops += [(i, "length") for i, each in enumerate(instructions) if each.opcode in (Opcode.LOAD, Opcode.STORE)]
    i, loop = loops[rng.integers(len(loops))]
    old = instructions[i]
    if loop == "length":
        _change(instructions, i, length=max(1, old.length - int(rng.integers(1, 9))))
        return f"length of instruction {i} is {instructions[i].length}, not {old.length}"
    fields = {f"count_{loop}": old.counts[loop] - 1}
    kept = rng.random() < 0.7
    if kept:
        counts = old.counts | {loop: old.counts[loop] - 1}
        for walk in FORMATS[old.opcode].walks:
            by_loop = {k: v for k, v in old.strides(walk.name).items() if k in walk.loops}
            for each, step in steps(old.format.loops, counts, by_loop, walk.width).items():
                if each in walk.loops:
                    fields[f"{walk.name}_step_{each}"] = step
    _change(instructions, i, **fields)
    return f"count_{loop} of instruction {i} is one less{'' if kept else ', the steps as they were'}"


WAYS: dict[str, Callable[[list[Instruction], np.random.Generator], str | None]] = {
    "dropped wait": _dropped_wait,
    "dropped order": _dropped_order,
    "swapped signal": _swapped_signal,
    "shifted address": _shifted_address,
    "shortened loop": _shortened_loop,
}
