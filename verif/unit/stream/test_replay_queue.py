"""The queue whose items go by, against a list."""

import cocotb
from amaranth.hdl import signed
from amaranth.lib import data

from hdl.stream.replay_queue import ReplayQueue
from verif import bench
from verif.agents.pace import always, paces
from verif.agents.streams import Replayed, garbage

ITEM = data.StructLayout({"number": signed(9), "flag": 1})
DEPTH = 16


def test_replay_queue(simulate):
    simulate(ReplayQueue(ITEM, DEPTH), "replay")


async def put(dut, edge, pace, items):
    """While there is room, as ``level`` says it, with what it may have missed."""
    for item in items:
        while int(dut.level.value) >= DEPTH - 5 or not next(pace):
            await edge
        dut.i__valid.value, dut.i__payload.value = 1, bench.pack(ITEM, item)
        await edge
        dut.i__valid.value, dut.i__payload.value = 0, garbage(bench.width(ITEM))


async def started(dut, count):
    edge, rng = await bench.start(dut, ReplayQueue(ITEM, DEPTH)), bench.rng()
    items = [bench.unpack(ITEM, int(rng.integers(1 << bench.width(ITEM)))) for _ in range(count)]
    return edge, rng, items


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def keeps_order(dut):
    """Whatever is refused, and however often: no item is lost, doubled or changed; all of the queue is used."""
    edge, rng, items = await started(dut, 1000)
    dut.o__ready.value = 0
    sink = Replayed(dut, "o", ITEM, edge, rng, pace=paces(rng, (1.0, 0.5, 0.1), 40))
    fullest, task = 0, cocotb.start_soon(put(dut, edge, paces(rng, (1.0, 0.1), 40), items))
    while len(sink.items) < len(items):
        await edge
        fullest = max(fullest, int(dut.level.value))
    await task
    assert sink.items == items
    assert DEPTH - 5 <= fullest <= DEPTH


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def never_pauses(dut):
    """One item a cycle, 2 cycles later."""
    edge, rng, items = await started(dut, 200)
    sink = Replayed(dut, "o", ITEM, edge, rng, pace=always())
    await edge
    cocotb.start_soon(put(dut, edge, always(), items))
    for _ in range(len(items) + 3):
        await edge
    assert sink.items == items
