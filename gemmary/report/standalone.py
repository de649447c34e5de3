"""Figures as a picture file of their own."""

import re
from importlib import resources


def standalone(*figures: str) -> str:
    """SVG that needs no page: the drawings one below the other, with the page's colours by day."""
    style = resources.files("gemmary.report").joinpath("page.css").read_text(encoding="utf-8").partition("@media")[0]
    colours = dict(re.findall(r"(--\w+): (#\w+);", style))
    drawings, down, width = [], 0.0, 0.0
    for figure in figures:
        if drawing := re.search(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>(.*)</svg>', figure, re.DOTALL):
            drawings.append(f'<g transform="translate(0 {down:g})">{drawing[3]}</g>')
            down, width = down + float(drawing[2]), max(width, float(drawing[1]))
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {down:g}" font-family="sans-serif" font-size="12">'
        "<style>text{fill:#1d2129}.soft{fill:#667080}.grid{stroke:#ecebe6}.axis{stroke:#667080}</style>"
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(drawings)}</svg>\n'
    )
    return re.sub(r"var\((--\w+)\)", lambda match: colours[match[1]], text)
