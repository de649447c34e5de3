"""Random models of the graph level: the reference, the passes and devices must agree in every bit, and the checker refuse no program.

    pip install -e ".[test,onnx]"
    nice -n 19 python -m scripts.soak_graphs --count 10000 --seed 1
    python -m scripts.soak_graphs --count 100 --seed 57 --device rtl         with the RTL too

Tilings are drawn at random from those that the compiler would search, which tries more of them and takes a quarter of the time; ``--search``
leaves the choice to the compiler. Models come in blocks of BLOCK with a seed each, so that a failure is repeated with ``--count 1 --seed``: it prints which, and the
smallest model that Hypothesis finds to fail; then it ends, or goes on with ``--keep-going``. It ends with 1 if any failed.
"""

import argparse
import sys
import time
import traceback

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from gemmary.compiler import lowering
from gemmary.config import Config, preset
from verif.compiler.agreement import check
from verif.compiler.graphs import models
from verif.configs import TINIES

BLOCK = 50
CONFIGS = {config.name: config for config in (preset("small"), preset("base"), *TINIES)}


def drawn_tilings(seed: int):
    """In place of the search for the best tiling: one of its candidates."""
    rng = np.random.default_rng(seed)

    def draw(kind, operations, timing):
        candidates = lowering.choose_tilings(operations[0], len(operations), timing, lowering.CANDIDATES)
        return candidates[rng.integers(len(candidates))]

    return draw


def soak(count: int, seed: int, devices: tuple[str, ...], configs: list[Config], shrink: bool, each) -> int:
    """Layers that ran on the devices. ``each`` is called after every model. What a model raises ends it."""
    layers = 0
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count, phases=phases, database=None, deadline=None, derandomize=False,
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    @hypothesis.given(models(), st.sampled_from(configs))
    def block(drawn, config):
        nonlocal layers
        layers += check(*drawn, config, devices)
        each()

    block()
    return layers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="models (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the first block (default: %(default)s)")
    parser.add_argument("--device", choices=["emulator", "rtl"], default="emulator", help="rtl: beside the emulator")
    parser.add_argument("--preset", action="append", choices=CONFIGS, help="default: all; rtl: small")
    parser.add_argument("--no-shrink", action="store_true", help="stop at the first model that fails, as it is")
    parser.add_argument("--keep-going", action="store_true", help="with the next block, when one has failed")
    parser.add_argument("--search", action="store_true", help="the tilings that the compiler chooses")
    options = parser.parse_args()
    rtl = options.device == "rtl"
    names = options.preset or (["small"] if rtl else list(CONFIGS))
    devices = ("emulator", "rtl") if rtl else ("emulator",)
    configs = [CONFIGS[name] for name in names]
    begin, layers, agree, seed, left, failed = time.perf_counter(), 0, 0, options.seed, options.count, []
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("models", total=options.count)
        while left > 0 and (options.keep_going or not failed):
            size = min(BLOCK, left)
            if not options.search:
                lowering.best_tiling = drawn_tilings(seed)
            try:
                layers += soak(size, seed, devices, configs, not options.no_shrink, lambda: progress.advance(task))
                agree += size
            except Exception:
                traceback.print_exc()
                print(f"python -m scripts.soak_graphs --count {size} --seed {seed} fails", file=sys.stderr)
                failed.append(seed)
            left, seed = left - size, seed + 1
            progress.update(task, completed=options.count - left)
            if not progress.console.is_terminal:
                print(f"{agree} models agree, next seed {seed}", file=sys.stderr, flush=True)
    wall = time.perf_counter() - begin
    print(f"{agree} models with {layers} layers agree on {', '.join(devices)}: {wall:.0f} s")
    if failed:
        print(f"blocks that fail: {', '.join(f'--seed {each}' for each in failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
