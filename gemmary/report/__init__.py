"""The page kit: reports as single HTML files that need no network, with tables to sort and plots as inline SVG."""

from .bars import stacked_bars
from .page import Column, Tile, page, section, table, tiles
from .plot import Line, Point, plot

__all__ = ["Column", "Line", "Point", "Tile", "page", "plot", "section", "stacked_bars", "table", "tiles"]
