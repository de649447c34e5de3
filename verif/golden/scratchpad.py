"""A banked memory with arbitrated ports, written from docs/architecture.md ("Memories")."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """A port that moves ``bytes`` bytes a request, with ``parts`` write enables; an address counts units of that size."""

    name: str
    write: bool
    bytes: int
    parts: int = 1


@dataclass(frozen=True)
class Request:
    address: int
    data: bytes = b""
    mask: int = 1


def bank(word: int, banks: int) -> int:
    """XOR of the base-``banks`` digits of a word address (``banks`` a power of two)."""
    result = 0
    while word and banks > 1:
        word, digit = divmod(word, banks)
        result ^= digit
    return result


class Scratchpad:
    """``words`` words of ``word_bytes`` bytes; ``ports`` in order of priority. Bytes never written are None."""

    def __init__(self, words: int, word_bytes: int, banks: int, ports: list[Port], kind: str):
        self.word_bytes, self.banks, self.ports, self.kind = word_bytes, banks, ports, kind
        self.bytes: list[int | None] = [None] * (words * word_bytes)

    def word(self, port: Port, request: Request) -> int:
        return request.address * port.bytes // self.word_bytes

    def grants(self, requests: dict[str, Request]) -> set[str]:
        """The ports that are served in a cycle: a bank serves one read and one write, or (1rw) one of both."""
        taken, granted = set(), set()
        for port in self.ports:
            if port.name not in requests:
                continue
            place = (
                bank(self.word(port, requests[port.name]), self.banks),
                port.write if self.kind == "1r1w" else None,
            )
            if place not in taken:
                taken.add(place)
                granted.add(port.name)
        return granted

    def access(self, requests: dict[str, Request]) -> dict[str, list[int | None]]:
        """Carries out what was granted in one cycle; the data of each read. Bytes that are written meanwhile are None."""
        ports = {port.name: port for port in self.ports}
        written = {}
        for name, request in requests.items():
            port = ports[name]
            if port.write:
                part = port.bytes // port.parts
                for i, byte in enumerate(request.data):
                    if request.mask >> i // part & 1:
                        written[request.address * port.bytes + i] = byte
        read = {}
        for name, request in requests.items():
            port = ports[name]
            if not port.write:
                places = range(request.address * port.bytes, (request.address + 1) * port.bytes)
                read[name] = [None if place in written else self.bytes[place] for place in places]
        for place, byte in written.items():
            self.bytes[place] = byte
        return read
