"""The page docs/integration.md, from the config, the ports, the registers, the waivers and what was measured."""

import dataclasses
import json
from pathlib import Path

from amaranth.lib.wiring import In

from gemmary.config import BURST_BEATS, PRESETS, Config
from gemmary.registers import ADDRESS
from hdl.top import port_groups, ports
from hdl.verilog import TWO_CLOCKS_WAIVERS, WAIVERS

from .measure_resources import AVAILABLE, CELLS, FILE, PLACE
from .pages import NOTICE, page, table

PARAMETERS = {
    "rows": "rows of the array (K): length of the sum that a column makes in a cycle",
    "columns": "columns of the array (N)",
    "lanes": "elements that the vector engine takes in a cycle",
    "activation_bytes": "activation scratchpad",
    "weight_bytes": "weight scratchpad",
    "accumulator_rows": "rows of each of the two accumulator banks",
    "bus_bytes": "width of the memory bus, the granule of DMA",
    "activation_banks": "interleaved banks of the activation scratchpad",
    "parameter_rows": "rows of the parameter memory",
    "window_line": "longest line of a depthwise matmul, in activation words; 0 for an array that knows none",
    "dot": "rows that a cell of the array takes together",
    "multiplier": "products of a multiplier of the array: one, or those of a pair of rows",
    "queue_depth": "instructions that wait for an engine",
    "outstanding": "bursts in flight, of load and of store",
    "address_bits": "of external addresses",
    "id_bits": "of AXI IDs",
    "scratchpad_ports": "ports of a RAM bank: one of each kind, or one for both",
    "dma": "memory bus, fetch, load and store",
    "counters": "performance counters",
}

START = (
    ("read", "IDENTITY", "= 0x474d4d59", "an accelerator is there"),
    ("read", "CONFIG_IDENTITY", "= identity", "it is the one that the program was compiled for"),
    ("write", "PROGRAM_ADDRESS_LOW", "address[31:0]", "where the program lies: a multiple of `bus_bytes`"),
    ("write", "PROGRAM_ADDRESS_HIGH", "address[63:32]", ""),
    ("write", "PROGRAM_LENGTH", "length", "its bytes"),
    ("write", "WATCHDOG_LIMIT", "1000000", "cycles without progress that count as a hang"),
    ("write", "INTERRUPT_STATUS", "0x3", "forget earlier interrupts"),
    ("write", "INTERRUPT_ENABLE", "0x3", "done and error"),
    ("write", "CONTROL", "0x1", "start"),
    ("wait", "irq", "", "or poll INTERRUPT_STATUS until it is not 0"),
    ("read", "INTERRUPT_STATUS", "= 0x1", "done; 0x2: stopped by an error, see below"),
    ("write", "INTERRUPT_STATUS", "0x1", "`irq` falls; the results are in memory"),
)
RECOVER = (
    ("read", "INTERRUPT_STATUS", "= 0x2", "stopped"),
    ("read", "ERROR_CAUSE", "", "bits 7:0 the cause, 11:8 the engine"),
    ("read", "ERROR_ADDRESS_LOW", "", "address of the instruction, lower half"),
    ("read", "ERROR_ADDRESS_HIGH", "", "upper half"),
    (
        "write",
        "CONTROL",
        "0x2",
        "soft reset: outstanding bursts are answered, then all but the settings is as after a reset",
    ),
    (
        "poll",
        "STATUS",
        "& 0x14 = 0",
        "neither error nor resetting: `irq` has fallen; begin again with PROGRAM_ADDRESS_LOW",
    ),
)
START_TITLE, RECOVER_TITLE = "From reset to the first result", "When a program is stopped"

TEXT = Path(__file__).with_name("integration.md.in")
"""The prose, with the names of ``tables()`` in braces."""


def integration_page() -> str:
    return page([NOTICE, TEXT.read_text(encoding="utf-8").format(**tables())])


def tables() -> dict[str, str]:
    return {
        "groups": table(
            ("ports", "what they are (`base`)"),
            [(f"`{name}`", doc) for name, doc in port_groups(PRESETS["base"], two_clocks=True).items()],
        ),
        "ports": _ports(),
        "parameters": _parameters(),
        "bandwidth": _bandwidth(),
        "start_title": START_TITLE,
        "start": _steps(START),
        "recover_title": RECOVER_TITLE,
        "recover": _steps(RECOVER),
        "resources": _resources(),
        "place": " ".join(PLACE),
        "waivers": _waivers(WAIVERS),
        "two_clocks_waivers": _waivers(TWO_CLOCKS_WAIVERS),
    }


def _ports() -> str:
    """Every port, those of two clocks too, with its width in each preset; – where a preset lacks it."""
    widths = {name: ports(config, two_clocks=config.dma) for name, config in PRESETS.items()}
    every = dict.fromkeys(port for members in widths.values() for port in members)
    rows = []
    for port in sorted(every, key=lambda port: ("_axi" in port, port.split("_")[0] != "s", port[:9])):
        member = next(members[port] for members in widths.values() if port in members)
        bits = [str(members[port].shape) if port in members else "–" for members in widths.values()]
        rows.append((f"`{port}`", "in" if member.flow == In else "out", *bits))
    return table(("port", "direction", *widths), rows)


def _waivers(waivers: dict[str, str]) -> str:
    return table(("rule", "reason"), [(f"`{rule}`", reason) for rule, reason in waivers.items()])


def _parameters() -> str:
    fields = [field.name for field in dataclasses.fields(Config) if field.name != "name"]
    rows = [(f"`{name}`", *(getattr(c, name) for c in PRESETS.values()), PARAMETERS[name]) for name in fields]
    return table(("parameter", *PRESETS, "meaning"), rows)


def _bandwidth() -> str:
    rows = []
    for name, config in PRESETS.items():
        if config.dma:
            cycles = config.outstanding * BURST_BEATS
            reuse = config.macs_per_cycle // config.bus_bytes
            rows.append((name, config.bus_bytes, f"{config.bus_bytes / 10:g}", cycles, reuse))
    heads = (
        "preset",
        "bytes a cycle, each way",
        "GB/s at 100 MHz, each way",
        "latency covered, cycles",
        "MACs a byte read",
    )
    return table(heads, rows)


def _steps(steps) -> str:
    return table(
        ("", "access", "register", "address", "value", ""),
        [
            (
                number,
                access,
                register,
                f"0x{ADDRESS[register]:03x}" if register in ADDRESS else "",
                f"`{value}`" if value else "",
                doc,
            )
            for number, (access, register, value, doc) in enumerate(steps, 1)
        ],
    )


def _resources() -> str:
    if not FILE.exists():
        return "Not measured yet."
    data = json.loads(FILE.read_text())
    rows = []
    for name in PRESETS:
        found = data["presets"].get(name, {"cells": {}})
        cells = [f"{found['cells'][kind]:,}" if kind in found["cells"] else "–" for kind in CELLS]
        mhz = found.get("mhz")
        rows.append((f"`{name}`", *cells, f"{mhz:.0f} MHz" if mhz else found.get("note", "not measured")))
    rows.append(("*LFE5U-85F has*", *(f"{AVAILABLE[kind]:,}" if kind in AVAILABLE else "" for kind in CELLS), ""))
    tools = ", ".join(f"{tool} {version}" for tool, version in data["tools"].items())
    return table(("preset", *CELLS, "clock"), rows) + f"\n\nMeasured with {tools}."
