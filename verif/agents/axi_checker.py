"""A passive checker of AXI4 and AXI4-Lite: it watches every signal of a bus in every cycle and drives none.

Rules, by the name that a violation carries:

| rule | what must hold |
|---|---|
| RESET_VALID | no valid in a cycle of reset after the first |
| VALID_X | valid and ready are 0 or 1 after reset |
| PAYLOAD_X | what goes with a valid is 0s and 1s, but for bytes of write data that are not enabled |
| VALID_DROPPED | valid stays until ready |
| PAYLOAD_CHANGED | and so does what goes with it |
| BURST | type is FIXED, INCR or WRAP; FIXED has at most 16 beats; WRAP 2, 4, 8 or 16 and an aligned address |
| SIZE | a beat is not wider than the bus |
| BOUNDARY | no INCR burst crosses 4 KiB |
| WLAST | with the last beat of a burst and with no other |
| STROBE | no byte outside the beat is enabled |
| B_EARLY | a write response comes after the last beat of its burst and after its address |
| B_UNKNOWN | and only for a burst with that ID |
| R_UNKNOWN | read data come only for an outstanding burst with that ID |
| RLAST | with the last beat of a burst and with no other |
| RESPONSE | no EXOKAY, as no access is exclusive |
| OUTSTANDING | no more bursts in flight, of each direction, than allowed |
| UNFINISHED | nothing is outstanding at the end |

Bursts of one ID are answered in order: each response belongs to the oldest one. What the data must be is not checked.
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass

import cocotb
from cocotb.triggers import RisingEdge
from cocotb.types import LogicArray

CHANNELS = ("aw", "w", "b", "ar", "r")
PAYLOADS = {
    "aw": ["addr", "id", "len", "size", "burst", "lock", "cache", "prot", "qos", "region"],
    "w": ["data", "strb", "last"],
    "b": ["id", "resp"],
    "ar": ["addr", "id", "len", "size", "burst", "lock", "cache", "prot", "qos", "region"],
    "r": ["data", "id", "resp", "last"],
}
FIXED, INCR, WRAP = 0, 1, 2
EXOKAY = 1
BLOCK = 4096


class AxiViolation(AssertionError):
    """What the checker found."""


@dataclass
class Burst:
    """A burst whose address has been seen; ``beats`` says how many data beats have."""

    id: int
    address: int
    length: int
    size: int
    type: int
    address_cycle: int
    beats: int = 0


class Channel:
    """The handles of one channel, and the transfer that waits for its ready."""

    def __init__(self, dut, prefix: str, name: str):
        self.name = name
        self.valid, self.ready = (getattr(dut, f"{prefix}_{name}{part}") for part in ("valid", "ready"))
        found = {part: getattr(dut, f"{prefix}_{name}{part}", None) for part in PAYLOADS[name]}
        self.payload = {part: handle for part, handle in found.items() if handle is not None}
        self.waiting: dict | None = None


class AxiChecker:
    """Watches the bus ``prefix`` of ``dut``: ``m_axi`` for ``m_axi_awvalid`` and so on. Without ``awlen`` it is AXI4-Lite.

    ``reset`` is active high, or low with ``reset_active=0``. ``violations`` collects (rule, sentence); unless ``collect``,
    the first cycle with any ends the test as failed. ``check()`` at the end fails for what is left. ``bursts`` counts
    addresses, ``seen`` the write bursts whose address or whose data came first.
    """

    def __init__(self, dut, prefix, clock, reset=None, reset_active=1, outstanding=None, collect=False):
        self.channels = {name: Channel(dut, prefix, name) for name in CHANNELS}
        self.prefix, self.reset, self.reset_active = prefix, reset, reset_active
        self.edge, self.outstanding, self.collect = RisingEdge(clock), outstanding, collect
        self.lite = not hasattr(dut, f"{prefix}_awlen")
        self.bus_bytes = len(self.channels["w"].payload["data"]) // 8
        self.violations: list[tuple[str, str]] = []
        self.bursts = {"aw": 0, "ar": 0}
        self.seen: Counter[str] = Counter()
        self.cycle = 0
        self._clear()
        self.task = cocotb.start_soon(self._run())

    def check(self) -> None:
        """Fails unless everything was right and has come to its end."""
        if self.reads and any(self.reads.values()):
            self._violation("UNFINISHED", f"read bursts wait for data: {dict(self.reads)}")
        if self.writes or self.data or any(self.responses.values()):
            self._violation("UNFINISHED", "write bursts wait for data or response")
        for channel in self.channels.values():
            if channel.waiting is not None:
                self._violation("UNFINISHED", f"{channel.name} waits for ready")
        self._raise()

    def _raise(self) -> None:
        if self.violations and not self.collect:
            raise AxiViolation("\n".join(f"{rule}: {text}" for rule, text in self.violations))

    def _violation(self, rule: str, text: str) -> None:
        self.violations.append((rule, f"cycle {self.cycle}, {self.prefix}: {text}"))

    def _clear(self) -> None:
        self.reads: dict[int, deque[Burst]] = defaultdict(deque)
        self.writes: deque[Burst] = deque()  # addresses seen, last beat not
        self.data: list[tuple[int, bool]] = []  # (strobe, last) of beats whose address has not been seen
        self.responses: dict[int, int] = defaultdict(int)  # by ID: bursts that wait for their response
        self.in_reset = 0
        for channel in self.channels.values():
            channel.waiting = None

    async def _run(self):
        while True:
            await self.edge
            self.cycle += 1
            if self.reset is not None and self.reset.value == self.reset_active:
                self._during_reset()
            else:
                self.in_reset = 0
                self._step()
            self._raise()

    def _during_reset(self) -> None:
        seen = self.in_reset
        self._clear()
        self.in_reset = seen + 1
        if seen:
            for channel in self.channels.values():
                if channel.valid.value != 0:
                    self._violation("RESET_VALID", f"{channel.name}valid is not 0 in reset")

    def _step(self) -> None:
        transfers = {name: self._handshake(channel) for name, channel in self.channels.items()}
        # A response answers what was there before its own cycle.
        for name, act in (("b", self._b), ("r", self._r), ("aw", self._aw), ("ar", self._ar), ("w", self._w)):
            if (transfer := transfers[name]) is not None:
                act(transfer)

    def _handshake(self, channel: Channel) -> dict | None:
        """Checks the rules of one channel; the payload if there was a transfer."""
        valid, ready = channel.valid.value, channel.ready.value
        if not (valid.is_resolvable and ready.is_resolvable):
            self._violation("VALID_X", f"{channel.name}valid is {valid}, {channel.name}ready is {ready}")
            return None
        if not valid:
            if channel.waiting is not None:
                self._violation("VALID_DROPPED", f"{channel.name}valid fell before {channel.name}ready")
            channel.waiting = None
            return None
        payload = {part: handle.value for part, handle in channel.payload.items()}
        if channel.name == "w" and not payload["data"].is_resolvable:
            payload["data"] = enabled_bytes(payload["data"], payload.get("strb"))
        unknown = [part for part, value in payload.items() if not value.is_resolvable]
        if unknown:
            self._violation("PAYLOAD_X", f"{channel.name}{unknown[0]} is {payload[unknown[0]]}")
        if channel.waiting is not None and channel.waiting != payload:
            changed = [part for part, value in payload.items() if channel.waiting[part] != value]
            self._violation("PAYLOAD_CHANGED", f"{channel.name}{changed[0]} changed before {channel.name}ready")
        channel.waiting = None if ready else payload
        if not ready or unknown:
            return None
        return {part: int(value) for part, value in payload.items()}

    def _burst(self, name: str, payload: dict) -> Burst:
        """The burst of an address, checked."""
        full = self.bus_bytes.bit_length() - 1
        fields = (payload.get(part, default) for part, default in (("len", 0), ("size", full), ("burst", INCR)))
        length, size, kind = fields
        burst = Burst(payload.get("id", 0), payload["addr"], length + 1, size, kind, self.cycle)
        beat = 1 << size
        self.bursts[name] += 1
        if beat > self.bus_bytes:
            self._violation("SIZE", f"{name}: beats of {beat} bytes on a bus of {self.bus_bytes}")
        wrap = burst.length in (2, 4, 8, 16) and burst.address % beat == 0
        if kind > WRAP or (kind == FIXED and burst.length > 16) or (kind == WRAP and not wrap):
            self._violation(
                "BURST", f"{name}: type {kind}, {burst.length} beats of {beat} bytes from {burst.address:#x}"
            )
        end = burst.address // beat * beat + beat * burst.length
        if kind == INCR and burst.address // BLOCK != (end - 1) // BLOCK:
            self._violation(
                "BOUNDARY", f"{name}: {burst.length} beats of {beat} bytes from {burst.address:#x} cross 4 KiB"
            )
        return burst

    def _aw(self, payload: dict) -> None:
        self.writes.append(self._burst("aw", payload))
        self._limit("aw", len(self.writes) + sum(self.responses.values()))
        self.seen["data first"] += bool(self.data)
        beats, self.data = self.data, []
        for strobe, last in beats:
            self._beat(strobe, last)

    def _ar(self, payload: dict) -> None:
        burst = self._burst("ar", payload)
        self.reads[burst.id].append(burst)
        self._limit("ar", sum(map(len, self.reads.values())))

    def _limit(self, name: str, count: int) -> None:
        if self.outstanding is not None and count > self.outstanding:
            self._violation("OUTSTANDING", f"{name}: {count} bursts in flight")

    def _w(self, payload: dict) -> None:
        self._beat(payload.get("strb", (1 << self.bus_bytes) - 1), bool(payload.get("last", 1)))

    def _beat(self, strobe: int, last: bool) -> None:
        """A beat of write data: of the oldest burst that lacks some, or of one whose address is still to come."""
        if not self.writes:
            self.data.append((strobe, last))
            return
        burst = self.writes[0]
        self.seen["address first"] += burst.address_cycle < self.cycle and burst.beats == 0
        if strobe & ~self._lanes(burst):
            self._violation("STROBE", f"strobe {strobe:#b} enables bytes outside beat {burst.beats} of {burst}")
        burst.beats += 1
        if last != (burst.beats == burst.length):
            self._violation("WLAST", f"wlast is {int(last)} with beat {burst.beats} of {burst.length}")
        if last or burst.beats == burst.length:
            self.writes.popleft()
            self.responses[burst.id] += 1

    def _lanes(self, burst: Burst) -> int:
        """The bytes of the bus that the next beat of ``burst`` may use."""
        beat = 1 << burst.size
        aligned = burst.address // beat * beat
        if burst.type == FIXED:
            first, start = aligned, burst.address
        else:
            first = aligned + burst.beats * beat
            if burst.type == WRAP:
                total = beat * burst.length
                first = aligned // total * total + (first - aligned // total * total) % total
            start = burst.address if burst.beats == 0 else first
        lane, end = start % self.bus_bytes, first % self.bus_bytes + beat
        return (1 << end) - (1 << lane)

    def _b(self, payload: dict) -> None:
        self._response("b", payload)
        burst = payload.get("id", 0)
        if self.responses[burst]:
            self.responses[burst] -= 1
        elif any(write.id == burst for write in self.writes) or self.data:
            self._violation("B_EARLY", f"response to ID {burst} before its last data or its address")
        else:
            self._violation("B_UNKNOWN", f"response to ID {burst}, which has nothing outstanding")

    def _r(self, payload: dict) -> None:
        self._response("r", payload)
        queue = self.reads[payload.get("id", 0)]
        if not queue:
            self._violation("R_UNKNOWN", f"data for ID {payload.get('id', 0)}, which has nothing outstanding")
            return
        burst = queue[0]
        burst.beats += 1
        last = bool(payload.get("last", burst.beats == burst.length))
        if last != (burst.beats == burst.length):
            self._violation("RLAST", f"rlast is {int(last)} with beat {burst.beats} of {burst.length}")
        if last or burst.beats == burst.length:
            queue.popleft()

    def _response(self, name: str, payload: dict) -> None:
        if payload["resp"] == EXOKAY:
            self._violation("RESPONSE", f"{name}resp is EXOKAY")


def enabled_bytes(data: LogicArray, strobe: LogicArray | None) -> LogicArray:
    """``data`` with 0 for every byte that is not enabled."""
    bits, strobes = str(data), str(strobe) if strobe is not None else "1" * (len(data) // 8)
    return LogicArray("".join(bits[8 * i : 8 * i + 8] if on != "0" else "0" * 8 for i, on in enumerate(strobes)))
