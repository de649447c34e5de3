"""The queues against a list."""

import cocotb
import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from hdl.stream.queue import Queue
from hdl.stream.shift_queue import ShiftQueue
from verif import bench
from verif.agents.pace import always, paces
from verif.agents.streams import Sink, Source

ITEM = data.StructLayout({"number": signed(9), "flag": 1, "list": data.ArrayLayout(signed(3), 2)})
CASES = {
    "1": (Queue, ITEM, 1),
    "2": (Queue, ITEM, 2),
    "5": (Queue, ITEM, 5),
    "8": (Queue, 8, 8),
    "64": (Queue, ITEM, 64),
    "shift-2": (ShiftQueue, 8, 2),
    "shift-4": (ShiftQueue, ITEM, 4),
}


@pytest.mark.parametrize("case", CASES)
def test_queue(simulate, case):
    kind, shape, depth = CASES[case]
    simulate(kind(shape, depth), case)


def random_items(rng, shape, count):
    return [bench.unpack(shape, int(rng.integers(1 << bench.width(shape)))) for _ in range(count)]


async def end(edge, condition, cycles):
    """Waits for ``condition``; False if that takes more than ``cycles``."""
    for _ in range(cycles):
        if condition():
            return True
        await edge
    return condition()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def keeps_order_and_level(dut):
    """Random traffic: what goes in comes out, and ``level`` is the number of items between."""
    kind, shape, depth = CASES[bench.case()]
    rng = bench.rng()
    edge = await bench.start(dut, kind(shape, depth))
    items = random_items(rng, shape, 300 + 8 * depth)
    Source(dut, "i", shape, edge, rng, items, pace=paces(rng, (1.0, 0.1), 2 * depth))
    sink = Sink(dut, "o", shape, edge, rng, pace=paces(rng, (1.0, 0.1), 2 * depth))
    held, levels = 0, set()
    while len(sink.items) < len(items):
        await edge
        assert int(dut.level.value) == held
        held += bool(dut.i__valid.value and dut.i__ready.value) - bool(dut.o__valid.value and dut.o__ready.value)
        levels.add(held)
    assert sink.items == items
    assert levels >= {0, depth}


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def never_pauses(dut):
    """One item a cycle from depth 2 on, after a latency of 1 or 2 cycles; a ShiftQueue needs a cycle more for ``depth`` of them."""
    kind, shape, depth = CASES[bench.case()]
    if depth == 1:
        return
    rng = bench.rng()
    edge = await bench.start(dut, kind(shape, depth))
    items = random_items(rng, shape, 100)
    Source(dut, "i", shape, edge, rng, items, pace=always())
    sink = Sink(dut, "o", shape, edge, rng, pace=always())
    cycles = len(items) * (depth + 1) // depth + depth if kind is ShiftQueue else len(items)
    assert await end(edge, lambda: len(sink.items) == len(items), cycles + 4)
    assert sink.items == items


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_empties(dut):
    """In the middle of traffic."""
    kind, shape, depth = CASES[bench.case()]
    rng = bench.rng()
    edge = await bench.start(dut, kind(shape, depth))
    for item in random_items(rng, shape, depth):
        dut.i__payload.value, dut.i__valid.value = bench.pack(shape, item), 1
        await edge
    dut.i__valid.value = 0
    await bench.reset(dut, 1)
    await edge
    assert (int(dut.level.value), int(dut.o__valid.value)) == (0, 0)
    items = random_items(rng, shape, 2 * depth)
    Source(dut, "i", shape, edge, rng, items, pace=paces(rng))
    sink = Sink(dut, "o", shape, edge, rng)
    assert await end(edge, lambda: len(sink.items) == len(items), 4000)
    assert sink.items == items
