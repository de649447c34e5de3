"""What is kept of a measured array, and its picture."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from boards.flow.limits import TABLES
from scripts import measure_array_sizes as sizes

FOUND = {"TRELLIS_COMB": 1000, "TRELLIS_FF": 2000, "MULT18X18D": 36, "mhz": 200.04}


def test_a_mac_is_one_of_the_product():
    kept = sizes.figures("pair", 64, FOUND)
    assert (kept["comb_per_mac"], kept["mhz"], kept["MULT18X18D"]) == (15.62, 200.0, 36)


def test_no_clock_above_that_of_a_multiplier():
    assert sizes.figures("pair", 64, FOUND | {"mhz": 509.0})["mhz"] == round(1e6 / TABLES["6"].inside(True), 1) == 390.3


def test_an_array_that_was_not_routed_has_no_clock():
    kept = sizes.figures("pair", 64, {"LUT4": 5, "MULT18X18D": 36, "mhz": None})
    assert kept["mhz"] is kept["comb_per_mac"] is kept["TRELLIS_COMB"] is None
    assert "circle" not in sizes.draw({"pair-8x8": kept})


def test_picture():
    """A dot for each size in both drawings; no colour is left to a page."""
    shown = {"pair-8x8": sizes.figures("pair", 64, FOUND), "plain-8x4": sizes.figures("plain", 32, FOUND)}
    text = sizes.draw(shown)
    assert ElementTree.fromstring(text) is not None and text.count("<circle") == 4 and "var(" not in text


def test_the_picture_is_that_of_the_figures():
    kept = json.loads(sizes.FILE.read_text())
    assert set(kept) <= set(sizes.SIZES) and sizes.PICTURE.read_text(encoding="utf-8") == sizes.draw(kept)


@pytest.mark.parametrize("name", sizes.SIZES)
def test_sizes_fit_the_chip(name):
    """Each takes the share of the multipliers that is said of it; the side column of pairs is one more."""
    kind, rows, columns = name.replace("x", "-").split("-")
    multipliers = (int(columns) + 1) * int(rows) // 2 if kind == "pair" else int(rows) * int(columns)
    assert 30 < multipliers <= sizes.MULTIPLIERS == 156
