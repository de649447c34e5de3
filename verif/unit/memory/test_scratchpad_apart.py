"""A scratchpad whose first port has a clock of its own, against verif/golden/scratchpad.py, in every relation of the clocks."""

import cocotb
import pytest

from hdl.interfaces import APART_READ_LATENCY
from hdl.memory.scratchpad import Port, Scratchpad
from verif import bench
from verif.agents.clocks import RELATIONS, TwoClocks, start
from verif.agents.pace import paces
from verif.golden import scratchpad as golden
from verif.unit.memory.test_scratchpad import PARTS, drive, request

WORDS, WORD_BYTES, BANKS, READ_LATENCY = 64, 4, 2, 2
PORTS = [Port("tensor", "read", 4), Port("a", "write", 4, 2), Port("b", "read", 2), Port("c", "write", 2)]


def memory() -> Scratchpad:
    return Scratchpad(WORDS, WORD_BYTES, BANKS, PORTS, apart="fast")


@pytest.mark.nightly  # the whole machine with two clocks uses two in every run
def test_scratchpad_apart(simulate):
    simulate(TwoClocks(memory()))


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(relation=list(RELATIONS))
async def both_sides(dut, relation):
    """The others are served as with one access a bank; the port apart in every cycle, from words that nobody writes at that time."""
    rng, parts = bench.rng(), 2
    slow, fast = await start(dut, memory(), relation)
    ports = [golden.Port(port.name, port.kind == "write", port.bytes, port.parts) for port in PORTS[1:]]
    model = golden.Scratchpad(WORDS, WORD_BYTES, BANKS, ports, "1rw")
    handles = {port.name: {part: getattr(dut, f"{port.name}__{part}", None) for part in PARTS} for port in ports}
    pace, waiting, expected, compared = {p.name: paces(rng) for p in ports}, {}, [{}] * READ_LATENCY, [0]
    still: list[int] = []  # the words that are not written now

    async def apart():
        earlier: list = [None] * (APART_READ_LATENCY + parts)
        dut.tensor__valid.value = 1
        while True:
            word = int(rng.choice(still)) if still else None
            dut.tensor__address.value = word or 0
            content = word and model.bytes[word * WORD_BYTES : (word + 1) * WORD_BYTES]
            earlier = [content, *earlier[:-1]]
            await fast
            assert dut.tensor__ready.value == 1
            for part in range(parts):
                content = earlier[APART_READ_LATENCY + part]
                if content and None not in content:
                    got = str(dut.tensor__data.value)[::-1][16 * part : 16 * part + 16][::-1]
                    assert int(got, 2).to_bytes(2, "little") == bytes(content[2 * part : 2 * part + 2]), (part, got)
                    compared[0] += 1

    cocotb.start_soon(apart())
    for cycle in range(900):
        half = cycle // 100 % 2  # one half is written while the other one is read; in between neither is read
        still[:] = range(32 * (1 - half), 32 * (1 - half) + 32) if 30 <= cycle % 100 < 70 and cycle > 200 else []
        for port in ports:
            if port.name not in waiting and next(pace[port.name]):
                drawn = request(rng, model, port, 10**6)
                units = 32 * WORD_BYTES // port.bytes
                address = drawn.address % units + units * half if port.write else drawn.address
                waiting[port.name] = golden.Request(address, drawn.data, drawn.mask)
            drive(handles[port.name], waiting.get(port.name), rng, port)
        await slow
        granted = {name for name in waiting if handles[name]["ready"].value == 1}
        assert granted == model.grants(waiting), (cycle, waiting)
        for name, want in expected.pop(0).items():
            if None not in want:
                assert int(handles[name]["data"].value).to_bytes(len(want), "little") == bytes(want), (cycle, name)
        expected.append(model.access({name: waiting.pop(name) for name in sorted(granted)}))
    assert compared[0] > 100
