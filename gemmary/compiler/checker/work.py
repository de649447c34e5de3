"""How much each constant is worked with: all of its weights with equally many positions, all of its parameters too.

A layer multiplies every weight with every position of its result once, and requantizes every position once. So a weight, or a row of
parameters, that meets fewer positions than its neighbours in memory, or more, shows an address or a count that is wrong, wherever the
instruction is.
"""

from functools import lru_cache

import numpy as np

from ...config import Config
from ...isa import FORMATS, Opcode, Space
from .accesses import Access, granules
from .external import External, Use
from .finding import Finding
from .memory import Granules, get
from .pattern import ADDRESSES, signed
from .stream import Group, Stream

TILE_LOOPS = FORMATS[Opcode.MATMUL].walk("weight").loops  # they come first of all its loops
SPACES = (Space.WEIGHT, Space.PARAMETER)


class Work:
    """Takes loads of constants, and what reads them, in program order."""

    def __init__(self, config: Config, external: External):
        self.config, self.external = config, external
        sizes = granules(config)
        # By granule: the external byte that it comes from, -1 for none; and with how many positions it has been used since.
        self.origin = {space: np.full(sizes[space], -1, np.int64) for space in SPACES}
        self.uses = {space: np.zeros(sizes[space], np.int64) for space in SPACES}
        self.totals: dict[int, np.ndarray] = {}  # by address of the constant

    def begin(self, stream: Stream) -> None:
        self.copies, self.positions = {}, {}
        for group in stream.groups:
            if group.opcode == Opcode.LOAD:
                self.copies = copies(group, self.config.bus_bytes, SPACES)
            elif group.opcode == Opcode.MATMUL:
                self.positions |= _matmul_positions(group)
            elif group.opcode == Opcode.VECTOR:
                self.positions |= _vector_positions(group)

    def load(self, index: int, space: Space) -> None:
        """Instruction ``index`` loads to ``space``, if anything to one of SPACES."""
        if space not in SPACES:
            return
        where, source = self.copies[index]
        if where.max() >= len(self.origin[space]):
            return  # outside of the memory: that is a finding already
        self._flush(space, where)
        self.origin[space][where] = -1 if source is None else source

    def read(self, index: int, access: Access, place: Granules) -> None:
        """``access`` is a read of instruction ``index``, of the granules ``place``."""
        if access.space in SPACES and index in self.positions:
            view = get(self.uses[access.space], place)
            view += self.positions[index]
            if isinstance(place, np.ndarray):
                self.uses[access.space][place] = view

    def finish(self) -> list[Finding]:
        """After the last stream of a program."""
        for space in SPACES:
            self._flush(space, np.arange(len(self.origin[space])))
        findings = []
        for address, total in self.totals.items():
            if self.config.columns < self.config.rows:
                total = np.where(total, total, total.max())  # a last word may have columns that nobody needs
            values, counts = np.unique(total, return_counts=True)
            if len(values) > 1 and values[-1]:
                usual = int(values[counts.argmax()])
                odd = int(np.argmax(total != usual))
                text = f"what lies at {address + odd * self.config.bus_bytes:#x} of external memory is used with {total[odd]} positions, most of "
                text += f"that constant with {usual}: "
                findings.append(
                    Finding("uneven", (), text + "correct an address or a count of what loads it, or reads it then")
                )
        return findings

    def _flush(self, space: Space, where: np.ndarray) -> None:
        """Adds the uses of granules to the totals of the constants that they come from."""
        origin, uses = self.origin[space][where], self.uses[space][where]
        known = origin >= 0
        origin, uses = origin[known], uses[known]
        self.uses[space][where] = 0
        while len(origin):
            place = self.external.at(int(origin[0]))
            inside = (origin >= place.address) & (origin < place.address + place.size)
            if not inside[0]:  # in no place (a finding already), or in one of an earlier layer, which is no constant
                inside = origin == origin[0]
            elif place.use == Use.SOURCE and place.constant:
                size = -(-place.size // self.config.bus_bytes)
                total = self.totals.setdefault(place.address, np.zeros(size, np.int64))
                granule = (origin[inside] - place.address) // self.config.bus_bytes
                np.add.at(total, np.clip(granule, 0, size - 1), uses[inside])
            origin, uses = origin[~inside], uses[~inside]


def _matmul_positions(group: Group) -> dict[int, int]:
    """With how many positions each matmul meets a tile: those that write a row, once more for each iteration that comes back to it."""
    y, x, window = group.count_y, group.count_x, group.window
    lines = y - group.window_lead
    lines = np.where(group.window_skip_y, (lines + 1) // 2, lines)
    places = np.where(group.window_skip_x, (x - 1) // 2, x - 2)
    positions = np.where(window, np.maximum(lines, 0) * np.maximum(places, 0), y * x)
    for loop, stride in zip(TILE_LOOPS, group.strides("weight")):
        count = group.fields[f"count_{loop}"]
        positions = positions * np.where(stride == 0, count, 1)
    return dict(zip(group.indices.tolist(), positions.tolist()))


def _vector_positions(group: Group) -> dict[int, int]:
    """How many rows each vector instruction makes with a row of parameters."""
    stride, *_ = group.strides("parameter")
    positions = group.count_y * group.count_x * np.where(stride == 0, group.count_n, 1)
    return dict(zip(group.indices.tolist(), positions.tolist()))


def copies(group: Group, bus: int, spaces: tuple[Space, ...]) -> dict[int, tuple]:
    """Of each load to ``spaces`` the granules that it writes, and the external byte of each; None for those that are not just copied."""
    onchip, external = ([s.tolist() for s in group.strides(walk)] for walk in ("onchip", "external"))
    turned = [s.tolist() for s in group.strides("onchip", ("x",))]
    result = {}
    for i in np.flatnonzero(np.isin(group.space, spaces)).tolist():
        counts = tuple(int(group.fields[f"count_{loop}"][i]) for loop in "zyx")
        address, length = int(group.onchip_address[i]), int(group.length[i])
        whole = not group.fill_only[i] and not group.transpose[i]
        if group.transpose[i] and not group.fill_only[i]:
            dims = (*zip(counts[:2], (signed(s[i]) for s in turned[:2])), (length, int(group.onchip_step_x[i])))
        else:
            dims = (*zip(counts, (signed(s[i]) for s in onchip)), (-(-length // bus), 1))
        where = (_sums(dims) + address) % ADDRESSES
        source = None
        if whole:
            dims = (*zip(counts, (s[i] for s in external)), (-(-length // bus), bus))
            source = _sums(dims) + int(group.external_address[i])
        result[int(group.indices[i])] = where, source
    return result


@lru_cache(maxsize=1 << 10)
def _sums(dims: tuple[tuple[int, int], ...]) -> np.ndarray:
    every = np.zeros(1, np.int64)
    for count, stride in dims:
        every = (every[:, None] + np.arange(count) * stride).ravel()
    return every
