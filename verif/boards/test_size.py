"""The boards' designs, host link included, stay small enough for their chips, and fast enough."""

import pytest

from boards.board import board
from boards.flow.build import Build
from boards.flow.size import Size
from gemmary.config import preset

LOGIC_CELLS = 4800
"""Of 5,280: above that the router finds no way."""


def test_icebreaker_fits():
    icebreaker = board("icebreaker")
    used = Size(icebreaker, icebreaker.config()).count()
    assert 0 < used["logic_cells"] <= LOGIC_CELLS, used
    assert used["bram"] <= 30 and used["spram"] <= 4 and used["dsp"] <= 8, used


@pytest.mark.nightly
def test_ulx3s_routes():
    """A quarter of an hour, unless it is built already. What it takes now is 28,798 TRELLIS_COMB and 18,204 flip-flops: with
    much more the router finds no way."""
    ulx3s = board("ulx3s-85f")
    report = Build(ulx3s, ulx3s.config()).fpga()
    assert report["timing_met"], report
    assert report["trellis_comb"] <= 29_500 and report["ff"] <= 19_000, report


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "gops"), [("ulx3s-pair", 61.4), ("ulx3s-mixed", 122.8)])
def test_pair_arrays_route(name, gops):
    """Some 20 minutes each, unless it is built already: what decisions 0009 and 0012 say of them, by MACs a cycle."""
    report = Build(board("ulx3s-85f"), preset(name)).fpga()
    assert report["timing_met"] and report["peak_gops"] >= gops, report
    assert report["macs_per_dsp_multiplier"] >= 1.8 and report["comb_per_mac_array"] <= 30, report
    assert report["comb_per_mac"] <= 100, report
