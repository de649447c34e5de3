"""Benches must notice a broken cell, a wrong rounding mode and a wrong injected constant. One simulator says it all."""

import pytest
from amaranth import Const, Mux

from hdl.array.multiplier import DotProduct
from hdl.top import Top
from hdl.vector.requantize import Requantize, RequantizeLane
from verif import runner
from verif.configs import TINY

PROGRAMS, REQUANTIZER = "verif.system.test_programs", "verif.unit.vector.test_requantize"


def test_bad_cell_is_noticed(monkeypatch, tmp_path):
    """The last operand of every dot product is lost."""
    elaborate = DotProduct.elaborate

    def broken(self, platform):
        m = elaborate(self, platform)
        m.d.comb += self.p.eq(self.a[0] * self.w[0])
        return m

    monkeypatch.setattr(DotProduct, "elaborate", broken)
    _must_fail(Top(TINY), "cell", PROGRAMS, tmp_path)


def test_bad_constant_is_noticed(monkeypatch, tmp_path):
    """Outside the bounds the array gets 0 instead of the instruction's constant."""
    monkeypatch.setattr("hdl.array.engine.Mux", lambda inside, word, constant: Mux(inside, word, 0))
    _must_fail(Top(TINY), "constant", PROGRAMS, tmp_path)


def test_bad_rounding_is_noticed(monkeypatch, tmp_path):
    """Ties go up instead of to the even integer."""
    clip = RequantizeLane.clip
    monkeypatch.setattr(RequantizeLane, "clip", lambda self, m, rounded: clip(self, m, (rounded[0], Const(1))))
    _must_fail(Requantize(TINY), "rounding", REQUANTIZER, tmp_path)


def _must_fail(component, name: str, module: str, folder) -> None:
    model = runner.build(component, f"bad-{name}", "verilator")
    with pytest.raises(runner.BenchFailed):
        runner.run(model, module, folder, 1, environment={"GEMMARY_CASE": TINY.name})
