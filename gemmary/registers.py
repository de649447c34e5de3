"""The register map as data: 32-bit registers behind AXI4-Lite (or the bare register bus of `nano`)."""

from dataclasses import dataclass
from enum import IntEnum

from .config import Config
from .isa import Engine

IDENTITY = 0x474D4D59  # "GMMY"
HARDWARE_VERSION = 0x0001_0000
WATCHDOG_LIMIT = 1_000_000  # after reset


class State(IntEnum):
    """What an engine does in a cycle: exactly one of these, so the counters of an engine add up to all cycles."""

    IDLE = 0
    WAIT_SEMAPHORE = 1
    BUSY = 2
    STALL_MEMORY = 3
    STALL_HAZARD = 4
    STALL_WEIGHTS = 5
    STALL_BUS = 6
    DRAIN = 7


STATE_DOC = {
    State.IDLE: "no instruction (queue empty)",
    State.WAIT_SEMAPHORE: "an instruction waits for its semaphores",
    State.BUSY: "does work in this cycle",
    State.STALL_MEMORY: "waits for a port of an on-chip memory",
    State.STALL_HAZARD: "waits for an accumulator row still in flight",
    State.STALL_WEIGHTS: "waits for the next weight tile",
    State.STALL_BUS: "waits for the memory bus",
    State.DRAIN: "all work issued, results still in flight",
}


@dataclass(frozen=True)
class RegisterField:
    name: str
    offset: int
    width: int
    doc: str


@dataclass(frozen=True)
class Register:
    """``access``: ro, rw, w1c (write one to clear), wo (a write acts, reads as 0)."""

    name: str
    address: int
    access: str
    doc: str
    fields: tuple[RegisterField, ...] = ()


def _f(name, offset, width, doc):
    return RegisterField(name, offset, width, doc)


_STATIC = (
    Register("IDENTITY", 0x000, "ro", f"0x{IDENTITY:08x}"),
    Register("VERSION", 0x004, "ro", "hardware version: major in the upper half, minor in the lower"),
    Register("CONFIG_IDENTITY", 0x008, "ro", "hash of the config; programs carry it"),
    Register("ARRAY", 0x00C, "ro", "size of the array",
             (_f("rows", 0, 8, "K"), _f("columns", 8, 8, "N"), _f("lanes", 16, 8, "of the vector engine"),
              _f("bus_bytes", 24, 8, "width of the memory bus, the granule of DMA"))),
    Register("ACTIVATION_WORDS", 0x010, "ro", "depth of the activation scratchpad in words of `rows` bytes"),
    Register("WEIGHT_WORDS", 0x014, "ro", "depth of the weight scratchpad in words of `columns` bytes"),
    Register("ACCUMULATOR_ROWS", 0x018, "ro", "rows of one accumulator bank"),
    Register("PARAMETER_ROWS", 0x01C, "ro", "rows of the parameter memory"),
    Register("FEATURES", 0x020, "ro", "what is built in",
             (_f("dma", 0, 1, "AXI, fetch, load and store"), _f("counters", 1, 1, "performance counters"),
              _f("pair", 2, 1, "two multiply-accumulates a multiplier"),
              _f("address_bits", 8, 8, "of external addresses"), _f("queue_depth", 16, 8, "instructions an engine"))),
    Register("WINDOW_LINE", 0x024, "ro", "longest line of a depthwise matmul, 0: there is none"),
    Register("CONTROL", 0x040, "wo", "a write of 1 acts",
             (_f("start", 0, 1, "run the program; ignored while busy or after an error"),
              _f("soft_reset", 1, 1, "stop, drain outstanding bursts, then reset everything but these registers' settings"))),
    Register("STATUS", 0x044, "ro", "",
             (_f("busy", 0, 1, "a program runs"), _f("done", 1, 1, "the last program ended well"),
              _f("error", 2, 1, "stopped by an error; soft reset recovers"),
              _f("quiet", 3, 1, "no burst is outstanding"), _f("resetting", 4, 1, "soft reset waits for bursts to drain"))),
    Register("INTERRUPT_STATUS", 0x048, "w1c", "level interrupt while (status & enable) is not 0",
             (_f("done", 0, 1, "a program ended well"), _f("error", 1, 1, "a program was stopped"))),
    Register("INTERRUPT_ENABLE", 0x04C, "rw", "mask", (_f("done", 0, 1, ""), _f("error", 1, 1, ""))),
    Register("ERROR_CAUSE", 0x050, "ro", "first error since the last soft reset",
             (_f("cause", 0, 8, "isa.Cause"), _f("engine", 8, 4, "isa.Engine, or 15 for fetch and dispatch"))),
    Register("ERROR_ADDRESS_LOW", 0x054, "ro", "external address of the offending instruction"),
    Register("ERROR_ADDRESS_HIGH", 0x058, "ro", "its upper bits"),
    Register("PROGRAM_ADDRESS_LOW", 0x060, "rw", "external address of the program, a multiple of bus_bytes"),
    Register("PROGRAM_ADDRESS_HIGH", 0x064, "rw", "its upper bits"),
    Register("PROGRAM_LENGTH", 0x068, "rw", "bytes, a multiple of 96, at most 2**24 − 96"),
    Register("WATCHDOG_LIMIT", 0x06C, "rw", "cycles without progress before a stop; 0: never. After reset " f"{WATCHDOG_LIMIT:,}"),
    Register("SEMAPHORE_SIGNAL", 0x070, "wo", "mask of semaphores to raise by 1"),
    Register("SEMAPHORE_TAKE", 0x074, "wo", "mask of semaphores to lower by 1 (those at 0 stay)"),
    Register("INSTRUCTION", 0x078, "wo", "without DMA: 24 writes push one instruction, lowest word first"),
    Register("INSTRUCTION_READY", 0x07C, "ro", "without DMA: 1 when INSTRUCTION takes a whole instruction"),
)  # fmt: skip

SEMAPHORE_BASE = 0x080  # 16 registers: the counts
ENGINE_BASE, ENGINE_SIZE = 0x100, 0x40
COUNTER_BASE = 0x200

_ENGINE = (
    ("STATE", 0x00, "registers.State of this cycle"),
    ("INSTRUCTION_LOW", 0x04, "external address of the instruction the engine is at"),
    ("INSTRUCTION_HIGH", 0x08, "its upper bits"),
    ("AWAITED", 0x0C, "while in WAIT_SEMAPHORE: bit 31 set, awaited semaphore in 3:0, its count in 13:8"),
    ("QUEUED", 0x10, "instructions in the engine's queue"),
    ("RETIRED", 0x14, "instructions completed since the start of the program"),
)

COUNTERS = (
    ("CYCLES", "cycles from the first fetch to the last write response"),
    ("INSTRUCTIONS", "instructions dispatched"),
    ("READ_BYTES", "bytes of read data beats"),
    ("WRITE_BYTES", "bytes written (write strobes set)"),
    *((f"{e.name}_{s.name}", f"cycles of the {e.name.lower()} engine: {STATE_DOC[s]}") for e in Engine for s in State),
)  # 32 bits each, at COUNTER_BASE + 4 * index, cleared at a start

REGISTERS: tuple[Register, ...] = (
    *_STATIC,
    *(Register(f"SEMAPHORE_{i}", SEMAPHORE_BASE + 4 * i, "ro", f"count of semaphore {i}") for i in range(16)),
    *(
        Register(f"{e.name}_{name}", ENGINE_BASE + ENGINE_SIZE * e + offset, "ro", f"{e.name.lower()} engine: {doc}")
        for e in Engine
        for name, offset, doc in _ENGINE
    ),
    *(Register(f"COUNT_{name}", COUNTER_BASE + 4 * i, "ro", doc) for i, (name, doc) in enumerate(COUNTERS)),
)

ADDRESS: dict[str, int] = {r.name: r.address for r in REGISTERS}
ADDRESS_BITS = 12

# Without DMA, on-chip memories are windows of the register bus: WINDOW | space << 24 | byte offset.
WINDOW = 0x8000_0000


def constants(config: Config) -> dict[str, int]:
    """The registers that say what the accelerator of ``config`` is."""
    fields = {
        "ARRAY": {"rows": config.rows, "columns": config.columns, "lanes": config.lanes, "bus_bytes": config.bus_bytes},
        "FEATURES": {
            "dma": int(config.dma),
            "counters": int(config.counters),
            "pair": int(config.multiplier == "pair"),
            "address_bits": config.address_bits,
            "queue_depth": config.queue_depth,
        },
    }
    by_name = {register.name: register for register in REGISTERS}
    packed = {name: sum(values[f.name] << f.offset for f in by_name[name].fields) for name, values in fields.items()}
    return {
        "IDENTITY": IDENTITY,
        "VERSION": HARDWARE_VERSION,
        "CONFIG_IDENTITY": config.identity,
        "ACTIVATION_WORDS": config.activation_words,
        "WEIGHT_WORDS": config.weight_words,
        "ACCUMULATOR_ROWS": config.accumulator_rows,
        "PARAMETER_ROWS": config.parameter_rows,
        "WINDOW_LINE": config.window_line,
        **packed,
    }
