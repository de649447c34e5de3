"""The scratchpads as the accelerator has them, against verif/golden/scratchpad.py."""

import dataclasses

import cocotb
import pytest

from hdl.accelerator import activation_memory, parameter_memory, weight_memory
from hdl.memory.scratchpad import Port, Scratchpad
from verif import bench
from verif.agents.pace import paces
from verif.agents.streams import garbage
from verif.configs import TINY, TINY_NARROW_BUS, TINY_WIDE
from verif.golden import scratchpad as golden

READ_LATENCY = 2


def one_access(config):
    return dataclasses.replace(config, scratchpad_ports="1rw")


CASES = {
    "activation": lambda: activation_memory(TINY),
    "activation-wide": lambda: activation_memory(TINY_WIDE),
    "activation-1rw": lambda: activation_memory(one_access(TINY_NARROW_BUS)),
    "weight-1rw": lambda: weight_memory(one_access(TINY)),
    "parameter": lambda: parameter_memory(TINY_NARROW_BUS),
    "banks-of-two": lambda: Scratchpad(
        64, 2, 8, [Port("a", "write", 2, 2), Port("b", "write", 1), Port("c", "read", 2), Port("d", "read", 1)]
    ),
}
PRIORITIES = {
    "activation": ["tensor", "result", "source", "residual", "load", "store"],
    "weight": ["tensor", "load", "store"],
    "parameter": ["vector", "load"],
}


@pytest.mark.parametrize("case", CASES)
def test_scratchpad(simulate, case):
    simulate(CASES[case](), case)


def model_of(component) -> golden.Scratchpad:
    ports = [golden.Port(port.name, port.kind == "write", port.bytes, port.parts) for port in component.ports]
    expected = PRIORITIES.get(bench.case().split("-")[0])
    assert expected in (None, [port.name for port in ports]), "order of priority"
    return golden.Scratchpad(component.words, component.word_bytes, component.banks, ports, component.kind)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_traffic(dut):
    """All ports at once, within few words and all over, in step and not: who is served, and with what."""
    component = CASES[bench.case()]()
    model, rng = model_of(component), bench.rng()
    edge = await bench.start(dut, component)
    ports = {port.name: port for port in model.ports}
    handles = {name: {part: getattr(dut, f"{name}__{part}", None) for part in PARTS} for name in ports}
    pace = {name: paces(rng, stretch=20) for name in ports}
    waiting: dict[str, golden.Request] = {}
    expected: list[dict] = [{}] * READ_LATENCY
    span = 1
    for cycle in range(1500):
        if cycle % 60 == 0:
            span = int(rng.choice([1, 4, 16, 10**6]))
        for name, port in ports.items():
            if name not in waiting and next(pace[name]):
                waiting[name] = request(rng, model, port, span)
            drive(handles[name], waiting.get(name), rng, port)
        await edge
        granted = {name for name in waiting if handles[name]["ready"].value == 1}
        assert granted == model.grants(waiting), (cycle, waiting)
        arriving = expected.pop(0)
        for name, want in arriving.items():
            word = int(handles[name]["data"].value).to_bytes(ports[name].bytes, "little")
            assert all(byte in (None, got) for byte, got in zip(want, word)), (cycle, name, want, list(word))
        expected.append(model.access({name: waiting.pop(name) for name in sorted(granted)}))


PARTS = ("valid", "ready", "address", "data", "mask")


def request(rng, model, port, span) -> golden.Request:
    units = len(model.bytes) // port.bytes
    address = int(rng.integers(min(span * max(1, model.word_bytes // port.bytes), units)))
    if rng.random() < 0.3:
        # A stride that meets the same bank again and again, unless digits are mixed.
        address = address * model.banks * model.word_bytes // port.bytes % units
    return golden.Request(address, rng.bytes(port.bytes), int(rng.integers(1 << port.parts)))


def drive(handle, wanted, rng, port):
    handle["valid"].value = wanted is not None
    handle["address"].value = garbage(len(handle["address"])) if wanted is None else wanted.address
    if port.write:
        word = rng.bytes(port.bytes) if wanted is None else wanted.data
        handle["data"].value = int.from_bytes(word, "little")
        handle["mask"].value = garbage(port.parts) if wanted is None else wanted.mask
