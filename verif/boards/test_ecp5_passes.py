"""The passes over an ECP5 netlist: what they change, and that chains of carries still add."""

import copy
import itertools

import pytest

from boards.chips import ecp5_globals
from boards.chips.ecp5_carries import trim_carries
from boards.chips.ecp5_globals import promote_resets
from boards.chips.ecp5_operands import absorb_operands
from boards.chips.ecp5_rams import simplify_write_modes

ADD = f"{0x96AA:016b}"  # A ^ B ^ C, and B for the carry, as Yosys maps an addition


def design(cells: dict, outputs=()) -> dict:
    ports = {"o": {"direction": "output", "bits": list(outputs)}}
    return {"modules": {"top": {"attributes": {"top": "1"}, "ports": ports, "cells": cells}}}


def cells_of(netlist: dict) -> dict:
    return netlist["modules"]["top"]["cells"]


def adder(width: int, carry: str, leaves: bool = False) -> tuple[dict, list[int], list[int]]:
    """An adder of ``width`` bits with the constant ``carry``; nets of the operands, and of the sum (with the carry, if it
    ``leaves``)."""
    halves = 2 * -(-width // 2)
    operand = [
        [100 + i for i in range(width)] + ["0"] * (halves - width),
        [200 + i for i in range(width)] + ["0"] * (halves - width),
    ]
    sums, carries = [300 + i for i in range(halves)], [400 + i for i in range(halves // 2)]
    inputs, outputs = [f"{p}{h}" for p in "ABCD" for h in (0, 1)] + ["CIN"], ["S0", "S1", "COUT"]
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    cells = {}
    for i in range(halves // 2):
        connections = {"CIN": [carries[i - 1] if i else carry], "COUT": [carries[i]]}
        for h in (0, 1):
            bit = 2 * i + h
            connections |= {
                f"A{h}": [operand[0][bit]],
                f"B{h}": [operand[1][bit]],
                f"C{h}": ["0"],
                f"D{h}": ["1"],
                f"S{h}": [sums[bit]],
            }
        parameters = {f"INIT{h}": ADD for h in (0, 1)} | {f"INJECT1_{h}": "NO" for h in (0, 1)}
        cells[f"sum_{i}"] = {
            "hide_name": 0, "type": "CCU2C", "parameters": parameters, "attributes": {},
            "port_directions": directions, "connections": connections,
        }  # fmt: skip
    shown = sums[:width] + ([carries[-1]] if leaves else [])
    return design(cells, shown), operand[0][:width] + operand[1][:width], shown


def values(netlist: dict, known: dict) -> dict:
    """Nets of a netlist of LUT4 and CCU2C (Yosys' ccu2c_sim.vh), from those of its inputs; a carry that is open counts as
    ``known["x"]``."""
    found = known | {"0": 0, "1": 1}
    for cell in cells_of(netlist).values():
        if cell["type"] == "LUT4":
            place = sum(found[cell["connections"][port][0]] << i for i, port in enumerate("ABCD"))
            found[cell["connections"]["Z"][0]] = int(cell["parameters"]["INIT"], 2) >> place & 1
    todo = [cell for cell in cells_of(netlist).values() if cell["type"] == "CCU2C"]
    while todo:
        cell = next(c for c in todo if c["connections"]["CIN"][0] in found)
        todo.remove(cell)
        carry = found[cell["connections"]["CIN"][0]]
        for h in (0, 1):
            a, b, c, d = (found[cell["connections"][f"{p}{h}"][0]] for p in "ABCD")
            table = int(cell["parameters"][f"INIT{h}"], 2)
            lut4, lut2 = table >> (a + 2 * b + 4 * c + 8 * d) & 1, table >> (a + 2 * b) & 1
            out = cell["connections"].get(f"S{h}", ["x"])[0]
            if out != "x":
                found[out] = lut4 ^ carry
            carry = (1 - lut4) * lut2 | lut4 * carry
        if cell["connections"]["COUT"] != ["x"]:
            found[cell["connections"]["COUT"][0]] = carry
    return found


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("carry", ["0", "1"])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_shortened_chain_adds(width, carry, leaves):
    before, operands, sums = adder(width, carry, leaves)
    after = copy.deepcopy(before)
    odd = width % 2 and not leaves
    # nextpnr adds a cell for a constant, and one for a last carry with or without a reader.
    assert trim_carries(after) == odd + (not leaves)
    assert len(cells_of(after)) == len(cells_of(before)) + (not odd)
    assert not any(cell["connections"]["CIN"] in (["0"], ["1"]) for cell in cells_of(after).values())
    for bits in itertools.product((0, 1), repeat=len(operands)):
        known = dict(zip(operands, bits))
        expected = values(before, known)
        for floating in (0, 1):
            found = values(after, known | {"x": floating})
            assert [found[net] for net in sums] == [expected[net] for net in sums]


def test_a_carry_with_two_readers_stays():
    before, _, _ = adder(4, "0", leaves=True)
    cells_of(before)["other"] = {
        "type": "LUT4", "connections": {"A": [400]}, "port_directions": {"A": "input"}, "parameters": {}, "attributes": {},
    }  # fmt: skip
    after = copy.deepcopy(before)
    trim_carries(after)
    assert cells_of(after)["sum_0"]["connections"]["COUT"] == [400]


def gate(table: int, inputs: list, output: int) -> dict:
    """A LUT4 of up to four ``inputs``; ``table`` has an entry for each of their values, the others are high."""
    entries = 1 << len(inputs)
    init = sum((table >> index % entries & 1) << index for index in range(16))
    pins = dict(zip("ABCD", [*inputs, *["1"] * (4 - len(inputs))]))
    return {
        "type": "LUT4",
        "parameters": {"INIT": f"{init:016b}"},
        "attributes": {},
        "port_directions": dict.fromkeys("ABCD", "input") | {"Z": "output"},
        "connections": {pin: [net] for pin, net in pins.items()} | {"Z": [output]},
    }


AND, SELECT, ODD = 0b1000, 0b11011000, 0b10010110
"""Of two inputs, of three (the first or the second, as the third says), and of three."""


@pytest.mark.parametrize("carry", ["0", "1"])
@pytest.mark.parametrize(
    ("tables", "sizes", "absorbed"),
    [
        ({}, {}, 0),
        ({100: AND, 202: AND}, {100: 2, 202: 2}, 2),
        ({100: AND, 200: AND}, {100: 2, 200: 2}, 2),
        ({100: 0b01, 200: 0b01}, {100: 1, 200: 1}, 2),
        ({101: SELECT, 202: SELECT}, {101: 3, 202: 3}, 2),
        ({100: ODD, 201: ODD}, {100: 3, 201: 3}, 0),
        *(({place: table}, {place: 2}, 1) for place in (101, 202) for table in range(1, 15)),
    ],
)
def test_an_adder_takes_the_gates_before_it(tables, sizes, absorbed, carry):
    before, operands, sums = adder(3, carry, leaves=True)
    inputs = [net for net in operands if net not in tables]
    for net, table in tables.items():
        names = [1000 + 10 * net + i for i in range(sizes[net])]
        inputs += names
        cells_of(before)[f"gate_{net}"] = gate(table, names, net)
    after = copy.deepcopy(before)
    assert absorb_operands(after) == absorbed
    assert len(cells_of(after)) == len(cells_of(before)) - absorbed
    for bits in itertools.product((0, 1), repeat=len(inputs)):
        known = dict(zip(inputs, bits))
        expected, found = values(before, known), values(after, known)
        assert [found[net] for net in sums] == [expected[net] for net in sums]


def test_a_gate_with_two_readers_stays():
    before, operands, _ = adder(2, "0")
    cells_of(before)["gate"] = gate(AND, [1, 2], operands[0])
    cells_of(before)["other"] = gate(AND, [operands[0], 3], 4)
    assert absorb_operands(before) == 0


def test_resets_of_many_registers_become_global(monkeypatch):
    monkeypatch.setattr(ecp5_globals, "LEAST", 3)

    def register(reset):
        ports = {"LSR": [reset], "DI": [5], "Q": [6]}
        return {
            "type": "TRELLIS_FF",
            "connections": ports,
            "port_directions": {"LSR": "input", "DI": "input", "Q": "output"},
        }

    logic = {"type": "LUT4", "connections": {"A": [7], "Z": [5]}, "port_directions": {"A": "input", "Z": "output"}}
    netlist = design(
        {f"many_{i}": register(7) for i in range(3)} | {f"few_{i}": register(8) for i in range(2)} | {"lut": logic}
    )
    assert promote_resets(netlist) == 1
    cells = cells_of(netlist)
    (buffer,) = [cell for cell in cells.values() if cell["type"] == "DCCA"]
    assert buffer["connections"]["CLKI"] == [7] and cells["lut"]["connections"]["A"] == [7]
    assert {cells[f"many_{i}"]["connections"]["LSR"][0] for i in range(3)} == set(buffer["connections"]["CLKO"])
    assert cells["few_0"]["connections"]["LSR"] == [8]


def test_only_a_port_that_shows_what_it_writes_reads_first():
    mode = "READBEFOREWRITE"
    rams = {}
    for name, enable, shown in (("writes", [1], 20), ("reads", ["0"], 21), ("both", [2], 22)):
        connections = {"WEA": enable, "DOA0": [shown], "WEB": ["0"], "DOB0": [30]}
        directions = {pin: "output" if pin.startswith("DO") else "input" for pin in connections}
        parameters = {"WRITEMODE_A": mode, "WRITEMODE_B": mode}
        rams[name] = {
            "type": "DP16KD",
            "connections": connections,
            "port_directions": directions,
            "parameters": parameters,
        }
    netlist = design(rams, [21, 22])
    assert simplify_write_modes(netlist) == 5
    assert [cells_of(netlist)[name]["parameters"]["WRITEMODE_A"] for name in rams] == ["NORMAL", "NORMAL", mode]
