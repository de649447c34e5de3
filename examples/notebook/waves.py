"""Waves for the notebook: values from a VCD file, a plot, and a save file for GTKWave."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch
from vcd.gtkw import GTKWSave

from gemmary.registers import State

PERIOD = 10
"""Units of time that the simulation gives a cycle."""

ACCELERATOR = "gemmary.accelerator"
ENGINES = {name: f"{ACCELERATOR}.sequencer.counters.{name}.state" for name in ("load", "tensor", "vector", "store")}
"""What the counters see."""

RUNNING = f"{ACCELERATOR}.sequencer.counters.load.enable"
TENSOR = {
    "row requested": f"{ACCELERATOR}.tensor.activation__valid",
    "row enters array": f"{ACCELERATOR}.tensor.array.i__valid",
    "weights swap": f"{ACCELERATOR}.tensor.array.i__swap",
    "sums leave array": f"{ACCELERATOR}.tensor.accumulate__valid",
    "accumulator row": f"{ACCELERATOR}.tensor.accumulate__row",
}
BUS = {
    "data read": f"{ACCELERATOR}.traffic.read",
    "data written": f"{ACCELERATOR}.traffic.write",
    "interrupt": "gemmary.irq",
}
SIGNALS = {"Engines": ENGINES, "Tensor engine": TENSOR, "Memory bus": BUS}

COLORS = {
    State.IDLE: "#f2f2f2", State.WAIT_SEMAPHORE: "#c9d4e3", State.BUSY: "#2a7f62", State.STALL_MEMORY: "#e07a1f",
    State.STALL_HAZARD: "#b5179e", State.STALL_WEIGHTS: "#d1495b", State.STALL_BUS: "#edae49", State.DRAIN: "#8fbfa8",
}  # fmt: skip


def declarations(path: Path) -> dict[str, tuple[str, str]]:
    """The signals of a VCD file by full name: (identifier, range as ``[2:0]`` or nothing)."""
    found, scope = {}, []
    with path.open() as file:
        for line in file:
            match line.split():
                case ["$scope", _, name, "$end"]:
                    scope.append(name)
                case ["$upscope", "$end"]:
                    scope.pop()
                case ["$var", _, _, identifier, name, *bits, "$end"]:
                    found[".".join([*scope, name])] = identifier, "".join(bits)
                case ["$enddefinitions", "$end"]:
                    break
    return found


def read(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The value of each signal in each cycle, just before the rising edge. KeyError names a signal that is not there."""
    declared = declarations(path)
    wanted = {name: declared[name][0] for name in names}
    changes = {identifier: ([], []) for identifier in wanted.values()}
    time = 0
    with path.open() as file:
        for line in file:
            if line[0] == "#":
                time = int(line[1:])
            elif line[0] in "01":
                if (change := changes.get(line[1:].rstrip())) is not None:
                    change[0].append(time)
                    change[1].append(int(line[0]))
            elif line[0] == "b":
                value, identifier = line[1:].split()
                if (change := changes.get(identifier)) is not None:
                    change[0].append(time)
                    change[1].append(int(value, 2))
    cycles = np.arange(time // PERIOD) * PERIOD

    def sampled(times: list[int], values: list[int]) -> np.ndarray:
        return np.array(values)[np.searchsorted(times, cycles, side="right") - 1]

    return {name: sampled(*changes[identifier]) for name, identifier in wanted.items()}


def runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """(first cycle, cycles, value) of each stretch of equal values."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [(start, end - start, int(values[start])) for start, end in pairwise(edges)]


def plot(rows: Mapping[str, np.ndarray], first: int, last: int, title: str):
    """Draws rows by label between two cycles: engines in the colours of their states, bits as waves, words as a staircase."""
    figure, axes = plt.subplots(figsize=(11, 0.5 * len(rows) + 1.2), layout="constrained")
    seen = set()
    for y, (label, values) in enumerate(rows.items()):
        window = values[first:last]
        if label in ENGINES:
            for start, length, value in runs(window):
                axes.broken_barh([(first + start, length)], (y - 0.35, 0.7), color=COLORS[State(value)])
                seen.add(State(value))
        else:
            heights = y + 0.35 - 0.7 * window / max(1, window.max())
            axes.stairs(heights, np.arange(first, last + 1), baseline=y + 0.35, fill=True, color="#c9d4e3")
            axes.stairs(heights, np.arange(first, last + 1), baseline=None, color="#3d5a80", linewidth=0.9)
    axes.set(yticks=range(len(rows)), yticklabels=rows, xlim=(first, last), ylim=(len(rows) - 0.4, -0.6))
    axes.set(xlabel="cycle", title=title)
    if seen:
        handles = [Patch(color=COLORS[s], label=s.name.lower().replace("_", " ")) for s in sorted(seen)]
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def save_for_gtkwave(path: Path, waves: Path) -> None:
    """Writes a save file: the same signals, in groups, states by name."""
    declared = declarations(waves)
    states = path.with_name("states.txt")
    states.write_text("".join(f"{state:x} {state.name.lower()}\n" for state in State))
    with path.open("w") as file:
        save = GTKWSave(file)
        save.dumpfile(str(waves.resolve()))
        save.treeopen(f"{ACCELERATOR}.")
        save.signals_width(220)
        for group, signals in SIGNALS.items():
            with save.group(group):
                for label, name in signals.items():
                    translation = str(states.resolve()) if signals is ENGINES else None
                    save.trace(name + declared[name][1], alias=label, datafmt="hex", translate_filter_file=translation)
