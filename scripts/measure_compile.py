"""Time and memory that ``gemmary compile`` takes for ResNets of several depths, one core, each in a process of its own.

pip install -e ".[onnx]"
python -m scripts.measure_compile              all depths, into docs/compile-time.json; minutes
python -m scripts.measure_compile 50           one, again
python -m scripts.measure_compile --draw       only docs/images/compile-time.svg
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gemmary.report import Line, Point, plot
from gemmary.report.standalone import standalone

DOCS = Path(__file__).resolve().parent.parent / "docs"
FILE, PICTURE = DOCS / "compile-time.json", DOCS / "images" / "compile-time.svg"
BLOCKS = {
    8: (1, 1, 0, 0),
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    38: (2, 3, 5, 2),
    50: (3, 4, 6, 3),
    74: (3, 4, 14, 3),
    101: (3, 4, 23, 3),
}
"""Bottlenecks of the four stages by number of layers: 50 and 101 are the networks of that name, 224×224."""

SECONDS, MEBIBYTES = 60, 2048
"""What ResNet-50 may take."""


def measured(layers: int) -> dict:
    """Of compiling a model with so many layers for `base`: CPU seconds and peak memory of the process, and what came out."""
    import onnx

    from .resnets import resnet

    with tempfile.TemporaryDirectory() as folder:
        model, program = Path(folder) / "model.onnx", Path(folder) / "model.gem"
        onnx.save(resnet(BLOCKS[layers]), str(model))
        command = [sys.executable, "-m", "gemmary.cli", "compile", str(model), "-o", str(program), "--strict", "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"})
        text = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    figures = json.loads(text)
    return {
        "seconds": round(used.ru_utime + used.ru_stime, 1),
        "mebibytes": round(used.ru_maxrss / 1024),
        "macs": figures["macs"],
        "bytes_of_program": figures["bytes_of_program"],
    }


def draw(kept: dict[str, dict]) -> str:
    """Seconds, and below them MiB, against layers; the line is ResNet-50's share of a layer."""
    figures = (
        _figure(kept, "seconds", "seconds", SECONDS),
        _figure(kept, "mebibytes", "MiB at the peak", MEBIBYTES),
    )
    return standalone(*figures)


def _figure(kept: dict[str, dict], key: str, title: str, bound: float) -> str:
    points = [Point(int(n), each[key], f"{n} layers: {each[key]:,}", "measured") for n, each in kept.items()]
    line = Line([(point.x, point.y) for point in points], series="measured")
    limit = Line([(0, bound), (max(BLOCKS), bound)], name="bound for ResNet-50")
    return plot(points, [line, limit], x="layers", y=title)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", type=int, choices=[[], *BLOCKS], help="default: all")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    options = parser.parse_args()
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    for layers in [] if options.draw else options.layers or BLOCKS:
        kept[str(layers)] = measured(layers)
        print(layers, json.dumps(kept[str(layers)]), flush=True)
        FILE.write_text(json.dumps({str(n): kept[str(n)] for n in BLOCKS if str(n) in kept}, indent=1) + "\n")
    PICTURE.write_text(draw(kept), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
