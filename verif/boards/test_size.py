"""The iCEBreaker's design, host link included, stays small enough for its chip."""

from boards.board import board
from boards.flow.size import Size

LOGIC_CELLS = 4800
"""Of 5,280: above that the router finds no way."""


def test_icebreaker_fits():
    icebreaker = board("icebreaker")
    used = Size(icebreaker, icebreaker.config()).count()
    assert 0 < used["logic_cells"] <= LOGIC_CELLS, used
    assert used["bram"] <= 30 and used["spram"] <= 4 and used["dsp"] <= 8, used
