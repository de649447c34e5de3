"""The semaphores against a list of counts: every count, grant and overflow in every cycle."""

import cocotb

from gemmary.config import SEMAPHORE_MAX, SEMAPHORES
from hdl.control.semaphores import Semaphores
from hdl.interfaces import Done
from verif import bench
from verif.agents.pace import paces
from verif.configs import TINY

ENGINES = ("load", "tensor", "vector", "store")


def test_semaphores(simulate):
    simulate(Semaphores(TINY), TINY.name)


def bits(mask: int) -> list[int]:
    return [i for i in range(SEMAPHORES) if mask >> i & 1]


class Model:
    """The counts. A claim stays until it is granted."""

    def __init__(self):
        self.counts = [0] * SEMAPHORES
        self.claims = dict.fromkeys(ENGINES, None)

    def grant(self) -> str | None:
        """The engine whose claim is granted in this cycle."""
        for name, mask in self.claims.items():
            if mask is not None and all(self.counts[i] for i in bits(mask)):
                return name
        return None

    def step(self, granted: str | None, signals: list[int], host_take: int) -> list[bool]:
        """Ends the cycle; whether each of ``signals``, one for each engine and the host's, overflows."""
        taken = self.claims[granted] if granted else 0
        raised = [sum(mask >> i & 1 for mask in signals) for i in range(SEMAPHORES)]
        after = [count + up for count, up in zip(self.counts, raised)]
        for i in bits(taken):
            after[i] -= 1
        for i in bits(host_take):
            after[i] -= after[i] > 0
        over = sum(1 << i for i, count in enumerate(after) if count > SEMAPHORE_MAX)
        self.counts = [min(count, SEMAPHORE_MAX) for count in after]
        if granted:
            self.claims[granted] = None
        return [bool(mask & over) for mask in signals]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def counts_grants_and_overflows(dut):
    """Claims and signals of all engines and the host at once, in phases in which the counts rise and fall."""
    rng = bench.rng()
    edge = await bench.start(dut, Semaphores(TINY))
    model, overflows, extremes = Model(), 0, set()
    pace = {name: paces(rng) for name in ENGINES}
    for cycle in range(2500):
        # Few semaphores at a time, so that engines meet at them; up first, then down.
        if cycle % 250 == 0:
            used = int(rng.integers(1 << SEMAPHORES)) & int(rng.integers(1 << SEMAPHORES)) | 1 << int(rng.integers(16))
            rising = cycle % 500 == 0
        signals = [int(rng.integers(1 << SEMAPHORES)) & used if rng.random() < (0.8 if rising else 0.15) else 0
                   for _ in range(5)]  # fmt: skip
        for name in ENGINES:
            if model.claims[name] is None and next(pace[name]) and not (rising and rng.random() < 0.8):
                model.claims[name] = int(rng.integers(1 << SEMAPHORES)) & int(rng.integers(1 << SEMAPHORES)) & used
        claimed = 0
        for mask in model.claims.values():
            claimed |= mask or 0
        # Only where the host does not compete with an engine for the last one.
        host_take = int(rng.integers(1 << SEMAPHORES)) & ~claimed if rng.random() < 0.2 else 0
        for name, signal in zip(ENGINES, signals):
            mask = model.claims[name]
            getattr(dut, f"take_{name}__valid").value = mask is not None
            getattr(dut, f"take_{name}__mask").value = int(rng.integers(1 << SEMAPHORES)) if mask is None else mask
            valid = signal != 0 or rng.random() < 0.1
            fields = {"valid": valid, "signal": signal if valid else int(rng.integers(1 << SEMAPHORES)), "offset": 0}
            getattr(dut, f"done_{name}").value = bench.pack(Done, fields)
        dut.host_signal.value, dut.host_take.value = signals[-1], host_take
        await edge
        counts = [int(getattr(dut, f"counts__{i}").value) for i in range(SEMAPHORES)]
        assert counts == model.counts, cycle
        assert int(dut.zero.value) == sum(1 << i for i, count in enumerate(counts) if not count)
        granted = model.grant()
        grants = [name for name in ENGINES if int(getattr(dut, f"take_{name}__grant").value)]
        assert grants == ([granted] if granted else []), (cycle, model.claims, counts)
        over = model.step(granted, signals, host_take)
        assert int(dut.overflow.value) == sum(bit << i for i, bit in enumerate(over)), (cycle, over)
        overflows += any(over)
        extremes |= {min(counts), max(counts)}
    assert overflows and extremes >= {0, SEMAPHORE_MAX}
