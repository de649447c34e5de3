"""The tensor engine's bench must notice a window that is nearly right. One simulator says it all."""

from collections.abc import Callable

import pytest
from amaranth import Signal

from hdl.array.array import SystolicArray
from hdl.array.engine import TensorEngine
from hdl.array.sequencer import RowSequencer
from hdl.array.window import Window
from verif import runner
from verif.configs import TINY_WINDOW

window, walk, taps, lines = RowSequencer._window, RowSequencer._walk, SystolicArray._taps, Window._lines


def constants_are_not_taken(self, m, nest, current):
    """An injected constant does not go into the line memories."""
    result = window(self, m, nest, current)
    row = self.o.payload
    m.d.comb += row.window.eq(current.window & row.read)
    return result


class EveryLine:
    """An instruction that skips no line."""

    window_skip_y = 0

    def __init__(self, instruction):
        self.instruction = instruction

    def __getattr__(self, name):
        return getattr(self.instruction, name)


def lines_are_skipped_from_the_first(self, m, nest, current):
    """Every second line is the second, fourth … of the tile, whatever the lead is."""
    refused, every = window(self, m, nest, EveryLine(current))
    odd, write = Signal(), Signal()
    with m.If(self.load | (self.step & nest.advance[:-2].any())):
        m.d.sync += odd.eq(0)
    with m.Elif(self.step & nest.advance[-2]):
        m.d.sync += odd.eq(~odd)
    m.d.comb += [write.eq(every & ~(current.window & current.window_skip_y & odd)), self.o.payload.write.eq(write)]
    return refused, write


def the_walk_never_stands_still(self, m, nest, current, name, step):
    """Its step is added also where nothing was written."""
    return walk(self, m, nest, current, name, self.step)


def ordinary_words_are_taken(self, m):
    """The words of matmuls without a window go into the line memories too."""
    result = taps(self, m)
    m.d.comb += m.submodules.window.take.eq(self.i.valid)
    return result


def lines_are_exchanged(self, m):
    """The line before the last and the one before that."""
    (upper, lower, word), taken = lines(self, m)
    return (lower, upper, word), taken


BAD = [
    (RowSequencer, "_window", constants_are_not_taken),
    (RowSequencer, "_window", lines_are_skipped_from_the_first),
    (RowSequencer, "_walk", the_walk_never_stands_still),
    (SystolicArray, "_taps", ordinary_words_are_taken),
    (Window, "_lines", lines_are_exchanged),
]


@pytest.mark.nightly
@pytest.mark.parametrize("place", BAD, ids=lambda place: place[2].__name__)
def test_bad_windows_are_noticed(monkeypatch, tmp_path, place):
    component, name, broken = place
    monkeypatch.setattr(component, name, broken)
    with pytest.raises(runner.BenchFailed, match="back_to_back"):
        run(broken, tmp_path)


@pytest.mark.nightly
def test_the_true_window_passes(tmp_path):
    """So it is the fault that is noticed."""
    run(TensorEngine, tmp_path)


def run(variant: Callable, folder) -> None:
    model = runner.build(TensorEngine(TINY_WINDOW), f"window-{variant.__name__}", "verilator")
    environment = {"GEMMARY_CASE": TINY_WINDOW.name}
    runner.run(model, "verif.unit.array.test_engine", folder, 1, "back_to_back", environment)
