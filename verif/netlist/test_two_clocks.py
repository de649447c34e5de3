"""The board's design with a clock of its own for the tensor engine: every crossing is where one may be, and bad ones are found."""

import dataclasses
from fractions import Fraction

import pytest
from amaranth.back import rtlil

from boards.board import board
from boards.chips.ecp5 import VCO, dividers
from boards.flow.build import elaborate
from gemmary.config import Config
from gemmary.errors import InputError
from hdl.crossing.engine import EngineCrossing
from hdl.crossing.flush import Flush
from hdl.crossing.tensor import TensorCrossing
from hdl.verilog import from_rtlil
from verif.agents.clocks import TwoClocks
from verif.configs import TINY

from .cdc import Crossing, crossings
from .synthesis import flatten

BOARD = dataclasses.replace(board("ulx3s-85f"), compute_mhz=Fraction(120))
ENGINE_QUEUES = {"instructions", "reports", "statuses"}
WRITE_QUEUES = {"writes", "acknowledged"}


def alone() -> list[Crossing]:
    """Of what stands between the two clocks but for the memories, with its ports as pins: seconds, where a board takes minutes."""
    design = rtlil.convert(TwoClocks(TensorCrossing()), name="top", emit_src=False)
    return crossings(flatten(from_rtlil(design), "top").json, ["aresetn"])


def on_the_board(config: Config) -> list[Crossing]:
    """Every pin but the clock counts as asynchronous."""
    design, _ = elaborate(BOARD, config)
    return crossings(flatten(design, "top", rtlil_of="ecp5").json, ["*"])


def check(found: list[Crossing], queues: set[str]) -> None:
    """All are allowed; every one of the ``queues`` is there, and data go both ways."""
    assert not [str(c) for c in found if not c.allowed]
    used = {c.allowed.removesuffix(".fifo").rpartition(".")[2] for c in found if c.allowed.startswith("queue")}
    assert used == queues
    between = {(c.source_clock, c.destination_clock) for c in found if c.kind == "data"}
    assert between >= {("clk", "fast_clk"), ("fast_clk", "clk")}, between


def test_crossings():
    check(alone(), ENGINE_QUEUES)


@pytest.mark.nightly
@pytest.mark.parametrize("config", [TINY, BOARD.config()], ids=lambda config: config.name)
def test_crossings_of_the_board(config):
    check(on_the_board(config), ENGINE_QUEUES | WRITE_QUEUES)


class Direct(EngineCrossing):
    """Takes the state over as it is."""

    def _status(self, m):
        super()._status(m)
        m.d.sync += self.outer.state.eq(self.inner.state)


class Glitching(Flush):
    """Brings logic to a synchroniser."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.submodules.to_fast.i = self.resetting & ~self.flushed
        return m


class Late(EngineCrossing):
    """Looks at a level of the other side."""

    def _instructions(self, m):
        super()._instructions(m)
        with m.If(self.inner.halt):
            m.d.sync += self.in_flight.eq(0)


BAD = (Direct, Glitching, Late)


def put_in(monkeypatch, bad) -> None:
    monkeypatch.setattr(f"hdl.crossing.tensor.{bad.__base__.__name__}", bad)


@pytest.mark.parametrize("bad", [Glitching, pytest.param(Late, marks=pytest.mark.nightly)])  # alone, a state is a pin
def test_bad_crossings_are_found(monkeypatch, bad):
    put_in(monkeypatch, bad)
    assert [c for c in alone() if not c.allowed]


@pytest.mark.nightly
@pytest.mark.parametrize("bad", BAD)
def test_bad_crossings_of_the_board_are_found(monkeypatch, bad):
    put_in(monkeypatch, bad)
    assert [c for c in on_the_board(TINY) if not c.allowed]


@pytest.mark.parametrize(("slow", "fast"), [(30, 120), (35, 175), (25, Fraction(400, 3)), (40, 40)])
def test_one_pll_makes_both_clocks(slow, fast):
    source = Fraction(25)
    reference, feedback, output = dividers(source, Fraction(slow), Fraction(fast))
    vco = source * feedback / reference * output
    assert vco / output == slow and (vco / fast).denominator == 1 and VCO[0] <= vco <= VCO[1]


def test_impossible_clocks():
    with pytest.raises(InputError, match="no divider of the ECP5 PLL makes 30 and 131 MHz of 25 MHz"):
        dividers(Fraction(25), Fraction(30), Fraction(131))
