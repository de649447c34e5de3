"""The queue between two clocks against a list, in every relation of the clocks."""

from collections import deque

import cocotb
import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from hdl.crossing.queue import FAST, AsyncQueue
from verif import bench
from verif.agents.clocks import RELATIONS, TwoClocks, start
from verif.agents.pace import always, paces
from verif.agents.streams import Sink, Source

ITEM = data.StructLayout({"number": signed(9), "flag": 1, "list": data.ArrayLayout(signed(3), 2)})
CASES = {
    "in-4": (ITEM, 4, "sync", FAST),
    "out-16": (ITEM, 16, FAST, "sync"),
    "in-8": (ITEM, 8, "sync", FAST),
    "out-2": (7, 2, FAST, "sync"),
}


@pytest.mark.nightly  # those of an engine and of memories use it
@pytest.mark.parametrize("case", CASES)
def test_queue(simulate, case):
    simulate(TwoClocks(AsyncQueue(*CASES[case])), case)


def ends(edges, domains) -> list:
    return [edges[domain == FAST] for domain in domains]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def keeps_order(dut, relation):
    """Nothing is lost, repeated or overtaken; ``level`` is never below what is held of all but the last two cycles and the item at ``o``."""
    shape, depth, *domains = CASES[bench.case()]
    rng = bench.rng()
    before, after = ends(await start(dut, AsyncQueue(shape, depth, *domains), relation), domains)
    items = [bench.unpack(shape, int(rng.integers(1 << bench.width(shape)))) for _ in range(200)]
    source = Source(dut, "i", shape, before, rng, items, pace=paces(rng, (1.0, 0.1), 2 * depth))
    sink = Sink(dut, "o", shape, after, rng, pace=paces(rng, (1.0, 0.1), 2 * depth))
    sent = deque([0] * 4, maxlen=4)
    while len(sink.items) < len(items):
        await before
        assert int(dut.level.value) >= sent[0] - len(sink.items) - 1
        sent.append(source.sent)
    assert sink.items == items
    for _ in range(12):
        await before
        await after
    assert int(dut.level.value) == 0 and len(sink.items) == len(items)


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def keeps_pace(dut, relation):
    """One item a cycle of the slower clock, from a depth of 16 on."""
    shape, depth, *domains = CASES[bench.case()]
    if depth < 16:
        return
    rng = bench.rng()
    before, after = ends(await start(dut, AsyncQueue(shape, depth, *domains), relation), domains)
    items = [bench.unpack(shape, int(rng.integers(1 << bench.width(shape)))) for _ in range(100)]
    Source(dut, "i", shape, before, rng, items, pace=always())
    sink = Sink(dut, "o", shape, after, rng, pace=always())
    slower = max(zip(RELATIONS[relation][:2], ("sync", FAST)))[1]
    edge = before if slower == domains[0] else after
    for _ in range(len(items) + 10):
        await edge
    assert sink.items == items
