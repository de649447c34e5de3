"""What Yosys maps to the ECP5's multiplier and block RAM behaves like the plain Verilog that it came from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from .bench import simulate
from .models import cell_models
from .synthesis import synthesize

STEPS = 600


@dataclass(frozen=True)
class Plain:
    """A module ``plain`` with ``clk``, ``in`` and ``out``, and how many of ``cell`` it becomes. ``avoid`` says for which inputs its
    outputs are undefined: they are not given. ``registers``: flip-flops that are left, if it matters."""

    cell: str
    count: int
    inputs: int
    outputs: int
    body: str
    avoid: Callable[[int], bool] = lambda i: False
    registers: int | None = None


def ram(depth: int, width: int, body: str) -> str:
    """With random first contents."""
    words = [f"memory[{i}] = {width}'h{(i * 0x9E3779B97F4A7C15 >> 7) % (1 << width):x};" for i in range(depth)]
    return f"reg [{width - 1}:0] memory [0:{depth - 1}];\ninitial begin\n" + "\n".join(words) + f"\nend\n{body}"


def simple(depth: int, width: int, cell: str = "DP16KD", count: int = 1) -> Plain:
    a = depth.bit_length() - 1
    body = f"""
    wire [{a - 1}:0] w = in[{a - 1}:0], r = in[{2 * a - 1}:{a}];
    wire write = in[{2 * a}], read = in[{2 * a + 1}];
    reg [{width - 1}:0] q = 0; assign out = q;
    always @(posedge clk) if (write) memory[w] <= in[{2 * a + 2} +: {width}];
    always @(posedge clk) if (read) q <= write && w == r ? {width}'bx : memory[r];
    """

    def avoid(i: int) -> bool:
        return bool(i >> 2 * a & 1) and i % depth == (i >> a) % depth

    return Plain(cell, count, 2 * a + 2 + width, width, ram(depth, width, body), avoid)


def registered(depth: int, width: int, enable: str, registers: int) -> Plain:
    """``simple`` with a register behind, which takes a word with ``enable``; ``fetched``: a word was read in the cycle before."""
    plain = simple(depth, width)
    body = (
        plain.body.replace("assign out = q;", "")
        + f"""
    reg fetched = 0; always @(posedge clk) fetched <= read;
    wire other = in[{plain.inputs}];
    reg [{width - 1}:0] register = 0; assign out = register;
    always @(posedge clk) if ({enable}) register <= q;
    """
    )
    return Plain("DP16KD", 1, plain.inputs + 1, width, body, plain.avoid, registers)


DESIGNS = {
    "signed": Plain("MULT18X18D", 1, 36, 36, "assign out = $signed(in[17:0]) * $signed(in[35:18]);"),
    "unsigned": Plain("MULT18X18D", 1, 36, 36, "assign out = in[17:0] * in[35:18];"),
    "narrow": Plain("MULT18X18D", 1, 20, 20, "assign out = $signed(in[7:0]) * $signed(in[19:8]);"),
    "wide": Plain("MULT18X18D", 4, 56, 56, "assign out = $signed(in[23:0]) * $signed(in[55:24]);"),
    "18 bits": simple(1024, 18),
    "36 bits": simple(512, 36),
    "9 bits": simple(2048, 9),
    "4 bits": simple(4096, 4),
    "2 bits": simple(8192, 2),
    "1 bit": simple(16384, 1),
    "register": registered(512, 36, "fetched", 1),
    "register of 18 bits": registered(1024, 18, "fetched", 1),
    "register with its own enable": registered(1024, 18, "other", 0),
    "register without enable": registered(512, 36, "1", 0),
    "register elsewhere too": registered(1024, 18, "fetched || (q[0] && other)", 18 + 1),
    "two RAMs": simple(512, 72, count=2),
    "bytes": Plain(
        "DP16KD", 1, 32, 18,
        ram(
            1024, 18,
            """
            reg [17:0] q = 0; assign out = q;
            always @(posedge clk) begin
                if (in[10]) memory[in[9:0]][8:0] <= in[20:12];
                if (in[11]) memory[in[9:0]][17:9] <= in[29:21];
                if (in[30] && !(in[10] || in[11])) q <= memory[in[9:0]];
            end
            """,
        ),
    ),
    "old word": Plain(
        "DP16KD", 1, 30, 18,
        ram(
            1024, 18,
            """
            reg [17:0] q = 0; assign out = q;
            always @(posedge clk) if (in[28]) begin
                if (in[10]) memory[in[9:0]] <= in[28:11];
                q <= memory[in[9:0]];
            end
            """,
        ),
    ),
    "new word": Plain(
        "DP16KD", 1, 30, 18,
        ram(
            1024, 18,
            """
            reg [17:0] q = 0; assign out = q;
            always @(posedge clk) if (in[29]) begin
                if (in[10]) memory[in[9:0]] <= in[28:11];
                q <= in[10] ? in[28:11] : memory[in[9:0]];
            end
            """,
        ),
    ),
    "LUT RAM": simple(16, 4, "TRELLIS_DPR16X4"),
}  # fmt: skip


QUICK = ("signed", "36 bits", "register")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.nightly) for name in DESIGNS]
)
def test_mapped_is_plain(name, tmp_path):
    design = DESIGNS[name]
    ports = f"(input clk, input [{design.inputs - 1}:0] in, output [{design.outputs - 1}:0] out)"
    plain = f"module plain{ports};\n{design.body}\nendmodule\n"
    netlist = synthesize(plain, "ecp5", "plain")
    assert netlist.cells[design.cell] == design.count, netlist.cells
    assert design.registers in (None, netlist.cells["TRELLIS_FF"]), netlist.cells
    mapped = netlist.verilog.replace("module plain(", "module mapped(")
    outputs = 2 * design.outputs
    instances = "".join(
        f"{module} {module}_1 (.clk(in[{design.inputs}]), .in(in[{design.inputs - 1}:0]), .out(out[{i} +: {design.outputs}]));\n"
        for i, module in ((0, "plain"), (design.outputs, "mapped"))
    )
    stimulus = []
    for i in inputs(design):
        stimulus += [i, i | 1 << design.inputs]
    models = cell_models("ecp5", fast=False)
    found = simulate([models, plain, mapped], design.inputs + 1, outputs, instances, stimulus, tmp_path)
    shown = [(both % (1 << design.outputs), both >> design.outputs) for both in found]
    wrong = [i for i, (one, other) in enumerate(shown) if one != other]
    assert not wrong, f"step {wrong[0]}: {shown[wrong[0]][1]:x}, not {shown[wrong[0]][0]:x}"
    assert len(set(shown)) > STEPS // 10 or design.outputs < 8, "the outputs hardly change"


def inputs(design: Plain) -> list[int]:
    """Random, with addresses that come again."""
    rng = np.random.default_rng(design.inputs)
    few = [int(x) for x in rng.integers(1 << 22, size=4)]
    found = []
    while len(found) < STEPS:
        i = int.from_bytes(rng.bytes(-(-design.inputs // 8)), "little") % (1 << design.inputs)
        if design.cell != "MULT18X18D":
            mask = 0x3F8007 if design.inputs > 22 else 0
            i = i & ~mask | few[rng.integers(4)] & mask
        if not design.avoid(i):
            found.append(i)
    return found
