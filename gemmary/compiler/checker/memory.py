"""The memories on the chip, granule by granule: who wrote and read what, and whether that was in order."""

import numpy as np

from ...config import Config
from ...isa import Engine, Opcode, Space
from .accesses import Access, Kind, granules
from .finding import MOST, Finding
from .order import Clock
from .pattern import ADDRESSES, scaled
from .stream import Stream

ENGINES = len(Engine)

Granules = slice | np.ndarray | tuple
"""Some granules of a memory: an index, or (shape, first, strides)."""


class Memory:
    """One memory. Arrays [granule]: by engine the ordinal of the last instruction that wrote, and read; ``last``, the index of the last
    writer + 1 (0: nobody); ``fresh``, whether what was written last has not been read yet. ``skipped``: writers + 1 of which a reader takes a
    part.

    Whole granules are written and, beyond the end of a run, read in part; so granules are as exact as bytes.
    """

    def __init__(self, space: Space, size: int):
        self.space, self.size = space, size
        self.written = np.zeros((ENGINES, size), np.int32)
        self.read = np.zeros((ENGINES, size), np.int32)
        self.last_written, self.last_read = [0] * ENGINES, [0] * ENGINES
        self.last = np.zeros(size, np.int32)
        self.fresh = np.zeros(size, bool)
        self.undefined = np.ones(size, bool)
        self.any_undefined = True
        self.skipped: set[int] = set()

    def next_program(self) -> None:
        """Another stream begins when all has ended. What memories hold stays."""
        for table in (self.written, self.read):
            table[:] = 0
        self.last_written, self.last_read = [0] * ENGINES, [0] * ENGINES
        self.last[:], self.fresh[:] = 0, False
        self.skipped.clear()


class Checker:
    """Takes the accesses of one instruction after the other, in program order. With ``sense`` nothing written may be lost."""

    def __init__(self, config: Config, sense: bool):
        self.sense = sense
        self.bus = config.bus_bytes
        self.halves = (
            config.columns < config.rows
        )  # a word has channels that nobody needs, if the last tile is not there
        self.memories = {space: Memory(space, size) for space, size in granules(config).items()}

    def begin(self, stream: Stream, findings: list[Finding], work=None) -> None:
        """``work`` is told of every read, if given."""
        self.stream, self.findings, self.work = stream, findings, work
        self.windows = _windows(stream)
        for memory in self.memories.values():
            memory.next_program()

    def take(self, index: int, clock: Clock, accesses: list[Access]) -> None:
        """``clock``: what has ended when the instruction starts."""
        for access in accesses:
            memory = self.memories[access.space]
            place = self._place(index, memory, access)
            if place is None or access.kind == Kind.CHECK:
                continue
            if access.kind == Kind.READ:
                self._read(index, clock, memory, place, access)
                if self.work:
                    self.work.read(index, access, place)
            else:
                self._write(index, clock, memory, place, access)

    def finish(self) -> None:
        """What nobody has read."""
        for memory in self.memories.values():
            self._lost(memory, slice(None), None)

    def _place(self, index: int, memory: Memory, access: Access):
        """The granules, as an index or as (shape, first, strides). None, and a finding, if some are outside."""
        pattern, unit = access.pattern, access.unit
        start = access.address + pattern.low
        wrapped = access.address - start // ADDRESSES * ADDRESSES
        if wrapped + pattern.high >= memory.size // unit:
            words = np.unique((access.address + pattern.all()) % ADDRESSES)
            outside = words[words >= memory.size // unit]
            if len(outside):
                self._outside(index, memory, access, int(outside[0]))
                return None
            return (words[:, None] * unit + np.arange(unit)).ravel()
        fine = scaled(pattern, unit, unit) if unit > 1 else pattern
        if fine.offsets is not None:
            return fine.offsets + wrapped * unit
        first = wrapped * unit + fine.low
        if not fine.dims:
            return slice(first, first + 1)
        if len(fine.dims) == 1 and fine.dims[0][1] == 1:
            return slice(first, first + fine.dims[0][0])
        return tuple(n for n, _ in fine.dims), first, tuple(s for _, s in fine.dims)

    def _outside(self, index: int, memory: Memory, access: Access, word: int) -> None:
        name, depth = memory.space.name.lower(), memory.size // access.unit
        text = f"{self.stream.name(index)}: operand {access.operand} reaches word {word} of the {name} memory, which has {depth}: "
        self.findings.append(Finding("address", (index,), text + "its address, steps or counts are wrong"))

    def _read(self, index: int, clock: Clock, memory: Memory, place, access: Access) -> None:
        engine = self.stream.engine[index]
        self._race(index, clock, memory, place, access, memory.written, memory.last_written, "reads", "writes")
        self._defined(index, memory, place, access)
        memory.last_read[engine] = self.stream.ordinal[index]
        _set(memory.read[engine], place, self.stream.ordinal[index])
        _set(memory.fresh, place, False)
        # Whoever strides, pools or spreads its taps may have no use for what lies between, or for a rest.
        if (
            self.sense
            and access.space == Space.ACTIVATION
            and (isinstance(place, tuple) or index in self.windows or self.halves)
        ):
            memory.skipped.update(np.unique(get(memory.last, place)).tolist())

    def _write(self, index: int, clock: Clock, memory: Memory, place, access: Access) -> None:
        engine = self.stream.engine[index]
        self._race(index, clock, memory, place, access, memory.written, memory.last_written, "writes", "writes")
        self._race(index, clock, memory, place, access, memory.read, memory.last_read, "writes", "reads")
        if access.kind == Kind.ADD:
            self._defined(index, memory, place, access)
        elif self.sense:
            self._lost(memory, place, index)
        memory.last_written[engine] = self.stream.ordinal[index]
        _set(memory.written[engine], place, self.stream.ordinal[index])
        _set(memory.last, place, index + 1)
        _set(memory.fresh, place, True)
        if memory.any_undefined:
            _set(memory.undefined, place, False)
            memory.any_undefined = bool(memory.undefined.any())

    def _race(self, index, clock, memory, place, access, table, last, does, did) -> None:
        """A finding if an instruction of another engine, in ``table``, may not have ended."""
        own = self.stream.engine[index]
        for engine in range(ENGINES):
            if engine == own or last[engine] <= clock[engine]:
                continue
            touched = get(table[engine], place)
            if touched.max() <= clock[engine]:
                continue
            other = self.stream.at(engine, int(touched.max()))
            where = _indices(memory.size, place)
            self._report_race(index, other, memory, where[table[engine][where] == touched.max()], access, does, did)

    def _report_race(self, index, other, memory, where, access, does, did) -> None:
        first, second = self.stream.name(other), self.stream.name(index)
        text = f"{second} {does} {self._bytes(memory, where)} (operand {access.operand}), which {first} {did}, and nothing orders them: "
        fix = f"let instruction {other} signal a semaphore that instruction {index} waits for"
        self._report(Finding("race", (other, index), text + fix))

    def _defined(self, index: int, memory: Memory, place, access: Access) -> None:
        if memory.any_undefined and get(memory.undefined, place).any():
            where = _indices(memory.size, place)
            where = where[memory.undefined[where]]
            text = f"{self.stream.name(index)} reads {self._bytes(memory, where)} (operand {access.operand}), which no instruction before it has "
            self._report(
                Finding("undefined", (index,), text + "written: load them first, or correct its address or counts")
            )
            memory.undefined[where] = False

    def _lost(self, memory: Memory, place, index: int | None) -> None:
        """A finding if something written was never read. ``index``: the instruction that overwrites it, None at the end."""
        if not get(memory.fresh, place).any():
            return
        where = _indices(memory.size, place)
        where = where[memory.fresh[where]]
        memory.fresh[where] = False
        if memory.skipped:
            where = where[~np.isin(memory.last[where], list(memory.skipped))]
        if not len(where):
            return
        other = int(memory.last[where].min()) - 1
        text = f"{self.stream.name(other)} writes {self._bytes(memory, where[memory.last[where] == other + 1])}, and "
        if index is None:
            self._report(
                Finding(
                    "lost", (other,), text + "nobody reads them: drop the instruction, or correct an address or a count"
                )
            )
        else:
            text += f"{self.stream.name(index)} overwrites them before anybody reads them: "
            self._report(
                Finding(
                    "lost",
                    (other, index),
                    text + "correct an address or a count, of a writer or the reader between them",
                )
            )

    def _report(self, finding: Finding) -> None:
        if len(self.findings) < MOST:
            self.findings.append(finding)

    def _bytes(self, memory: Memory, where: np.ndarray) -> str:
        """Granules as a range of bytes; how many, where there are gaps."""
        first, last = int(where.min()) * self.bus, (int(where.max()) + 1) * self.bus - 1
        gaps = f" ({len(where) * self.bus} of them)" if len(where) * self.bus != last - first + 1 else ""
        return f"{memory.space.name.lower()} bytes {first:#x}..{last:#x}{gaps}"


def _windows(stream: Stream) -> set[int]:
    """Instructions that may slide a window over inputs: products, and vector instructions that reduce."""
    found = set()
    for group in stream.groups:
        if group.opcode == Opcode.MATMUL:
            found.update(group.indices.tolist())
        elif group.opcode == Opcode.VECTOR:
            found.update(group.indices[group.count_ky * group.count_kx > 1].tolist())
    return found


def _view(array: np.ndarray, place: tuple) -> np.ndarray:
    shape, first, strides = place
    size = array.itemsize
    return np.ndarray(shape, array.dtype, array, first * size, tuple(s * size for s in strides))


def get(array: np.ndarray, place: Granules) -> np.ndarray:
    """Their part of ``array``, a view unless they are listed."""
    return _view(array, place) if isinstance(place, tuple) else array[place]


def _set(array: np.ndarray, place, value) -> None:
    if isinstance(place, tuple):
        _view(array, place)[...] = value
    else:
        array[place] = value


def _indices(size: int, place) -> np.ndarray:
    return np.unique(get(np.arange(size), place))
