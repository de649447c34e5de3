"""How often each word of a tensor is taken, where it is loaded from external memory.

A convolution takes a word of its input once for each window and each column tile that it is in. That number is the same for all
channel words and images, and over the positions of an image it is that of the windows of its line times that of its column: a matrix
of rank 1, however the image is cut into blocks. In a matrix product it is the same everywhere. A word that is missed, or taken for another one,
breaks that. Strips have the windows themselves, one overlapping the next: how often each byte begins a granule of one is known. All are
taken equally often, but where a pool's windows overlap: then it is as in images.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from ...config import Config
from ...isa import DType, Opcode, Space
from ..strips import Strips
from ..tensor import Stack, Tensor
from .accesses import Access, Kind, granules
from .external import External, Place
from .finding import Finding
from .pattern import ADDRESSES, Dim, signed
from .stream import Stream
from .work import copies

OPERANDS = ("activation", "source", "residual")


class Inputs:
    """Takes loads to the activation memory, and what reads and overwrites it, in program order."""

    def __init__(self, config: Config, external: External, tensors: dict[str, Tensor | Stack | Strips]):
        self.config, self.external, self.tensors = config, external, tensors
        size = granules(config)[Space.ACTIVATION]
        # By granule: the external byte that it comes from, -1 for none; and how often each kind of operand has taken it since.
        self.origin = np.full(size, -1, np.int64)
        self.taken = {operand: np.zeros(size, np.int64) for operand in OPERANDS}
        self.totals: dict[tuple[str, str, str], np.ndarray] = {}  # by layer, tensor and operand, of each granule
        self.pooled: set[str] = set()  # layers with windows over sums

    def begin(self, stream: Stream) -> None:
        self.stream = stream
        loads = [group for group in stream.groups if group.opcode == Opcode.LOAD]
        self.copies = copies(loads[0], self.config.bus_bytes, (Space.ACTIVATION,))
        for group in stream.groups:
            if group.opcode == Opcode.VECTOR:
                windows = group.count_ky * group.count_kx > 1
                if (windows & (group.fields["source_dtype"] == DType.INT32)).any():
                    self.pooled.add(self._layer)

    @property
    def _layer(self) -> str:
        return self.stream.layers[0] if self.stream.layers else ""

    def take(self, index: int, accesses: list[Access]) -> None:
        for access in accesses:
            if access.space != Space.ACTIVATION:
                continue
            if access.kind == Kind.READ:
                self._read(access)
            else:
                self._write(index, access)

    def end(self) -> None:
        """The stream ends."""
        self._flush(np.arange(len(self.origin)))

    def finish(self) -> list[Finding]:
        """After the last stream of a program."""
        findings = []
        for (layer, name, operand), total in self.totals.items():
            if not self._right(layer, name, total):
                text = f"layer {layer!r} does not take the words of {name!r} evenly as operand {operand}: "
                fix = "correct an address or a count of what loads them, or reads them then"
                findings.append(Finding("uneven", (), text + fix))
        return findings

    def _right(self, layer: str, name: str, total: np.ndarray) -> bool:
        if isinstance(self.tensors[name], Strips):
            if layer in self.pooled:
                return _even_runs(self.tensors[name], self.config.bus_bytes, total)
            starts = _starts(self.tensors[name], self.config.bus_bytes)
            return bool((total * starts.max() == starts * total.max()).all())
        return any(all(map(_even, _images(view, total.reshape(-1)))) for view in self._views(name))

    def _views(self, name: str) -> list[Tensor | Stack]:
        """A tensor, and the same words in other shapes: a layer reads it in one of them."""
        tensor = self.tensors[name]
        if isinstance(tensor, Stack):
            return [tensor]
        views = [each for each in self.tensors.values() if isinstance(each, Tensor)]
        return [each for each in views if _lies(each) == _lies(tensor)]

    def _read(self, access: Access) -> None:
        if access.walk is None or access.operand not in self.taken:
            return
        words, counts = taken(*access.walk)
        where = ((words + access.address) % ADDRESSES)[:, None] * access.unit + np.arange(access.unit)
        if where.max() < len(self.origin) and (self.origin[where[:, 0]] >= 0).any():
            self.taken[access.operand][where] += counts[:, None]

    def _write(self, index: int, access: Access) -> None:
        where, source = self.copies.get(index, (None, None))
        if where is None:
            words = (access.pattern.all() + access.address) % ADDRESSES
            where = (words[:, None] * access.unit + np.arange(access.unit)).ravel()
        if where.max() < len(self.origin):
            self._flush(where)
            self.origin[where] = -1 if source is None else source

    def _flush(self, where: np.ndarray) -> None:
        """Adds what was taken of these granules to the totals of the tensors that they come from."""
        known = where[self.origin[where] >= 0]
        while len(known):
            origin = self.origin[known]
            place = self.external.at(int(origin[0]))
            inside = (origin >= place.address) & (origin < place.address + place.size)
            inside[0] = True  # in no place: that is a finding already
            if place.name in self.tensors:
                self._add(place, known[inside], origin[inside] - place.address)
            known = known[~inside]
        for taken in self.taken.values():
            taken[where] = 0

    def _add(self, place: Place, known: np.ndarray, offset: np.ndarray) -> None:
        layer = self._layer
        unit = 1 if isinstance(self.tensors[place.name], Strips) else self.config.bus_bytes
        granule, size = offset // unit, place.size // unit
        for operand, taken in self.taken.items():
            if taken[known].any():
                total = self.totals.setdefault((layer, place.name, operand), np.zeros(size, np.int64))
                np.add.at(total, np.clip(granule, 0, size - 1), taken[known])


def _lies(tensor: Tensor) -> tuple[int, ...]:
    """Where the words of a tensor are: tensors that are not alive at the same time may have no more than the address in common."""
    return tensor.address, tensor.positions, tensor.channels, tensor.word_bytes, tensor.plane_bytes


def _starts(strips: Strips, bus: int) -> np.ndarray:
    """By byte: in how many windows a granule begins there."""
    window, granules = strips.window, strips.words * strips.word // bus
    rows = np.arange(strips.shape[0] * window.out_height) * strips.row_bytes
    runs = np.arange(window.out_width // strips.share) * strips.share * strips.step_bytes
    first = np.array([strips.first_word(p) for p in range(strips.share)]) * strips.word
    starts = rows[:, None, None, None] + runs[:, None, None] + first[:, None] + np.arange(granules) * bus
    return np.bincount(starts.ravel(), minlength=strips.size)[: strips.size]


def _even_runs(strips: Strips, bus: int, total: np.ndarray) -> bool:
    """Whether runs are taken as the words of an image may be; their granules alike, and nothing beside them."""
    run = np.array([strips.first_word(p) for p in range(strips.share)])[:, None] * strips.word
    run = (run + np.arange(strips.words * strips.word // bus) * bus).ravel()
    firsts = np.count_nonzero(run == 0)
    images, height, width = strips.shape[0], strips.window.out_height, strips.window.out_width // strips.share
    taken, left = np.zeros((images * height, width), np.int64), total.copy()
    for line in range(images * height):
        for column in range(width):  # runs that begin before have been taken off
            start = line * strips.row_bytes + column * strips.share * strips.step_bytes
            taken[line, column] = left[start] // firsts
            np.subtract.at(left, start + run, taken[line, column])
    return not left.any() and bool(taken.any()) and _even(taken.reshape(1, 1, images, height, width))


def _images(tensor: Tensor | Stack, total: np.ndarray) -> Iterator[np.ndarray]:
    """What was taken of each tensor of a stack: [granule of a word, word, image, line, column]."""
    parts = [tensor] if isinstance(tensor, Tensor) else [tensor.part] * tensor.count
    for part, piece in zip(parts, np.split(total, len(parts))):
        every = piece.reshape(part.words, part.plane_bytes // part.word_bytes, -1)[:, : part.positions]
        image = part.shape[-3:-1] if len(part.shape) >= 3 else (1, 1)
        yield np.moveaxis(every, -1, 0).reshape(every.shape[-1], part.words, -1, *image)


def _even(taken: np.ndarray) -> bool:
    image = taken[0, 0, 0]
    if not (taken == image).all():
        return False
    line, column = np.unravel_index(image.argmax(), image.shape)
    return bool((image * image[line, column] == np.outer(image[:, column], image[line])).all())


@lru_cache(maxsize=1 << 12)
def taken(dims: tuple[Dim, ...], axes: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, np.ndarray]:
    """The words of ``pattern.walked``, and in how many iterations each is taken."""
    words, counts = np.zeros(1, np.int64), np.ones(1, np.int64)
    for count, stride in dims:
        words, counts = _combined(words, counts, np.arange(count) * signed(stride))
    for count, taps, stride, tap, start, step, dilation, limit in axes:
        i, k = np.arange(count)[:, None], np.arange(taps)
        coordinate = start + i * step + k * dilation
        inside = (coordinate >= 0) & (coordinate < limit)
        words, counts = _combined(words, counts, (i * signed(stride) + k * signed(tap))[inside])
    return words, counts


def _combined(words: np.ndarray, counts: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    more, often = np.unique(more, return_counts=True)
    if len(more) == 1:
        return words + more, counts * often
    sums = (words[:, None] + more).ravel()
    low = sums.min()
    total = np.bincount(sums - low, (counts[:, None] * often).ravel().astype(np.float64)).astype(np.int64)
    found = np.flatnonzero(total)
    return found + low, total[found]
