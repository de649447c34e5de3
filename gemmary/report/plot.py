"""Dots and lines over two axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .page import legend
from .svg import Scale, colour, element, picture, short, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1060.0, 440.0, 74.0, 20.0, 16.0, 52.0


@dataclass(frozen=True)
class Point:
    """A dot at (x, y) of the colour of its ``series``; ``note`` is shown where the pointer rests on it."""

    x: float
    y: float
    note: str
    series: str = ""


@dataclass(frozen=True)
class Line:
    """A line through ``points`` with a name at the last but one; ``series`` None draws it as a limit."""

    points: Sequence[tuple[float, float]]
    name: str = ""
    series: str | None = None


def plot(
    points: Sequence[Point],
    lines: Sequence[Line] = (),
    *,
    x: str,
    y: str,
    log: tuple[bool, bool] = (False, False),
) -> str:
    """A figure with axes titled ``x`` and ``y``, each linear or logarithmic. Nothing to show gives nothing."""
    xs = [p.x for p in points] + [px for line in lines for px, _ in line.points]
    ys = [p.y for p in points] + [py for line in lines for _, py in line.points]
    if not xs:
        return ""
    across = _scale(xs, LEFT, WIDTH - RIGHT, log[0])
    up = _scale(ys, HEIGHT - BOTTOM, TOP, log[1])
    series = list(
        dict.fromkeys([p.series for p in points] + [line.series for line in lines if line.series is not None])
    )
    content = _axes(across, up, x, y)
    for line in lines:
        path = " ".join(f"{across(px):.1f},{up(py):.1f}" for px, py in line.points)
        style = (
            {"class_": "roof"} if line.series is None else {"stroke": colour(series.index(line.series)), "fill": "none"}
        )
        content.append(element("polyline", points=path, stroke_width=1.6, **style))
        if line.name:
            (ax, ay), (_, by) = line.points[-2:]
            side, anchor = (6, "start") if by < ay else (-4, "end")  # beside the line, not on it
            content.append(text(across(ax) + side, up(ay) - 7, line.name, text_anchor=anchor, class_="soft"))
    for point in points:
        content.append(
            element(
                "circle",
                element("title", escape(point.note)),
                cx=across(point.x),
                cy=up(point.y),
                r=4.5,
                fill=colour(series.index(point.series)),
                fill_opacity=0.8,
            )
        )
    named = [(name, i) for i, name in enumerate(series) if name]
    return (legend(named) if len(named) > 1 else "") + picture(WIDTH, HEIGHT, f"{y} against {x}", content)


def _scale(values: Sequence[float], start: float, end: float, log: bool) -> Scale:
    low, high = min(values), max(values)
    if log:
        return Scale(low / 1.5, high * 1.5, start, end, True)
    return Scale(min(0.0, low), high * 1.06 or 1.0, start, end)


def _axes(across: Scale, up: Scale, x: str, y: str) -> list[str]:
    floor, ceiling = HEIGHT - BOTTOM, TOP
    content = []
    for tick in across.ticks:
        place = across(tick)
        content.append(element("line", x1=place, x2=place, y1=ceiling, y2=floor, class_="grid"))
        content.append(text(place, floor + 18, short(tick), text_anchor="middle", class_="soft"))
    for tick in up.ticks:
        place = up(tick)
        content.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=place, y2=place, class_="grid"))
        content.append(text(LEFT - 8, place + 4, short(tick), text_anchor="end", class_="soft"))
    middle = (ceiling + floor) / 2
    turn = f"rotate(-90 16 {middle:.1f})"
    return [
        *content,
        element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor, class_="axis"),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x, text_anchor="middle"),
        text(16.0, middle, y, text_anchor="middle", transform=turn),
    ]
