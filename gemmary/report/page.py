"""HTML of a page: title, sections, tiles, tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources


@dataclass(frozen=True)
class Tile:
    """A figure with its meaning. ``mood``: "good", "bad" or none."""

    value: str
    meaning: str
    mood: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table. ``form`` formats its numbers (format specification); without it the column is text."""

    title: str
    form: str | None = None
    hint: str = ""


def page(title: str, lead: str, parts: Iterable[str]) -> str:
    """A whole page of HTML ``parts``, with style and script inside: it loads nothing."""
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
            f"<h1>{escape(title)}</h1>\n<p>{escape(lead)}</p>",
            *parts,
            f"</main>\n<script>\n{script}</script>\n</body>\n</html>\n",
        ]
    )


def section(title: str, lead: str, *parts: str) -> str:
    return "\n".join(
        ["<section>", f"<h2>{escape(title)}</h2>", f"<p>{escape(lead)}</p>" if lead else "", *parts, "</section>"]
    )


def tiles(shown: Iterable[Tile]) -> str:
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b class="{tile.mood}">{escape(tile.value)}</b><span>{escape(tile.meaning)}</span></div>'
            for tile in shown
        )
        + "</div>"
    )


def table(columns: Sequence[Column], rows: Iterable[Sequence]) -> str:
    """A table that a press on a header sorts. None is shown as a dash."""
    heads = "".join(
        f'<th scope="col"{_text(column)}{f" title={_quoted(column.hint)}" if column.hint else ""}>'
        f'<button type="button">{escape(column.title)}</button></th>'
        for column in columns
    )
    body = "\n".join("<tr>" + "".join(map(_cell, columns, row)) + "</tr>" for row in rows)
    return f'<div class="scroll"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def legend(entries: Iterable[tuple[str, int]]) -> str:
    """Names and numbers of colours."""
    return (
        '<div class="legend">'
        + "".join(
            f'<span><i style="background:var(--c{colour % 8})"></i>{escape(name)}</span>' for name, colour in entries
        )
        + "</div>"
    )


def _cell(column: Column, value) -> str:
    if column.form is None:
        return f'<td class="text" data-value={_quoted(str(value))}>{escape(str(value))}</td>'
    if value is None:
        return "<td>–</td>"
    return f'<td data-value="{value}">{format(value, column.form)}</td>'


def _text(column: Column) -> str:
    return ' class="text"' if column.form is None else ""


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
