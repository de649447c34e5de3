"""An external memory behind an AXI4 manager, as awkward as the protocol allows."""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import cocotb
import numpy as np

from .axi_checker import Channel
from .pace import paces
from .streams import garbage

OKAY, SLVERR, DECERR = 0, 2, 3


@dataclass
class Burst:
    """A burst that has been accepted; it may be answered from cycle ``due`` on."""

    id: int
    address: int
    length: int
    due: int
    beats: list = field(default_factory=list)
    bad: int = OKAY


class AxiMemory:
    """Serves bus ``prefix`` of ``dut`` from ``memory`` (bytes from address 0); beyond it and in ``missing`` there is DECERR.

    Every channel pauses at random and every burst waits for ``latency`` (least, most) cycles. Bursts of different IDs are
    answered in any order, their read data interleaved. Write data are taken before their address now and then. Bytes of
    ``errors`` (ranges of addresses) answer SLVERR. Where a beat fails, nothing is written and the data read are garbage.
    ``reads`` and ``writes`` list (address, beats, id) of all bursts, ``beats`` (address, strobe, enabled data) of all write data;
    ``seen`` counts what was awkward. Addresses and bursts are for AxiChecker to check.
    """

    def __init__(self, dut, prefix: str, edge, rng: np.random.Generator, memory: bytearray, latency=(1, 30), pace=None):
        self.channels = {name: Channel(dut, prefix, name) for name in ("aw", "w", "b", "ar", "r")}
        self.edge, self.rng, self.memory, self.latency = edge, rng, memory, latency
        self.pace: dict[str, Iterator[bool]] = {name: pace or paces(rng) for name in self.channels}
        self.bus_bytes = len(self.channels["w"].payload["data"]) // 8
        self.errors: list[range] = []
        self.missing: list[range] = []
        self.reads: list[tuple[int, int, int]] = []
        self.writes: list[tuple[int, int, int]] = []
        self.beats: list[tuple[int, int, bytes]] = []
        self.seen: Counter[str] = Counter()
        self.unfinished: Burst | None = None  # the read burst that data came from last, unless that was its end
        self.cycle = 0
        self.reading: dict[int, deque[Burst]] = defaultdict(deque)
        self.writing: deque[Burst] = deque()
        self.early: deque[tuple[int, int, bool]] = deque()
        self.responding: dict[int, deque[Burst]] = defaultdict(deque)
        self.offered: dict[str, Burst | None] = {"r": None, "b": None}
        self.task = cocotb.start_soon(self._run())

    @property
    def busy(self) -> bool:
        """Whether anything is outstanding."""
        return self.outstanding > 0 or bool(self.early)

    @property
    def outstanding(self) -> int:
        """Bursts that have not been answered."""
        queues = [*self.reading.values(), *self.responding.values(), self.writing]
        return sum(map(len, queues))

    async def _run(self):
        for name in ("b", "r"):
            self.channels[name].valid.value = 0
        while True:
            taking = {name: next(self.pace[name]) for name in ("aw", "w", "ar")}
            # Data without an address only now and then, and not far ahead.
            taking["w"] &= bool(self.writing) or (len(self.early) < 4 and self.rng.random() < 0.3)
            for name, ready in taking.items():
                self.channels[name].ready.value = ready
            self._offer("b", self.responding, self._response)
            self._offer("r", self.reading, self._data)
            await self.edge
            self.cycle += 1
            for name in ("b", "r"):
                if self.offered[name] and self.channels[name].ready.value:
                    self._answered(name, self.offered[name])
                    self.offered[name] = None
            for name, take in (("aw", self._aw), ("w", self._w), ("ar", self._ar)):
                channel = self.channels[name]
                if taking[name] and channel.valid.value:
                    take({part: number(handle.value) for part, handle in channel.payload.items()})

    # Addresses and write data.

    def _burst(self, payload: dict) -> Burst:
        due = self.cycle + int(self.rng.integers(*self.latency, endpoint=True))
        return Burst(payload["id"], payload["addr"], payload["len"] + 1, due)

    def _ar(self, payload: dict) -> None:
        burst = self._burst(payload)
        self.reads.append((burst.address, burst.length, burst.id))
        burst.beats = list(range(burst.address, burst.address + burst.length * self.bus_bytes, self.bus_bytes))
        self.reading[burst.id].append(burst)

    def _aw(self, payload: dict) -> None:
        burst = self._burst(payload)
        self.writes.append((burst.address, burst.length, burst.id))
        self.writing.append(burst)
        self.seen["early write data"] += bool(self.early)
        while self.early and self.writing:
            self._beat(*self.early.popleft())

    def _w(self, payload: dict) -> None:
        beat = payload["data"], payload["strb"], bool(payload["last"])
        if self.writing:
            self._beat(*beat)
        else:
            self.early.append(beat)

    def _beat(self, data: int, strobe: int, last: bool) -> None:
        burst = self.writing[0]
        address = burst.address + len(burst.beats) * self.bus_bytes
        burst.beats.append(address)
        word = data.to_bytes(self.bus_bytes, "little")
        enabled = [address + i for i in range(self.bus_bytes) if strobe >> i & 1]
        self.beats.append((address, strobe, bytes(word[place - address] for place in enabled)))
        bad = self._fault(enabled)
        burst.bad = max(burst.bad, bad)
        if not bad:
            for place in enabled:
                self.memory[place] = word[place - address]
        if last:
            self.writing.popleft()
            burst.due = max(burst.due, self.cycle + 1)
            self.responding[burst.id].append(burst)

    def _fault(self, places) -> int:
        if any(place in bad for bad in self.errors for place in places):
            return SLVERR
        beyond = (place >= len(self.memory) or any(place in hole for hole in self.missing) for place in places)
        return DECERR if any(beyond) else OKAY

    # Responses.

    def _offer(self, name: str, queues: dict[int, deque[Burst]], payload) -> None:
        """Offers the answer to a burst that is the oldest of its ID, unless one is offered already."""
        if self.offered[name]:
            return
        channel = self.channels[name]
        due = [queue[0] for queue in queues.values() if queue and queue[0].due <= self.cycle]
        if due and next(self.pace[name]):
            self.offered[name] = due[int(self.rng.integers(len(due)))]
            self.seen[f"{name} out of order"] += any(b.due < self.offered[name].due for b in due)
            values = payload(self.offered[name])
            self.seen[f"{name} error {values['resp']}"] += values["resp"] != OKAY
        else:
            values = {part: garbage(len(handle)) for part, handle in channel.payload.items()}
        channel.valid.value = self.offered[name] is not None
        for part, value in values.items():
            channel.payload[part].value = value

    def _response(self, burst: Burst) -> dict[str, int]:
        return {"id": burst.id, "resp": burst.bad}

    def _data(self, burst: Burst) -> dict[str, int]:
        address = burst.beats[0]
        bad = self._fault(range(address, address + self.bus_bytes))
        if bad:
            data = garbage(8 * self.bus_bytes)
        else:
            data = int.from_bytes(self.memory[address : address + self.bus_bytes], "little")
        return {"id": burst.id, "resp": bad, "last": len(burst.beats) == 1, "data": data}

    def _answered(self, name: str, burst: Burst) -> None:
        if name == "r":
            self.seen["interleaved read data"] += self.unfinished is not None and self.unfinished is not burst
            burst.beats.pop(0)
            self.unfinished = burst if burst.beats else None
            if burst.beats:
                return
        (self.reading if name == "r" else self.responding)[burst.id].popleft()


def number(value) -> int:
    """An int; unknown bits, which only bytes that are not enabled may have, are 1."""
    return int(value) if value.is_resolvable else int(re.sub("[^01]", "1", str(value)), 2)
