"""Look-up tables and clock of bare arrays that take a quarter, half and nearly all multipliers of an LFE5U-85F, out of context.

python -m scripts.measure_array_sizes                    those that docs/array-sizes.json lacks; minutes each
python -m scripts.measure_array_sizes pair-16x16         one, again
python -m scripts.measure_array_sizes --draw             only docs/images/array-sizes.svg

A size that the router gives up on is kept with ``mhz`` null.
"""

import argparse
import json
import re
from pathlib import Path

from boards.flow.build import BUILD
from boards.flow.limits import TABLES
from gemmary.report import Line, Point, plot
from gemmary.report.standalone import standalone

from .measure_array import design, measure

DOCS = Path(__file__).resolve().parent.parent / "docs"
FILE, PICTURE = DOCS / "array-sizes.json", DOCS / "images" / "array-sizes.svg"
SIZES = ("pair-8x8", "pair-16x8", "pair-16x16", "plain-8x4", "plain-8x8", "plain-16x8")
"""Kind, rows x columns: sizes are powers of two."""
PLACER, SEED = "heap", 1
MULTIPLIERS = 156


def measured(name: str) -> dict:
    """The figures of one array; ``macs`` are those of the product, ``comb_per_mac`` all its TRELLIS_COMB for one of them."""
    kind, rows, columns = re.fullmatch(r"(\w+)-(\d+)x(\d+)", name).groups()
    component = design(kind, int(rows), int(columns))
    found = measure(BUILD / f"array-{name}-{PLACER}-{SEED}", component, PLACER, SEED)
    return figures(kind, int(rows) * int(columns), found)


def figures(kind: str, macs: int, found: dict) -> dict:
    """What is kept of ``found``; the clock never above what the inside of a multiplier allows."""
    limit = 1e6 / TABLES["6"].inside(pipeline=True)
    used = {name: found.get(name) for name in ("TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D")}
    comb = found.get("TRELLIS_COMB")
    mhz = found["mhz"] and round(min(found["mhz"], limit), 1)
    return {"kind": kind, "macs": macs, **used, "comb_per_mac": comb and round(comb / macs, 2), "mhz": mhz}


def draw(sizes: dict[str, dict]) -> str:
    """A picture of its own: TRELLIS_COMB, and below it the clock, against multipliers."""
    return standalone(_figure(sizes, "TRELLIS_COMB", "TRELLIS_COMB"), _figure(sizes, "mhz", "MHz"))


def _figure(sizes: dict[str, dict], key: str, title: str) -> str:
    shown = {name: size for name, size in sizes.items() if size[key]}
    points = [Point(s["MULT18X18D"], s[key], f"{name}: {s[key]:,}", f"{s['kind']} array") for name, s in shown.items()]
    lines = []
    for series in dict.fromkeys(point.series for point in points):
        line = sorted((point.x, point.y) for point in points if point.series == series)
        if len(line) > 1:
            lines.append(Line(line, series=series, name=series))
    return plot(points, lines, x=f"multipliers of {MULTIPLIERS}", y=title)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sizes", nargs="*", metavar="SIZE", help=f"{', '.join(SIZES)} (default: those not yet measured)"
    )
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if unknown := [name for name in options.sizes if name not in SIZES]:
        parser.error(f"unknown size {unknown[0]!r}: choose of {', '.join(SIZES)}")
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    wanted = options.sizes or [name for name in SIZES if name not in kept]
    for name in [] if options.draw else wanted:
        kept[name] = measured(name)
        kept = {name: kept[name] for name in SIZES if name in kept}
        FILE.write_text(json.dumps(kept, indent=1) + "\n")
        print(name, json.dumps(kept[name]))
    PICTURE.write_text(draw(kept), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
