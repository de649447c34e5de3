"""The main job: classifies handwritten digits on the simulated accelerator and checks every activation, bit for bit.

Every int8 result of every layer is compared with the golden network (verif/golden, NumPy) and with the emulator. A table on
stdout says what each layer took, build/sim/report.json holds the figures, progress is on stderr.

Exit status 0: no difference; 1: some activation differs, or the accelerator stopped; 2: bad input or a missing tool.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gemmary.compiler import Layer, Program, compile_network
from gemmary.config import PRESETS, preset
from gemmary.errors import GemmaryError, InputError
from gemmary.models.digits import Digits, load_digits
from gemmary.runtime.device import device_names, open_device
from gemmary.runtime.execute import Result, execute
from verif.golden import network as golden

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "build" / "sim" / "report.json"

CLOCK_HZ = 100_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        write(options.report, "")  # better an error now than after the run
        report = simulate(options)
        write(options.report, json.dumps(report, indent=2) + "\n")
    except GemmaryError as error:
        print(f"sim: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    show(report, options.report)
    return 1 if report["mismatches"] else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.sim",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  make sim\n  python -m scripts.sim --preset small --images 60\n  python -m scripts.sim --device emulator",
    )
    parser.add_argument("--device", default="rtl", help=f"{', '.join(device_names())} (default: rtl)")
    parser.add_argument("--preset", default="base", help=f"{', '.join(PRESETS)} (default: base)")
    parser.add_argument("--images", type=int, help="only so many images (default: the whole test split)")
    parser.add_argument(
        "--report", type=Path, default=REPORT, help="where the JSON goes (default: build/sim/report.json)"
    )
    return parser.parse_args(arguments)


def simulate(options: argparse.Namespace) -> dict:
    """Runs everything and returns the report."""
    begin = time.perf_counter()
    config, digits = preset(options.preset), load_digits()
    count = len(digits.images) if options.images is None else options.images
    if not 1 <= count <= len(digits.images):
        raise InputError(f"--images must be 1 to {len(digits.images)}, not {count}")
    images, network = digits.images[:count], digits.network
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:44}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"Compiling {network.name} for preset {config.name}", total=None)
        program = compile_network(config, network, count)
        result, speed = run(options.device, program, images, progress, task)
        task = progress.add_task("Emulating", total=None)
        emulated, _ = run("emulator", program, images, progress, task)
    expected = golden.run(network, images)
    against = {
        "golden": differences(program, result, {layer.output: expected[layer.name] for layer in program.layers}),
        "emulator": differences(program, result, emulated.tensors),
    }
    layers = [describe(layer, against) for layer in result.layers]
    return {
        "preset": config.name,
        "device": options.device,
        "images": count,
        "images_all": len(digits.images),
        "accuracy_int8": accuracy(network.output, result, digits, count),
        "accuracy_float": digits.accuracy_float,
        "mismatches": sum(sum(by_layer.values()) for by_layer in against.values()),
        "activations": sum(result.tensors[layer.output].size for layer in program.layers),
        "cycles": result.cycles,
        "macs": result.macs,
        "utilization": round(result.utilization, 6),
        "clock_mhz": CLOCK_HZ / 1e6,
        "simulated_s": result.cycles / CLOCK_HZ,
        "cycles_per_s": round(speed),
        "wall_s": round(time.perf_counter() - begin, 3),
        "layers": layers,
    }


def run(name: str, program: Program, images: np.ndarray, progress: Progress, task) -> tuple[Result, float]:
    """The result on the device called ``name``, and how many cycles it simulates in a second (0 if it has no clock)."""
    expected = {layer.name: sum(run.expected_cycles for run in layer.runs) for layer in program.layers}
    done = 0

    def show(cycles: int) -> None:
        progress.update(task, completed=done + cycles)

    def begin_layer(layer: Layer) -> None:
        progress.update(task, description=f"{layer.name}, {len(images)} images on {name}", completed=done)

    def end_layer(layer: Layer) -> None:
        nonlocal done
        done += expected[layer.name]
        following = program.layers.index(layer) + 1
        if following < len(program.layers):
            begin_layer(program.layers[following])

    progress.update(task, description=f"Opening device {name} (builds it, the first time)")
    device = open_device(name, program.config, **({"progress": show} if name == "rtl" else {}))
    try:
        progress.update(task, total=sum(expected.values()))
        begin_layer(program.layers[0])
        result = execute(device, program, {program.inputs[0]: images}, end_layer)
        progress.update(task, description=f"{len(images)} images on {name}", completed=sum(expected.values()))
        return result, getattr(device, "cycles_per_second", 0)
    finally:
        device.close()


def differences(program: Program, result: Result, expected: dict[str, np.ndarray]) -> dict[str, int]:
    """For each layer the number of activations that are not as expected."""
    return {
        layer.name: int(np.count_nonzero(result.tensors[layer.output] != expected[layer.output]))
        for layer in program.layers
    }


def describe(layer, against: dict[str, dict[str, int]]) -> dict:
    return {
        "name": layer.name,
        "macs": layer.macs,
        "cycles": layer.cycles,
        "utilization": round(layer.utilization, 6),
        **{f"mismatches_{name}": by_layer[layer.name] for name, by_layer in against.items()},
    }


def accuracy(output: str, result: Result, digits: Digits, count: int) -> float:
    scores = result.tensors[output].reshape(count, -1)
    return float(np.mean(scores.argmax(axis=1) == digits.labels[:count]))


def write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def show(report: dict, path: Path) -> None:
    timed = report["cycles"] > 0
    title = f"{report['images']} digits on {report['device']}, preset {report['preset']}"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("layer")
    for column in ("MACs", "cycles", "utilization", "≠ golden", "≠ emulator"):
        table.add_column(column, justify="right")
    total = {"name": "all", "mismatches_golden": "", "mismatches_emulator": ""} | {
        name: report[name] for name in ("macs", "cycles", "utilization")
    }
    for i, layer in enumerate([*report["layers"], total]):
        if i == len(report["layers"]):
            table.add_section()
        used = f"{layer['utilization']:.1%}" if layer["macs"] and timed else "–"
        different = (str(layer["mismatches_golden"]), str(layer["mismatches_emulator"]))
        table.add_row(layer["name"], f"{layer['macs']:,}", f"{layer['cycles']:,}" if timed else "–", used, *different)
    console = Console()
    console.print(table)
    say = partial(console.print, soft_wrap=True, highlight=False)
    whole = "" if report["images"] == report["images_all"] else f" (of all {report['images_all']} images)"
    say(f"accuracy     int8 {report['accuracy_int8']:.2%}, float32 {report['accuracy_float']:.2%}{whole}")
    say(f"mismatches   {report['mismatches']} of {report['activations']:,} activations, against each of two references")
    if timed:
        each = 1e6 * report["simulated_s"] / report["images"]
        simulated = (
            f"{1e3 * report['simulated_s']:.2f} ms simulated at {report['clock_mhz']:.0f} MHz ({each:.1f} µs an image)"
        )
        say(f"time         {simulated}, at {report['cycles_per_s']:,} cycles a second")
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    say(f"report       {shown} ({report['wall_s']:.0f} s in all)")


if __name__ == "__main__":
    sys.exit(main())
