"""Two clocks in every awkward relation, for components with domains ``sync`` and ``fast``."""

from amaranth import ClockDomain, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import Flow, In
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

RELATIONS = {
    "equal": (10_000, 10_000, 0),
    "equal-early": (10_000, 10_000, 2),
    "equal-apart": (10_000, 10_000, 5_000),
    "equal-late": (10_000, 10_000, 9_998),
    "twice": (10_000, 5_000, 0),
    "7-to-3": (7_000, 3_000, 1_000),
    "drifting": (10_000, 9_998, 0),
    "1-to-9": (18_000, 2_000, 1),
    "slower": (3_000, 7_000, 0),
}
"""Periods of ``sync`` and ``fast``, and when the first edge of ``fast`` is: picoseconds."""


QUICK = ".*relation=[56].*"
"""The cocotb tests with two of them: 7-to-3, drifting."""


class TwoClocks(wiring.Component):
    """``component`` with its ports, and both clocks and one reset as pins; ``fast`` is in reset for as long as ``sync`` is."""

    def __init__(self, component: wiring.Component):
        self.component = component
        pins = {"aclk": In(1), "compute_aclk": In(1), "aresetn": In(1)}
        super().__init__(pins | dict(component.signature.members))

    def elaborate(self, platform):
        m = Module()
        m.domains.sync, m.domains.fast = sync, fast = ClockDomain("sync"), ClockDomain("fast")
        m.d.comb += [sync.clk.eq(self.aclk), fast.clk.eq(self.compute_aclk)]
        m.submodules.reset = ResetSynchronizer(~self.aresetn, domain="sync")
        m.submodules.compute_reset = ResetSynchronizer(ResetSignal("sync"), domain="fast")
        m.submodules.component = inner = self.component
        ours = {path: value for path, _, value in self.signature.flatten(self)}
        for path, member, value in inner.signature.flatten(inner):
            m.d.comb += value.eq(ours[path]) if member.flow == Flow.In else ours[path].eq(value)
        return m


async def start(dut, component: wiring.Component, relation: str) -> tuple[RisingEdge, RisingEdge]:
    """Starts both clocks with every input at 0, and resets; returns the rising edges of ``sync`` and ``fast``, at
    none of them: what an agent writes first must not meet one."""
    for path, member, _ in component.signature.flatten(component):
        if member.flow is In:
            getattr(dut, "__".join(map(str, path))).value = 0
    dut.aresetn.value = 0
    slow, fast, phase = RELATIONS[relation]
    Clock(dut.aclk, slow, unit="ps").start()
    if phase:
        dut.compute_aclk.value = 0
        await Timer(phase, unit="ps")
    Clock(dut.compute_aclk, fast, unit="ps").start()
    edges = RisingEdge(dut.aclk), RisingEdge(dut.compute_aclk)
    await Timer(8 * (slow + fast), unit="ps")
    await edges[0]
    dut.aresetn.value = 1
    await Timer(8 * (slow + fast), unit="ps")
    await edges[0]
    await Timer(slow // 2 + 77, unit="ps")
    return edges
