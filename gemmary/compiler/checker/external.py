"""External memory: what loads may read, what stores must write, and the order among them."""

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from ...config import Config
from ...isa import Engine, Opcode, Space
from .finding import MOST, Finding
from .order import Clock
from .pattern import Pattern, box
from .stream import Group, Stream


class Use(Enum):
    """A SOURCE is there before the program starts and stays as it is. Of a RESULT every byte is stored, and read only then. SCRATCH is
    both, as far as is known."""

    SOURCE = "source"
    RESULT = "result"
    SCRATCH = "scratch"


@dataclass
class Place:
    """``size`` bytes at ``address``. For each byte: the ordinals of the store and of the load of this stream that touched it last;
    whether it has been stored at all; whether that was after it had last been read."""

    name: str
    address: int
    size: int
    use: Use
    constant: bool = False
    grain: int = 1
    tables: dict[str, np.ndarray] = field(default_factory=dict)

    def table(self, name: str) -> np.ndarray:
        if name not in self.tables:
            self.tables[name] = np.zeros(self.size, np.int32 if name in ("stored", "loaded") else bool)
        return self.tables[name]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The bytes of ``pattern`` from ``address``."""

    address: int
    pattern: Pattern

    @property
    def first(self) -> int:
        return self.address + self.pattern.low

    @property
    def last(self) -> int:
        return self.address + self.pattern.high


def transfers(stream: Stream) -> list[Transfer | None]:
    """What each instruction reads or writes in external memory."""
    result: list[Transfer | None] = [None] * stream.size
    for group in stream.groups:
        if group.opcode in (Opcode.LOAD, Opcode.STORE):
            for index, each in zip(group.indices.tolist(), _of(group)):
                result[index] = each
    return result


def _of(group: Group):
    counts = [group.fields[f"count_{loop}"].tolist() for loop in "zyx"]
    strides = [stride.tolist() for stride in group.strides("external")]
    filled = group.fill_only.tolist() if group.opcode == Opcode.LOAD else [0] * len(group.indices)
    known: dict[tuple, Pattern] = {}
    for i, (address, length) in enumerate(zip(group.external_address.tolist(), group.length.tolist())):
        if filled[i]:
            yield None
            continue
        dims = (*((c[i], s[i]) for c, s in zip(counts, strides)), (length, 1))
        if dims not in known:
            known[dims] = box(dims)
        yield Transfer(address, known[dims])


class External:
    """Takes the transfers of one program after the other. ``places`` None: any byte may be read and written."""

    def __init__(self, config: Config, size: int, places: list[Place] | None):
        self.config, self.size, self.known = config, size, places is not None
        self.see(places or [])

    def see(self, places: list[Place]) -> None:
        """What there is from now on."""
        self.places = sorted(places, key=lambda place: place.address)
        self.starts = [place.address for place in self.places]

    def begin(self, stream: Stream, found: list[Transfer | None], findings: list[Finding]) -> None:
        self.stream, self.findings = stream, findings
        if not self.known:
            self.places = _stored_places(stream, found)
        for place in self.places:
            for name in ("stored", "loaded"):
                place.tables.pop(name, None)
        self.starts = [place.address for place in self.places]

    def take(self, index: int, clock: Clock, transfer: Transfer, space: Space) -> None:
        """``space``: the memory on the chip."""
        load = self.stream.engine[index] == Engine.LOAD
        if not 0 <= transfer.first <= transfer.last < self.size:
            self._outside(index, transfer, load)
            return
        number = bisect_right(self.starts, transfer.first) - 1
        place = self.places[number] if number >= 0 else None
        if place is None or transfer.last >= place.address + place.size:
            if self.known or not load:
                self._nowhere(index, transfer, load)
            else:
                for other in self.places:
                    if other.address <= transfer.last and other.address + other.size > transfer.first:
                        self._load_part(index, clock, transfer, other)
            return
        if place.grain > 1 and not _whole(transfer, place):
            self._torn(index, transfer, place, load)
        # Of a word with more columns than the array's some may be needless.
        square = self.config.rows == self.config.columns
        if load and self.known and square and space == Space.WEIGHT and not place.constant and place.grain > 1:
            _view(place, "multiplied", transfer)[...] = True
        (self._load if load else self._store)(index, clock, place, transfer)

    def at(self, address: int) -> Place:
        """The place of a byte that a legal transfer takes."""
        return self.places[bisect_right(self.starts, address) - 1]

    def finish(self, name: str | None = None) -> list[Finding]:
        """What is missing of the results, at the end of the last program (or of ``name`` alone)."""
        findings = []
        for place in self.places:
            if "multiplied" in place.tables and not place.tables["multiplied"].all():
                first = place.address + int(np.argmin(place.tables["multiplied"]))
                text = f"of operand {place.name!r}, loaded to the weight memory, the byte at {first:#x} is left out: "
                findings.append(Finding("uneven", (), text + "correct an address or a count of what loads it"))
            if place.use != Use.RESULT or name not in (None, place.name):
                continue
            stored = place.table("defined")
            if not stored.all():
                missing = np.flatnonzero(~stored)
                text = f"{len(missing)} bytes of result {place.name!r} are never stored, from {place.address + missing[0]:#x} on: "
                findings.append(Finding("result", (), text + "add a store, or correct an address or a count"))
        return findings

    def _load(self, index: int, clock: Clock, place: Place, transfer: Transfer) -> None:
        if place.use == Use.SOURCE:
            return
        if place.use == Use.RESULT and not _view(place, "defined", transfer).all():
            text = f"{self.stream.name(index)} loads bytes of {place.name!r} that nothing before it has stored: "
            self._report(
                Finding("undefined", (index,), text + "store them first, or correct its external address or counts")
            )
        stored = int(_view(place, "stored", transfer).max())
        if stored > clock[Engine.STORE]:
            self._race(index, self.stream.at(Engine.STORE, stored), place, "loads bytes", "stores")
        _view(place, "loaded", transfer)[...] = self.stream.ordinal[index]
        _view(place, "fresh", transfer)[...] = False

    def _load_part(self, index: int, clock: Clock, transfer: Transfer, place: Place) -> None:
        """Of a load that goes beyond a place which is not known to be one."""
        bytes_ = transfer.address + transfer.pattern.all()
        inside = bytes_[(bytes_ >= place.address) & (bytes_ < place.address + place.size)] - place.address
        if len(inside) and (stored := int(place.table("stored")[inside].max())) > clock[Engine.STORE]:
            self._race(index, self.stream.at(Engine.STORE, stored), place, "loads bytes", "stores")
        place.table("loaded")[inside] = self.stream.ordinal[index]

    def _store(self, index: int, clock: Clock, place: Place, transfer: Transfer) -> None:
        if place.use == Use.SOURCE:
            text = f"{self.stream.name(index)} stores to {place.name!r}, which the program only reads: "
            self._report(Finding("bus", (index,), text + "correct its external address or counts"))
            return
        if "loaded" in place.tables and (loaded := int(_view(place, "loaded", transfer).max())) > clock[Engine.LOAD]:
            self._race(index, self.stream.at(Engine.LOAD, loaded), place, "overwrites bytes", "loads")
        if place.use == Use.RESULT and _view(place, "fresh", transfer).any():
            text = f"{self.stream.name(index)} stores bytes of result {place.name!r} a second time, and nobody has read the first: "
            self._report(
                Finding(
                    "result", (index,), text + "correct its external address or counts, or those of an earlier store"
                )
            )
        _view(place, "stored", transfer)[...] = self.stream.ordinal[index]
        _view(place, "defined", transfer)[...] = True
        _view(place, "fresh", transfer)[...] = True

    def _race(self, index: int, other: int, place: Place, does: str, did: str) -> None:
        text = f"{self.stream.name(index)} {does} of {place.name!r} that {self.stream.name(other)} {did}, and nothing orders them: "
        fix = f"let instruction {other} signal a semaphore that instruction {index} waits for"
        self._report(Finding("race", (other, index), text + fix))

    def _outside(self, index: int, transfer: Transfer, load: bool) -> None:
        does = "loads" if load else "stores"
        text = f"{self.stream.name(index)} {does} external bytes {transfer.first:#x}..{transfer.last:#x}, and the memory has {self.size:#x}: "
        self._report(Finding("bus", (index,), text + "correct its external address, steps or counts"))

    def _torn(self, index: int, transfer: Transfer, place: Place, load: bool) -> None:
        does = "loads" if load else "stores"
        text = f"{self.stream.name(index)} {does} external bytes {transfer.first:#x}..{transfer.last:#x}, which tears the words of {place.name!r}: "
        self._report(Finding("bus", (index,), text + "correct its external address or length"))

    def _nowhere(self, index: int, transfer: Transfer, load: bool) -> None:
        does = "loads" if load else "stores"
        text = f"{self.stream.name(index)} {does} external bytes {transfer.first:#x}..{transfer.last:#x}, which are not in one tensor or constant: "
        self._report(Finding("bus", (index,), text + "correct its external address, steps or counts"))

    def _report(self, finding: Finding) -> None:
        if len(self.findings) < MOST:
            self.findings.append(finding)


def _whole(transfer: Transfer, place: Place) -> bool:
    """Whether the transfer consists of whole grains."""
    grain, dims = place.grain, transfer.pattern.dims
    if (transfer.first - place.address) % grain or transfer.pattern.offsets is not None:
        return transfer.pattern.offsets is not None
    count, stride = dims[-1] if dims else (1, 1)
    return stride == 1 and count % grain == 0 and all(stride % grain == 0 for _, stride in dims[:-1])


def _view(place: Place, name: str, transfer: Transfer) -> np.ndarray:
    table, pattern = place.table(name), transfer.pattern
    if pattern.offsets is not None:
        return _Listed(table, pattern.offsets + transfer.address - place.address)
    size, dims = table.itemsize, pattern.dims
    offset = (transfer.first - place.address) * size
    return np.ndarray(tuple(n for n, _ in dims), table.dtype, table, offset, tuple(s * size for _, s in dims))


class _Listed:
    """A view of places that no strides describe."""

    def __init__(self, table: np.ndarray, indices: np.ndarray):
        self.table, self.indices = table, indices

    def __setitem__(self, _, value) -> None:
        self.table[self.indices] = value

    def __getattr__(self, name: str):
        return getattr(self.table[self.indices], name)


def _stored_places(stream: Stream, found: list[Transfer | None]) -> list[Place]:
    """What the stores reach, as places without a gap."""
    spans = sorted((t.first, t.last + 1) for i, t in enumerate(found) if t and stream.engine[i] == Engine.STORE)
    places: list[Place] = []
    for first, end in spans:
        if places and first <= places[-1].address + places[-1].size:
            places[-1].size = max(places[-1].size, end - places[-1].address)
        else:
            places.append(Place(f"bytes from {first:#x}", first, end - first, Use.SCRATCH))
    return places
