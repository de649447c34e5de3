"""Every rule of the AXI checker fires on traffic that breaks it, and no rule on traffic that does not."""

import cocotb
import pytest
from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from cocotb.types import LogicArray

from verif import bench
from verif.agents.axi_checker import AxiChecker
from verif.runner import BenchFailed

BUS_BYTES = 4
ADDRESS = {"addr": 32, "id": 4, "len": 8, "size": 3, "burst": 2}
WIDTHS = {
    "aw": ADDRESS,
    "w": {"data": 8 * BUS_BYTES, "strb": BUS_BYTES, "last": 1},
    "b": {"id": 4, "resp": 2},
    "ar": ADDRESS,
    "r": {"data": 8 * BUS_BYTES, "id": 4, "resp": 2, "last": 1},
}
LITE = {"addr": 32, "data": 8 * BUS_BYTES, "strb": BUS_BYTES, "resp": 2}


class Wires(wiring.Component):
    """Nothing but the signals of an AXI4 bus, and of an AXI4-Lite one, for the bench to drive."""

    def __init__(self):
        ports = {}
        for channel, payload in WIDTHS.items():
            handshake = {"valid": 1, "ready": 1}
            ports |= {f"axi_{channel}{part}": In(width) for part, width in (payload | handshake).items()}
            lite = {part: LITE[part] for part in payload if part in LITE} | handshake
            ports |= {f"axil_{channel}{part}": In(width) for part, width in lite.items()}
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        used = Signal()
        m.d.sync += used.eq(Cat(getattr(self, name) for name in self.signature.members).xor())
        return m


def test_rules(simulate):
    simulate(Wires(), tests="rule_fires|good_traffic|lite")


def test_unknown_values(simulate, simulator):
    if simulator == "verilator":
        pytest.skip("Verilator knows no X")
    simulate(Wires(), tests="unknown_values")


def test_violation_fails_the_bench(simulate):
    with pytest.raises(BenchFailed, match="VALID_DROPPED"):
        simulate(Wires(), tests="fails_at_once")


def test_unfinished_fails_the_bench(simulate):
    with pytest.raises(BenchFailed, match="UNFINISHED"):
        simulate(Wires(), tests="fails_at_the_end")


# Traffic is a list of cycles; a cycle maps channels to payloads, with ``ready`` if there is a transfer.

GO = {"ready": 1}
ONE = {"addr": 0x100, "len": 0, "size": 2, "burst": 1}


def aw(**fields):
    return {"aw": ONE | GO | fields}


def ar(**fields):
    return {"ar": ONE | GO | fields}


def w(last=1, **fields):
    return {"w": {"data": 5, "strb": 15, "last": last} | GO | fields}


def b(**fields):
    return {"b": GO | fields}


def r(last=1, **fields):
    return {"r": {"data": 7, "last": last} | GO | fields}


WAIT = {"ready": 0}
BAD = {
    "valid_dropped": ("VALID_DROPPED", [ar(**WAIT), {}]),
    "address_changed": ("PAYLOAD_CHANGED", [ar(**WAIT), ar(addr=0x104)]),
    "length_changed": ("PAYLOAD_CHANGED", [aw(**WAIT), aw(len=1)]),
    "data_changed": ("PAYLOAD_CHANGED", [aw(), w(**WAIT), w(data=6)]),
    "strobe_changed": ("PAYLOAD_CHANGED", [aw(), w(**WAIT), w(strb=1)]),
    "read_data_changed": ("PAYLOAD_CHANGED", [ar(), r(**WAIT), r(data=6)]),
    "response_changed": ("PAYLOAD_CHANGED", [aw(), w(), b(**WAIT), b(resp=2)]),
    "reserved_burst": ("BURST", [ar(burst=3)]),
    "long_fixed": ("BURST", [ar(burst=0, len=16)]),
    "wrap_of_three": ("BURST", [ar(burst=2, len=2)]),
    "unaligned_wrap": ("BURST", [aw(burst=2, len=3, addr=0x102)]),
    "wide_beats": ("SIZE", [ar(size=3)]),
    "read_crosses": ("BOUNDARY", [ar(addr=0x1FFC, len=1)]),
    "write_crosses": ("BOUNDARY", [aw(addr=0xF00, len=255)]),
    "unaligned_crosses": ("BOUNDARY", [ar(addr=0xFFE, len=1)]),
    "no_wlast": ("WLAST", [aw(len=1), w(last=0), w(last=0)]),
    "early_wlast": ("WLAST", [aw(len=1), w(last=1)]),
    "early_wlast_before_address": ("WLAST", [w(last=1), aw(len=1)]),
    "no_wlast_before_address": ("WLAST", [w(last=0), aw()]),
    "strobe_below_start": ("STROBE", [aw(addr=0x102), w(strb=15)]),
    "strobe_outside_narrow": ("STROBE", [aw(addr=0x100, size=1, len=1), w(strb=3, last=0), w(strb=3)]),
    "strobe_outside_wrapped": ("STROBE", [aw(addr=0x102, size=1, len=1, burst=2), w(strb=12, last=0), w(strb=12)]),
    "response_before_data": ("B_EARLY", [aw(), b()]),
    "response_with_data": ("B_EARLY", [aw(), w() | b()]),
    "response_before_last": ("B_EARLY", [aw(len=1), w(last=0), b()]),
    "response_before_address": ("B_EARLY", [w(), b()]),
    "response_unasked": ("B_UNKNOWN", [b()]),
    "response_to_other": ("B_UNKNOWN", [aw(id=1), w(), b(id=2)]),
    "response_twice": ("B_UNKNOWN", [aw(), w(), b(), b()]),
    "data_unasked": ("R_UNKNOWN", [r()]),
    "data_with_address": ("R_UNKNOWN", [ar() | r()]),
    "data_to_other": ("R_UNKNOWN", [ar(id=1), r(id=3)]),
    "data_too_much": ("R_UNKNOWN", [ar(), r(), r()]),
    "no_rlast": ("RLAST", [ar(len=1), r(last=0), r(last=0)]),
    "early_rlast": ("RLAST", [ar(len=1), r(last=1)]),
    "exclusive_read": ("RESPONSE", [ar(), r(resp=1)]),
    "exclusive_write": ("RESPONSE", [aw(), w(), b(resp=1)]),
    "three_reads": ("OUTSTANDING", [ar(), ar(id=1), ar()]),
    "three_writes": ("OUTSTANDING", [aw() | w(), aw(id=1) | w(), aw() | w()]),
    "read_unfinished": ("UNFINISHED", [ar(len=1), r(last=0)]),
    "write_without_data": ("UNFINISHED", [aw(len=1), w(last=0)]),
    "write_without_response": ("UNFINISHED", [aw(), w()]),
    "data_without_address": ("UNFINISHED", [w()]),
    "address_not_taken": ("UNFINISHED", [ar(**WAIT)]),
}
UNKNOWN = {
    "valid": ("VALID_X", "axi_arvalid"),
    "ready": ("VALID_X", "axi_wready"),
    "address": ("PAYLOAD_X", "axi_araddr"),
}


async def play(dut, cycles, prefix="axi", **options) -> AxiChecker:
    edge = await bench.start(dut, Wires())
    checker = AxiChecker(dut, prefix, dut.clk, dut.rst, **options)
    for cycle in cycles:
        drive(dut, cycle, prefix)
        await edge
    drive(dut, {}, prefix)
    await edge
    return checker


def drive(dut, cycle, prefix="axi"):
    """Sets valids, readys and payloads; what a cycle leaves out is 0."""
    for channel, payload in WIDTHS.items():
        values = cycle.get(channel, {})
        for part in (*payload, "ready"):
            if (handle := getattr(dut, f"{prefix}_{channel}{part}", None)) is not None:
                handle.value = values.get(part, 0)
        getattr(dut, f"{prefix}_{channel}valid").value = bool(values)


@cocotb.test(timeout_time=1, timeout_unit="us")
@cocotb.parametrize(("name", list(BAD)))
async def rule_fires(dut, name):
    rule, cycles = BAD[name]
    checker = await play(dut, cycles, outstanding=2, collect=True)
    checker.check()
    rules = [found for found, _ in checker.violations]
    assert rule in rules, rules
    # Whatever else is found comes of the same fault, later.
    assert rules[0] == rule, rules


@cocotb.test(timeout_time=1, timeout_unit="us")
@cocotb.parametrize(("name", list(UNKNOWN)))
async def unknown_values(dut, name):
    rule, signal = UNKNOWN[name]
    checker = await play(dut, [ar(**WAIT)], collect=True)
    dut.axi_arvalid.value = 1
    getattr(dut, signal).value = LogicArray("X" * len(getattr(dut, signal)))
    await checker.edge
    await checker.edge
    assert rule in [found for found, _ in checker.violations], checker.violations


@cocotb.test(timeout_time=1, timeout_unit="us")
async def unknown_values_of_write_data(dut):
    """Only an enabled byte must be known."""
    checker = await play(dut, [aw(len=1)], collect=True)
    dut.axi_wvalid.value = dut.axi_wready.value = 1
    dut.axi_wdata.value = LogicArray("XXXXXXXX" + "01" * 12)
    dut.axi_wstrb.value, dut.axi_wlast.value = 0b0101, 0
    await checker.edge
    dut.axi_wstrb.value, dut.axi_wlast.value = 0b1001, 1
    assert not checker.violations
    await checker.edge
    await checker.edge
    assert [found for found, _ in checker.violations][:1] == ["PAYLOAD_X"], checker.violations


@cocotb.test(timeout_time=1, timeout_unit="us")
async def rule_fires_in_reset(dut):
    checker = await play(dut, [], collect=True)
    dut.rst.value, dut.axi_arvalid.value = 1, 1
    for _ in range(3):
        await checker.edge
    assert [found for found, _ in checker.violations] == ["RESET_VALID"] * len(checker.violations) != []


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def good_traffic(dut):
    """Everything that is allowed and looks unusual."""
    cycles = [
        ar(len=1, id=1, **WAIT), ar(len=1, id=1), ar(len=0, id=2), r(last=0, id=1), r(id=2), r(id=1, **WAIT), r(id=1),
        w(last=0), w(last=1), aw(len=1), aw(id=3) | w(), b(id=3), b(resp=2),
        ar(addr=0xFFC), r(resp=3), ar(addr=0xF00, len=63), *[r(last=i == 63) for i in range(64)],
        ar(addr=0x102, burst=0, len=15), *[r(last=i == 15) for i in range(16)],
        aw(addr=0x102, len=1), w(last=0, strb=12), w(strb=7), b(),
        aw(addr=0x102, size=1, len=1, burst=2), w(strb=12, last=0), w(strb=3), b(),
        aw(addr=0x101, size=0, len=3), w(strb=2, last=0), w(strb=4, last=0), w(strb=8, last=0), w(strb=1), b(),
    ]  # fmt: skip
    checker = await play(dut, cycles, outstanding=2)
    checker.check()
    assert checker.bursts == {"aw": 5, "ar": 5}


@cocotb.test(timeout_time=1, timeout_unit="us")
@cocotb.parametrize(
    (
        ("rule", "cycles"),
        [
            ("", [aw() | w(), b(), ar(), r(), ar(**WAIT), ar(), r(resp=2)]),
            ("VALID_DROPPED", [ar(**WAIT), {}]),
            ("PAYLOAD_CHANGED", [ar(**WAIT), ar(addr=0)]),
            ("B_EARLY", [aw(), b()]),
            ("R_UNKNOWN", [r()]),
            ("RESPONSE", [ar(), r(resp=1)]),
        ],
    )
)
async def lite(dut, rule, cycles):
    """The AXI4-Lite variant."""
    checker = await play(dut, cycles, "axil", collect=True)
    assert checker.lite
    if not rule:
        checker.check()
    assert [found for found, _ in checker.violations] == ([rule] if rule else [])


@cocotb.test(timeout_time=1, timeout_unit="us")
async def fails_at_once(dut):
    checker = await play(dut, BAD["valid_dropped"][1])
    await checker.edge


@cocotb.test(timeout_time=1, timeout_unit="us")
async def fails_at_the_end(dut):
    checker = await play(dut, BAD["read_unfinished"][1])
    checker.check()
