"""The clock-domain check finds crossings of every kind, and lets synchronisers and asynchronous queues pass."""

import json

import pytest
from amaranth import ClockDomain, Module, ResetSignal, Signal
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer, PulseSynchronizer, ResetSynchronizer
from amaranth.lib.fifo import AsyncFIFO, AsyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from boards.board import MODULES, board
from boards.flow.build import elaborate
from gemmary.config import PRESETS
from hdl.verilog import from_rtlil, to_verilog

from .cdc import Crossing, crossings, main
from .synthesis import flatten, synthesize


class Design(wiring.Component):
    """Domains ``a`` and ``b``, a register ``x`` in a, ``build(m, design, x)`` for the rest, which drives ``out``."""

    def __init__(self, build, asynchronous_reset: bool = False):
        self.build, self.asynchronous_reset = build, asynchronous_reset
        pins = {name: In(1) for name in ("a_clock", "b_clock", "a_reset", "b_reset", "pin")}
        super().__init__({**pins, "i": In(8), "out": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.domains.a, m.domains.b = a, b = ClockDomain("a"), ClockDomain("b", async_reset=self.asynchronous_reset)
        m.d.comb += [a.clk.eq(self.a_clock), b.clk.eq(self.b_clock), a.rst.eq(self.a_reset)]
        if not getattr(self.build, "resets_b", False):
            m.d.comb += b.rst.eq(self.b_reset)
        x = Signal(8)
        m.d.a += x.eq(self.i)
        self.build(m, self, x)
        return m


def direct(m, d, x):
    m.d.b += d.out.eq(x)


def through_logic(m, d, x):
    y = Signal(8)
    m.d.b += [y.eq(d.i), d.out.eq((x + y) ^ d.i)]


def through_enable(m, d, x):
    with m.If(x[3]):
        m.d.b += d.out.eq(d.i)


def through_memory(m, d, x):
    m.submodules.memory = memory = Memory(shape=8, depth=64, init=[])
    write, read = memory.write_port(domain="a"), memory.read_port(domain="b")
    m.d.comb += [write.addr.eq(x), write.data.eq(x), write.en.eq(x[0]), read.addr.eq(d.i), d.out.eq(read.data)]


def through_lut_memory(m, d, x):
    m.submodules.memory = memory = Memory(shape=8, depth=16, init=[])
    write, read = memory.write_port(domain="a"), memory.read_port(domain="comb")
    m.d.comb += [write.addr.eq(x), write.data.eq(x), write.en.eq(x[0]), read.addr.eq(d.i)]
    m.d.b += d.out.eq(read.data)


def pin_to_two_registers(m, d, x):
    y = Signal()
    m.d.a += y.eq(d.pin)
    m.d.b += d.out[0].eq(d.pin)
    m.d.comb += d.out[1].eq(y)


def several_bits(m, d, x):
    m.submodules.synchronizer = FFSynchronizer(x, d.out, o_domain="b")


def logic_first(m, d, x):
    m.submodules.synchronizer = FFSynchronizer(x[0] & x[1], d.out[0], o_domain="b")


def one_stage(m, d, x):
    """Named as one, but the first stage feeds logic too."""
    m.submodules.synchronizer = s = Module()
    stage0, stage1 = Signal(name="stage0"), Signal(name="stage1")
    s.d.b += [stage0.eq(x[0]), stage1.eq(stage0), d.out[0].eq(stage0)]
    m.d.comb += d.out[1].eq(stage1)


def reset_from_a(m, d, x):
    m.d.comb += ResetSignal("b").eq(x[0])
    m.d.b += d.out.eq(d.i)


reset_from_a.resets_b = True


def reset_from_pin(m, d, x):
    m.d.b += d.out.eq(d.i)


BAD = {
    direct: ("data", "x", "out"),
    through_logic: ("data", "x", "out"),
    through_enable: ("data", "x", "out"),
    through_memory: ("data", "memory", None),
    through_lut_memory: ("data", "memory", "out"),
    pin_to_two_registers: ("data", "pin", "out"),
    several_bits: ("data", "x", "synchronizer.stage0"),
    logic_first: ("data", "x", "synchronizer.stage0"),
    one_stage: ("data", "x", "synchronizer.stage0"),
    reset_from_a: ("reset", "x", "out"),
    reset_from_pin: ("reset", "b_rst", "out"),
}


def good_synchronizer(m, d, x):
    m.submodules.synchronizer = FFSynchronizer(x[0], d.out[0], o_domain="b", stages=3)
    m.submodules.pin_synchronizer = FFSynchronizer(d.pin, d.out[1], o_domain="b")


def good_pulse(m, d, x):
    m.submodules.pulse = pulse = PulseSynchronizer("a", "b")
    m.d.comb += [pulse.i.eq(x[0]), d.out.eq(pulse.o)]


def good_reset(m, d, x):
    m.submodules.reset = ResetSynchronizer(d.pin | d.b_reset, domain="b")
    m.d.b += d.out.eq(d.i)


good_reset.resets_b = True


def queue(fifo):
    def build(m, d, x):
        m.submodules.fifo = f = fifo(width=8, depth=8, w_domain="a", r_domain="b")
        m.d.comb += [f.w_data.eq(x), f.w_en.eq(d.i[0]), f.r_en.eq(d.i[1]), d.out.eq(f.r_data)]

    return build


GOOD = {
    "synchronizer": good_synchronizer,
    "pulse": good_pulse,
    "reset": good_reset,
    "queue": queue(AsyncFIFO),
    "buffered queue": queue(AsyncFIFOBuffered),
}


def to_text(design: Design) -> str:
    return from_rtlil(rtlil.convert(design, name="design", emit_src=False))


def found(build, family: str = "", asynchronous=("pin",)) -> list[Crossing]:
    text = to_text(Design(build, asynchronous_reset=build in (reset_from_a, reset_from_pin)))
    netlist = synthesize(text, family, "design") if family else flatten(text, "design")
    return crossings(netlist.json, asynchronous)


def check_bad(build, all_found: list[Crossing]) -> None:
    kind, source, destination = BAD[build]
    bad = [c for c in all_found if not c.allowed]
    assert bad, "nothing found"
    assert all(c.problem for c in bad)
    assert any(
        c.kind == kind and c.source.split(".")[0] == source and destination in (None, c.destination) for c in bad
    ), bad


@pytest.mark.parametrize("build", BAD, ids=lambda build: build.__name__)
def test_bad_crossings_are_found(build):
    check_bad(build, found(build))


@pytest.mark.parametrize("name", GOOD)
def test_good_crossings_pass(name):
    all_found = found(GOOD[name])
    assert all_found, "a crossing that is there is not seen"
    assert not [c for c in all_found if not c.allowed]


@pytest.mark.nightly
@pytest.mark.parametrize("family", ["ice40", "ecp5"])
@pytest.mark.parametrize("build", BAD, ids=lambda build: build.__name__)
def test_bad_crossings_are_found_after_mapping(build, family):
    if (build, family) == (one_stage, "ecp5"):
        pytest.skip(
            "Yosys names the net of the first stage after the output: only before mapping can they be told apart"
        )
    assert [c for c in found(build, family) if not c.allowed]


@pytest.mark.parametrize(
    "preset", ["nano", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("small", "base"))]
)
def test_accelerator_has_one_clock(preset):
    """All that crosses is the reset."""
    netlist = flatten(to_verilog(PRESETS[preset]))
    all_found = crossings(netlist.json, ["aresetn"])
    assert {(c.kind, c.source) for c in all_found} == {("reset", "aresetn")}
    assert not [c for c in all_found if not c.allowed]


@pytest.mark.parametrize("name", MODULES)
def test_boards(name):
    """Every pin but the clock counts as asynchronous."""
    chosen = board(name)
    family = "ice40" if "ice40" in chosen.chip.synthesis else "ecp5"
    design, _ = elaborate(chosen, chosen.config())
    all_found = crossings(flatten(design, "top", rtlil_of=family).json, ["*"])
    assert {c.kind for c in all_found} == {"reset", "data"}, "the reset and the receiver cross"
    assert not [str(c) for c in all_found if not c.allowed]


def test_command(tmp_path, capsys):
    def run(build, *options: str) -> tuple[int, str]:
        path = flatten(to_text(Design(build)), "design").folder / "netlist.json"
        return main([str(path), *options]), capsys.readouterr().out

    status, output = run(direct)
    assert status == 1
    assert output.splitlines() == [
        "data: x [a_clk] -> out [b_clk]: NOT ALLOWED: no synchroniser",
        "1 crossings, 1 not allowed",
    ]
    assert run(good_synchronizer, "--asynchronous", "pin")[0] == 0
    status, output = run(direct, "--json")
    assert (status, json.loads(output)[0]["destination"]) == (1, "out")
    status, output = run(good_synchronizer, "--asynchronous", "button")
    assert status == 2


def test_command_refuses_what_it_cannot_read(tmp_path, capsys):
    for text, message in (("{", "cdc:"), ('{"modules": {}}', "0 top modules"), ("[]", "cdc:")):
        (tmp_path / "netlist.json").write_text(text)
        assert main([str(tmp_path / "netlist.json")]) == 2
        assert message in capsys.readouterr().err
    assert main([str(tmp_path / "none.json")]) == 2
