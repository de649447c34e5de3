"""Fixtures of every bench: ``simulator``, and ``simulate``, which builds a component and runs cocotb tests on it.

The environment chooses: SIM (``verilator icarus``), WAVES=1, SEED=n. Without SEED every test has a seed of its own, the same
each time and on both simulators.
"""

import os
import re
import zlib
from collections.abc import Callable

import pytest
from amaranth.lib import wiring

from verif import runner

Simulate = Callable[..., None]


def _simulators() -> list[str]:
    chosen = os.environ.get("SIM", "").split() or list(runner.SIMULATORS)
    if unknown := set(chosen) - set(runner.SIMULATORS):
        raise pytest.UsageError(f"SIM names no simulator: {sorted(unknown)[0]}; use {' or '.join(runner.SIMULATORS)}")
    return chosen


def pytest_generate_tests(metafunc):
    if "simulator" in metafunc.fixturenames:
        metafunc.parametrize("simulator", _simulators())


@pytest.fixture
def simulate(request, simulator) -> Simulate:
    """``simulate(component, case="", tests="", module=None)`` runs the cocotb tests of a module (this one) on ``component``.

    The tests learn ``case`` from ``bench.case()``. ``tests`` is a regular expression that chooses among them. Raises
    BenchFailed when a test fails.
    """
    node = request.node
    plain = node.nodeid.replace(simulator, "")
    seed = int(os.environ.get("SEED") or zlib.crc32(plain.encode()) & 0xFFFF)
    waves = os.environ.get("WAVES", "0") not in ("", "0")
    folder = runner.BUILD / "runs" / re.sub(r"[^\w.-]+", "_", f"{request.module.__name__}.{node.name}").strip("_")
    node.user_properties.append(("seed", seed))

    def simulate(component: wiring.Component, case: str = "", tests: str = "", module: str | None = None) -> None:
        __tracebackhide__ = True
        name = re.sub(r"[^\w.-]+", "_", "-".join(filter(None, [type(component).__name__.lower(), case])))
        model = runner.build(component, name, simulator, waves)
        environment = {"GEMMARY_CASE": case}
        try:
            runner.run(model, module or request.module.__name__, folder, seed, tests, environment)
        except runner.BenchFailed as error:
            raise runner.BenchFailed(f"{error}\nReplay: {replay(node, simulator, seed)}") from None
        finally:
            if waves:
                node.user_properties.append(("waves", str(folder / "waves.fst")))

    return simulate


def replay(node, simulator: str, seed: int) -> str:
    """The command that runs one test again."""
    target = "regress" if node.get_closest_marker("nightly") else "test"
    return f'make {target} SIM={simulator} K="{node.name}" SEED={seed}'


def pytest_terminal_summary(terminalreporter):
    """Where the waves are, and what tests have to say (their property ``note``)."""
    for kind in ("waves", "note"):
        found = [
            value
            for reports in terminalreporter.stats.values()
            for report in reports
            if getattr(report, "when", "") == "call"
            for name, value in report.user_properties
            if name == kind
        ]
        if found:
            terminalreporter.section(kind)
            for line in sorted(found):
                terminalreporter.write_line(line)
