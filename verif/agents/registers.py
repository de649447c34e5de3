"""A subordinate of a register bus: words at any address, and addresses that answer an error."""

from collections.abc import Callable

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from hdl.interfaces import RegisterBus
from verif import bench

from .pace import paces

_BUS = RegisterBus()
REQUEST, RESPONSE = (_BUS.members[name].signature.members["payload"].shape for name in ("request", "response"))


class Registers:
    """Answers bus ``name`` of ``dut`` with what ``access(address, data)`` says (``data`` None: a read): (data, error).

    Pauses at random. Fails the test when a request changes before it is taken or a second one comes before its answer.
    ``accesses``: (address, write, data or None) of each request.
    """

    def __init__(self, dut, name: str, edge, rng: np.random.Generator, access: Callable, pace=None):
        self.request, self.response = (
            [getattr(dut, f"{name}__{channel}__{part}") for part in ("valid", "ready", "payload")]
            for channel in ("request", "response")
        )
        self.edge, self.access, self.pace = edge, access, pace or paces(rng)
        self.accesses: list[tuple[int, bool, int | None]] = []
        self.task = cocotb.start_soon(self._run())

    async def _run(self):
        while True:
            request = await self._take()
            data = request["data"] if request["write"] else None
            assert not request["write"] or request["strobe"] == 0b1111
            self.accesses.append((request["address"], bool(request["write"]), data))
            found, error = self.access(request["address"], data)
            await self._answer(bench.pack(RESPONSE, {"data": found, "error": int(error)}))

    async def _take(self) -> dict:
        valid, ready, payload = self.request
        seen = None
        if valid.value != 1:
            await RisingEdge(valid)  # a host link does nothing in most cycles
        while True:
            goes = next(self.pace)
            ready.value = goes
            await self.edge
            if valid.value == 1:
                assert seen in (None, payload.value), "the request changed before it was taken"
                seen = payload.value
                if goes:
                    ready.value = 0
                    return bench.unpack(REQUEST, seen)
            else:
                assert seen is None, "the request was withdrawn"

    async def _answer(self, bits: int) -> None:
        valid, ready, payload = self.response
        while not next(self.pace):
            await self.edge
            assert self.request[0].value == 0, "a second request before the answer to the first"
        valid.value, payload.value = 1, bits
        while True:
            await self.edge
            if ready.value == 1:
                valid.value = 0
                return
