"""Writes the generated pages: docs/isa.md, docs/registers.md and docs/integration.md.

python -m scripts.generate_docs            write them
python -m scripts.generate_docs --check    exit status 1 if one of them is stale
"""

import argparse
import sys
from pathlib import Path

from gemmary import isa, registers
from gemmary.config import SEMAPHORE_MAX, SEMAPHORES
from gemmary.isa import Engine, Field, Format

from .integration import integration_page
from .pages import NOTICE, page, table

DOCS = Path(__file__).parent.parent / "docs"
# Instruction set.

ISA_INTRODUCTION = """
Every instruction has {bytes} bytes ({bits} bits), little-endian: bit 0 is the lowest bit of the first byte. The order in
which instructions run and what a legal program is: [isa-semantics.md](isa-semantics.md). What they compute:
[numerics.md](numerics.md). The data behind this page: `gemmary/isa.py`.
"""

KINDS = """
## Kinds of fields

The dispatcher refuses an instruction with a value that its kind does not allow.

{table}
"""

WALKS = """
## Loop nests, walks and steps

An instruction is a nest of loops, listed outermost first; the last one runs fastest. `count_<loop>` is its number of
iterations. The address of an operand is a *walk* over that nest: it starts at `<walk>_address`, and whenever a loop advances and
all loops inside it restart, `<walk>_step_<loop>` is added. A walk has no step for loops that never move it. So with the
wanted strides (the distance between two iterations of a loop, all else equal):

    step_l = stride_l − sum over the loops i inside l of (count_i − 1) · stride_i

Example: 3 rows of 4 words, rows 10 words apart: `count_y = 3`, `count_x = 4`, strides 10 and 1, so `step_x = 1` and
`step_y = 10 − 3 · 1 = 7`. Addresses: 0 1 2 3, +7 = 10 11 12 13, +7 = 20 21 22 23. `isa.steps`, `isa.strides` and
`isa.walk_fields` convert.

On-chip addresses are modulo 2¹⁶, in the unit that the walk names. External addresses count bytes, with 64 bits and
sign-extended steps of 32.
"""

BOUNDS = """
**Bounds.** Coordinate y of an iteration is `y_start + y · y_stride + ky · y_dilation`, with the loop indices y and ky; x
likewise. Both are exact. The operand is read only where `0 <= y < y_limit` and `0 <= x < x_limit`; elsewhere it is `constant`.
Without padding: start, stride and dilation 0, limits 1.
"""


def isa_page() -> str:
    kinds = (
        ("value", "any", "–"),
        ("count", f"1 … {isa.MAX_COUNT}", "COUNT"),
        ("length", f"1 … {isa.MAX_LENGTH}", "COUNT"),
        ("dtype", "the formats named in the table", "DTYPE"),
        ("code", "the codes named in the table", "FIELD"),
        ("reserved", "0", "FIELD"),
    )
    opcodes = [
        (f"`0x{opcode:02x}`", f"[{opcode.name}](#{opcode.name.lower()})", engine.name.lower(), int(engine))
        for opcode, engine in isa.ENGINE.items()
    ]
    causes = [(int(cause), cause.name, doc) for cause, doc in isa.CAUSE_DOC.items()]
    parts = [
        NOTICE,
        "# Instruction set",
        ISA_INTRODUCTION.format(bytes=isa.INSTRUCTION_BYTES, bits=8 * isa.INSTRUCTION_BYTES),
        table(("opcode", "instruction", "engine", "engine code"), opcodes),
        KINDS.format(table=table(("kind", "legal values", "cause"), kinds)),
        "Signed fields are two's complement. Codes:",
        _codes(),
        WALKS,
        *map(_instruction, isa.FORMATS.values()),
        "## Causes",
        "Why the accelerator stopped (register ERROR_CAUSE). Of several faults the dispatcher reports the first in this list.",
        table(("code", "cause", "meaning"), causes),
    ]
    return page(parts)


def _codes() -> str:
    enums = {"dtype": isa.DType, "space": isa.Space, "reduction": isa.Reduction}
    rows = [(f"`{name}`", ", ".join(f"{int(c)} {c.name.lower()}" for c in enum)) for name, enum in enums.items()]
    return table(("field", "codes"), rows)


def _instruction(form: Format) -> str:
    walks = [(f"`{w.name}`", ", ".join(w.loops), w.unit) for w in form.walks]
    fields = [(f"`{f.name}`", _bits(f), _kind(f), f.doc) for f in form.fields]
    parts = [
        f"## {form.opcode.name}",
        form.doc,
        f"Loops, outermost first: {', '.join(form.loops)}.",
        table(("walk", "moved by loops", "unit of addresses"), walks),
        *([BOUNDS] if "y_limit" in form else []),
        table(("field", "bits", "kind", "meaning"), fields),
    ]
    return "\n\n".join(part.strip() for part in parts)


def _bits(field: Field) -> str:
    return f"{field.offset + field.width - 1}:{field.offset}" if field.width > 1 else str(field.offset)


def _kind(field: Field) -> str:
    if field.kind == "dtype":
        return "dtype " + ", ".join(isa.DType(code).name.lower() for code in field.allowed)
    if field.kind == "code":
        first, last = field.allowed[0], field.allowed[-1]
        whole = field.allowed == tuple(range(first, last + 1))
        return f"code {first} … {last}" if whole else "code " + ", ".join(map(str, field.allowed))
    if field.kind == "value":
        return f"{'signed' if field.signed else 'unsigned'} {field.width}"
    return field.kind


# Registers.

REGISTERS_INTRODUCTION = """
32-bit registers behind AXI4-Lite, or on the bare register bus of configs without DMA. Access: `ro` read only, `rw` read and
write, `w1c` write one to clear, `wo` a write acts and a read gives 0. The data behind this page: `gemmary/registers.py`.
"""

WINDOWS = """
## Windows

Without DMA the host reads and writes the on-chip memories itself: at address 0x{window:08x} + (space << 24) + byte offset, with
the codes of `space` in [isa.md](isa.md).
"""

ENGINES = """
## Engines

The same registers for each engine, readable while it hangs. They start at {starts}.
"""

COUNTERS = """
## Counters

Cleared when a program starts. The counters of an engine add up to CYCLES: it is in one state in every cycle. Where the
tensor engine has a clock of its own, its counters count the cycles of that, all of them, and add up to its
cycles between the same two moments; they are complete 48 cycles after the end of a program.
"""


def registers_page() -> str:
    rows = [r for r in registers.REGISTERS if r.address < registers.SEMAPHORE_BASE]
    last = registers.SEMAPHORE_BASE + 4 * (SEMAPHORES - 1)
    engines = [f"0x{registers.ENGINE_BASE + registers.ENGINE_SIZE * e:03x} ({e.name.lower()})" for e in Engine]
    load = "LOAD_"
    one_engine = [
        (f"0x{r.address - registers.ENGINE_BASE:02x}", r.name.removeprefix(load), r.access, r.doc.split(": ", 1)[1])
        for r in registers.REGISTERS
        if r.name.startswith(load)
    ]
    counters = [r for r in registers.REGISTERS if r.name.startswith("COUNT_")]
    states = [(int(state), state.name, doc) for state, doc in registers.STATE_DOC.items()]
    parts = [
        NOTICE,
        "# Registers",
        REGISTERS_INTRODUCTION,
        table(("address", "register", "access", "meaning"), map(_register, rows)),
        "## Fields",
        table(("register", "field", "bits", "meaning"), [row for r in rows for row in _fields(r)]),
        "## Semaphores",
        f"0x{registers.SEMAPHORE_BASE:03x} … 0x{last:03x}: the counts (0 … {SEMAPHORE_MAX}) of SEMAPHORE_0 … "
        f"SEMAPHORE_{SEMAPHORES - 1}, read only.",
        ENGINES.format(starts=", ".join(engines)),
        table(("offset", "register", "access", "meaning"), one_engine),
        "States:",
        table(("code", "state", "meaning"), states),
        COUNTERS,
        table(("address", "register", "access", "meaning"), map(_register, counters)),
        WINDOWS.format(window=registers.WINDOW),
    ]
    return page(parts)


def _register(register: registers.Register) -> tuple[str, str, str, str]:
    doc = register.doc or ", ".join(field.name for field in register.fields)
    return f"0x{register.address:03x}", register.name, register.access, doc


def _fields(register: registers.Register) -> list[tuple[str, str, str, str]]:
    def bits(field):
        return f"{field.offset + field.width - 1}:{field.offset}" if field.width > 1 else str(field.offset)

    return [(register.name, f"`{field.name}`", bits(field), field.doc) for field in register.fields]


# Files.


PAGES = {"isa.md": isa_page, "registers.md": registers_page, "integration.md": integration_page}


def stale(folder: Path = DOCS) -> list[str]:
    """The generated pages that are missing or differ from the data."""
    return [name for name, page in PAGES.items() if _text(folder / name) != page()]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a page is stale")
    if not parser.parse_args().check:
        for name, page in PAGES.items():
            (DOCS / name).write_text(page(), encoding="utf-8")
        return 0
    for name in (names := stale()):
        print(f"docs/{name} is stale: run make docs", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
