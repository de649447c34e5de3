"""The mutation score of the checker: ``python -m verif.checker.score --mutants 500`` prints it.

Mutants count if some order of the engines deadlocks, stops or changes a result. ``order``: only other orders than that of the program
do, so that no test in program order sees it. ``value``: the order of the program does.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from gemmary.compiler import Program
from gemmary.compiler.checker import Finding, check_program
from verif.checker.interleavings import Case, behaviour
from verif.checker.mutation import WAYS, Mutant, mutant
from verif.checker.programs import cases


@dataclass
class Score:
    """Mutants by (way, behaviour, whether caught); those that count and were not caught, with the case's name."""

    count: Counter = field(default_factory=Counter)
    missed: list[tuple[str, Mutant, str]] = field(default_factory=list)

    def caught(self, way: str | None = None, kinds: tuple[str, ...] = ("order", "value")) -> tuple[int, int]:
        """(caught, all) of the mutants that count."""
        chosen = {k: n for k, n in self.count.items() if way in (None, k[0]) and k[1] in kinds}
        return sum(n for k, n in chosen.items() if k[2]), sum(chosen.values())


def changed(program: Program, code: bytes, number: int = 0) -> Program:
    """The program with other code in run ``number`` of all its runs."""
    layers, at = [], 0
    for layer in program.layers:
        runs = []
        for run in layer.runs:
            runs.append(replace(run, code=code) if at == number else run)
            at += 1
        layers.append(replace(layer, runs=tuple(runs)))
    return replace(program, layers=tuple(layers))


def check(program: Program) -> list[Finding]:
    return check_program(program)


def measure(cases: dict[str, Case], mutants: int, seed: int) -> Score:
    """``mutants`` of each way."""
    rng, score, names = np.random.default_rng(seed), Score(), list(cases)
    for way in WAYS:
        made = 0
        while made < mutants:
            name = names[rng.integers(len(names))]
            case = cases[name]
            codes = [run.code for layer in case.program.layers for run in layer.runs]
            number = int(rng.integers(len(codes)))
            found = mutant(codes[number], way, rng)
            if found is None or found.code == codes[number]:
                continue
            made += 1
            program = changed(case.program, found.code, number)
            caught = bool(check(program))
            kind = behaviour(case, program, int(rng.integers(1 << 30)))
            score.count[way, kind, caught] += 1
            if kind != "none" and not caught:
                score.missed.append((name, found, kind))
    return score


def table(score: Score) -> str:
    """As Markdown."""
    lines = [
        "| mutants | made | harmful in other orders | caught | harmful in any order | caught | harmless | refused all the same |"
    ]
    lines.append("| --- |" + " ---: |" * 7)
    for way in (*WAYS, None):
        made = sum(n for k, n in score.count.items() if way in (None, k[0]))
        order, value = score.caught(way, ("order",)), score.caught(way, ("value",))
        refused, harmless = score.caught(way, ("none",))
        cells = made, order[1], _share(*order), value[1], _share(*value), harmless, refused
        lines.append(f"| {way or 'all'} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "–"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=100, help="of each way")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin = time.perf_counter()
    score = measure(cases(), options.mutants, options.seed)
    print(table(score))
    for name, missed, kind in score.missed:
        print(f"missed, {kind}: {name}: {missed.way}: {missed.what}")
    print(f"{time.perf_counter() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
