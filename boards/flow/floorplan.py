"""The chip as a picture: each tile in the colour of the part of the design that lies there."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from html import escape

from gemmary.report.page import legend
from gemmary.report.svg import colour, element, picture, text

from .modules import NAMES, group_of
from .placement import Cell

TILE, LEFT, TOP = 8.0, 56.0, 14.0
SIZES = {"LFE5U-12": (73, 51), "LFE5U-25": (73, 51), "LFE5U-45": (91, 72), "LFE5U-85": (127, 96), "iCE40UP5K": (26, 32)}
"""Tiles across and down, by the beginning of a device's name."""
UPWARDS = ("iCE40",)
"""Chips whose rows are counted from the bottom."""
BLOCKS = {"MULT18X18D": "DSP", "ICESTORM_DSP": "DSP", "DP16KD": "RAM", "ICESTORM_RAM": "RAM", "ICESTORM_SPRAM": "RAM"}
"""Cells drawn as blocks, and what their row is called."""
LOGIC = {"TRELLIS_COMB": 8, "TRELLIS_FF": 8, "ICESTORM_LC": 8}
"""Cells drawn as a tile together, and how many a tile has room for."""
SHADES = 4


def floorplan(device: str, cells: Sequence[Cell]) -> str:
    """A figure of ``cells``, which lie in ``device``. The fuller a tile, the stronger its colour."""
    known = [size for name, size in SIZES.items() if device.startswith(name)]
    across = max([known[0][0] if known else 0, *(cell.x + 1 for cell in cells)])
    down = max([known[0][1] if known else 0, *(cell.y + 1 for cell in cells)])
    up = device.startswith(UPWARDS)

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x * TILE, TOP + (down - 1 - y if up else y) * TILE

    content = [element("rect", x=LEFT, y=TOP, width=across * TILE, height=down * TILE, fill="none", class_="axis")]
    content += _rows(cells, place, across * TILE) + _logic(cells, place) + _blocks(cells, place)
    used = {group_of(cell.module) for cell in cells}
    named = [(name, i) for i, name in enumerate(NAMES) if name in used]
    return legend(named) + picture(LEFT + across * TILE + 14, TOP + down * TILE + 14, f"floorplan of {device}", content)


def _rows(cells, place, width) -> list[str]:
    """A band behind each row of blocks, with its name."""
    rows = sorted({(cell.y, BLOCKS[cell.kind]) for cell in cells if cell.kind in BLOCKS})
    counts = Counter((y, name) for _, y, name in {(c.x, c.y, BLOCKS[c.kind]) for c in cells if c.kind in BLOCKS})
    content = []
    for y, name in rows:
        left, top = place(0, y)
        if counts[y, name] > 2:  # not blocks in columns at the chip's edge
            content.append(element("rect", x=left, y=top, width=width, height=TILE, fill="var(--grid)"))
            content.append(text(left - 6, top + TILE, name, text_anchor="end", class_="soft"))
    return content


def _logic(cells, place) -> list[str]:
    tiles: dict[tuple[int, int], Counter] = defaultdict(Counter)
    for cell in cells:
        if cell.kind in LOGIC:
            tiles[cell.x, cell.y][group_of(cell.module), cell.kind] += 1
    shapes: dict[tuple[str, int], list[str]] = defaultdict(list)
    for (x, y), counts in tiles.items():
        groups: Counter = Counter()
        kinds: Counter = Counter()
        for (group, kind), count in counts.items():
            groups[group] += count
            kinds[kind] += count
        full = max(count / LOGIC[kind] for kind, count in kinds.items())
        left, top = place(x, y)
        shade = min(SHADES, max(1, round(full * SHADES)))
        shapes[groups.most_common(1)[0][0], shade].append(f"M{left:g} {top:g}h{TILE - 1:g}v{TILE - 1:g}h-{TILE - 1:g}z")
    return [
        element(
            "path", element("title", escape(group)), d="".join(squares), fill=_of(group), fill_opacity=shade / SHADES
        )
        for (group, shade), squares in sorted(shapes.items())
    ]


def _blocks(cells, place) -> list[str]:
    content = []
    for cell in cells:
        if cell.kind in BLOCKS:
            left, top = place(cell.x, cell.y)
            note = element("title", escape(f"{BLOCKS[cell.kind]} of {cell.module or 'top'}"))
            shape = {"x": left - 0.5, "y": top - 1.5, "width": TILE, "height": TILE + 2, "rx": 1}
            content.append(
                element("rect", note, **shape, fill=_of(group_of(cell.module)), stroke="var(--ink)", stroke_width=1.0)
            )
    return content


def _of(group: str) -> str:
    return colour(NAMES.index(group))
