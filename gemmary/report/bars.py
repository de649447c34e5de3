"""Stacked horizontal bars."""

from collections.abc import Mapping, Sequence
from html import escape

from .page import legend
from .svg import Scale, colour, element, picture, short, text

WIDTH, LEFT, RIGHT, ROW, BOTTOM = 1060.0, 190.0, 66.0, 22.0, 42.0


def stacked_bars(bars: Sequence[tuple[str, Mapping[str, float]]], *, unit: str, form: str = ".1%") -> str:
    """A bar for each (name, parts by kind), all with the same kinds in the same order; its sum is written behind it.

    ``unit`` titles the axis. Parts below 0 count as 0.
    """
    if not bars:
        return ""
    kinds = list(bars[0][1])
    highest = max(sum(max(0.0, part) for part in parts.values()) for _, parts in bars) or 1.0
    scale, floor = Scale(0.0, highest * 1.02, LEFT, WIDTH - RIGHT), ROW * len(bars) + 6
    content = []
    for tick in scale.ticks:
        place = scale(tick)
        content.append(element("line", x1=place, x2=place, y1=2.0, y2=floor, class_="grid"))
        shown = format(tick, ".0%" if highest > 0.06 else ".1%") if form.endswith("%") else short(tick)
        content.append(text(place, floor + 16, shown, text_anchor="middle", class_="soft"))
    for row, (name, parts) in enumerate(bars):
        top, at = ROW * row + 5, 0.0
        content.append(text(LEFT - 10, top + 12, name if len(name) < 27 else name[:25] + "…", text_anchor="end"))
        for kind, part in parts.items():
            if part > 0:
                note = element("title", escape(f"{name}: {kind} {format(part, form)}"))
                width = scale(at + part) - scale(at)
                shape = {"x": scale(at), "y": top, "width": width, "height": ROW - 6, "fill": colour(kinds.index(kind))}
                content.append(element("rect", note, **shape))
                at += part
        content.append(text(scale(at) + 6, top + 12, format(at, form), class_="soft"))
    content.append(text((LEFT + WIDTH - RIGHT) / 2, floor + 36, unit, text_anchor="middle"))
    used = [(kind, i) for i, kind in enumerate(kinds) if any(parts[kind] > 0 for _, parts in bars)]
    return legend(used) + picture(WIDTH, floor + BOTTOM, unit, content)
