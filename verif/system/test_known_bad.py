"""Benches must notice faults. Semaphores that do not keep order are put into the accelerator, and random programs must fail."""

import pytest
from amaranth import Cat, Module, Mux, Signal

from gemmary.config import SEMAPHORE_MAX, SEMAPHORES
from hdl.control.semaphores import Semaphores
from hdl.top import Top
from verif import runner
from verif.configs import TINY


class Simple(Semaphores):
    """Counters that are right but for what subclasses change. They stop at both ends and never report an overflow."""

    def possible(self, take):
        """Whether ``take`` may be granted."""
        return take.valid & ~(take.mask & self.zero).any()

    def heard(self, done, claimed):
        """Which semaphores ``done`` raises; ``claimed``: an engine asks for semaphores in this cycle."""
        return Mux(done.valid, done.signal, 0)

    def elaborate(self, platform):
        m = Module()
        takes = [getattr(self, f"take_{name}") for name in self.names]
        claimed = Cat(take.valid for take in takes).any()
        down, busy = Signal(SEMAPHORES), 0
        for take in takes:
            m.d.comb += take.grant.eq(self.possible(take) & ~busy)
            with m.If(take.grant):
                m.d.comb += down.eq(take.mask)
            busy = busy | take.grant
        ups = [self.heard(getattr(self, f"done_{name}"), claimed) for name in self.names] + [self.host_signal]
        for i, count in enumerate(self.counts):
            after = Signal(range(-2, SEMAPHORE_MAX + len(ups) + 1), name=f"after_{i}")
            m.d.comb += after.eq(count + sum(up[i] for up in ups) - down[i] - self.host_take[i])
            m.d.sync += count.eq(Mux(after < 0, 0, Mux(after > SEMAPHORE_MAX, SEMAPHORE_MAX, after)))
            m.d.comb += self.zero[i].eq(count == 0)
        return m


class Blind(Simple):
    """Grants whatever is asked for."""

    def possible(self, take):
        return take.valid


class Deaf(Simple):
    """Loses the signals that come while an engine asks for semaphores."""

    def heard(self, done, claimed):
        return Mux(done.valid & ~claimed, done.signal, 0)


@pytest.mark.parametrize("semaphores", [Blind, Deaf])
def test_bad_semaphores_are_noticed(monkeypatch, tmp_path, semaphores):
    with pytest.raises(runner.BenchFailed, match="programs_agree_with_the_emulator"):
        _run(monkeypatch, tmp_path, semaphores)


@pytest.mark.nightly
def test_simple_semaphores_pass(monkeypatch, tmp_path):
    """So it is the fault that is noticed."""
    _run(monkeypatch, tmp_path, Simple)


def _run(monkeypatch, folder, semaphores) -> None:
    """The bench of random programs with ``semaphores`` in place of the true ones; one simulator says it all."""
    monkeypatch.setattr("hdl.control.sequencer.Semaphores", semaphores)
    model = runner.build(Top(TINY), f"top-{semaphores.__name__.lower()}", "verilator")
    runner.run(model, "verif.system.test_programs", folder, 1, environment={"GEMMARY_CASE": TINY.name})
