"""The file of a compiled model, ``prog.gem``: versioned, checked by a checksum, with everything that running it takes.

    8 bytes   "GEMMARY\\0"
    u32       version of the format
    u32       identity of the config: a device of another one refuses the program
    u32       CRC-32 of all that follows
    u64       length of the header
    header    JSON: config, text of the model, steps with their tensors, layers and debug map; offsets into
    bytes     code, constants of external memory, arrays of the model

All little-endian. The debug map of a layer names the operators of the model that it comes from (``operators``), and the value in
the model's text that it computes.
"""

import dataclasses
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from xdsl.ir import SSAValue

from ... import __version__
from ...config import Config
from ...errors import InputError
from ...isa import DType
from ..ir.edges import Constant
from ..ir.model import Model, parse
from ..program import Layer, Program
from ..records import fields_of, is_record, make
from ..runs import Run
from .compiled import Compiled, Step
from .names import names_of
from .partition import Segment

MAGIC, VERSION = b"GEMMARY\0", 2
_HEAD = struct.Struct("<8sIIIQ")


def save_compiled(compiled: Compiled, path: Path) -> None:
    """InputError if the file cannot be written."""
    try:
        path.write_bytes(encode_compiled(compiled))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def load_compiled(path: Path) -> Compiled:
    """InputError for a file that is no program, is damaged, or is of another version."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    return decode_compiled(data, str(path))


def is_compiled(path: Path) -> bool:
    """Whether a file claims to be a program."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def encode_compiled(compiled: Compiled) -> bytes:
    blobs = _Blobs()
    model, ops = compiled.model, {op: i for i, op in enumerate(compiled.model.operations)}
    used = {op.resource.data for op in model.module.walk() if isinstance(op, Constant) and op.resource is not None}
    header = {
        "producer": f"gemmary {__version__}",
        "config": dataclasses.asdict(compiled.config),
        "text": model.text(),
        "arrays": {name: _array(model.context.arrays[name], blobs) for name in sorted(used)},
        "steps": [_step(compiled, step, ops, blobs) for step in compiled.steps],
    }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    body = struct.pack("<Q", len(encoded)) + encoded + bytes(blobs.data)
    head = _HEAD.pack(MAGIC, VERSION, compiled.config.identity, zlib.crc32(body), len(encoded))
    return head + body[8:]


def decode_compiled(data: bytes, name: str = "program") -> Compiled:
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        raise InputError(f"{name} is no compiled model: make one with gemmary compile")
    _, version, identity, checksum, length = _HEAD.unpack_from(data)
    if version != VERSION:
        raise InputError(
            f"{name} has version {version} of the format, this is gemmary for {VERSION}: compile the model again"
        )
    if zlib.crc32(data[_HEAD.size - 8 :]) != checksum:
        raise InputError(f"{name} is damaged: compile the model again")
    header = json.loads(data[_HEAD.size : _HEAD.size + length])
    blobs = memoryview(data)[_HEAD.size + length :]
    try:
        config = Config(**header["config"])
    except TypeError:
        raise InputError(f"{name} is for a config that this gemmary does not know: compile the model again") from None
    if config.identity != identity:
        raise InputError(f"{name} is for a config with another meaning than in this gemmary: compile the model again")
    model = parse(header["text"], {key: _read_array(each, blobs) for key, each in header["arrays"].items()}, name)
    steps = tuple(_read_step(config, model, each, blobs) for each in header["steps"])
    return Compiled(model, config, steps, names_of(model))


class _Blobs:
    def __init__(self):
        self.data = bytearray()

    def add(self, data: bytes) -> list[int]:
        """[offset, length]."""
        self.data += bytes(-len(self.data) % 8)
        start = len(self.data)
        self.data += data
        return [start, len(data)]


def _array(array: np.ndarray, blobs: _Blobs) -> dict:
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": blobs.add(array.tobytes())}


def _read_array(entry: dict, blobs: memoryview) -> np.ndarray:
    start, size = entry["data"]
    return np.frombuffer(blobs[start : start + size], np.dtype(entry["dtype"])).reshape(entry["shape"])


def _step(compiled: Compiled, step: Step, ops: dict, blobs: _Blobs) -> dict:
    values = {value: i for i, value in enumerate(_values(compiled.model))}
    entry = {
        "operations": [ops[op] for op in step.segment.ops],
        "inputs": [values[value] for value in step.segment.inputs],
        "outputs": [values[value] for value in step.segment.outputs],
    }
    program = step.program
    if program is None:
        return entry
    return entry | {
        "tensors": {name: _plain(tensor) for name, tensor in program.tensors.items()},
        "program_inputs": list(program.inputs),
        "program_outputs": list(program.outputs),
        "constants": [[address, *blobs.add(data)] for address, data in program.constants],
        "code_address": program.code_address,
        "lives": program.lives,
        "layers": [
            {
                "name": layer.name,
                "output": layer.output,
                "macs": layer.macs,
                "operators": [op.source for op in origins],
                "kinds": [op.name for op in origins],
                "runs": [[*blobs.add(run.code), run.expected_cycles] for run in layer.runs],
            }
            for layer, origins in step.layers
        ],
    }


def _read_step(config: Config, model: Model, entry: dict, blobs: memoryview) -> Step:
    ops, values = model.operations, _values(model)
    segment = Segment(
        "layers" in entry,
        tuple(ops[i] for i in entry["operations"]),
        tuple(values[i] for i in entry["inputs"]),
        tuple(values[i] for i in entry["outputs"]),
    )
    if not segment.on_device:
        return Step(segment, None)
    layers = tuple(
        Layer(
            each["name"],
            each["output"],
            each["macs"],
            tuple(Run(bytes(blobs[start : start + size]), cycles) for start, size, cycles in each["runs"]),
            len(each["operators"]),
        )
        for each in entry["layers"]
    )
    tensors = {name: _object(tensor) for name, tensor in entry["tensors"].items()}
    constants = tuple((address, bytes(blobs[start : start + size])) for address, start, size in entry["constants"])
    lives = {name: tuple(layers) for name, layers in entry["lives"].items()}
    sides = tuple(entry["program_inputs"]), tuple(entry["program_outputs"])
    return Step(segment, Program(config, layers, tensors, *sides, constants, entry["code_address"], lives))


def _values(model: Model) -> list[SSAValue]:
    return [*model.block.args, *(value for op in model.operations for value in op.results)]


def _plain(value):
    """A tensor's dataclass, or what its fields hold, as JSON."""
    if is_record(value):
        return {"kind": type(value).__name__} | {name: _plain(each) for name, each in fields_of(value).items()}
    if isinstance(value, DType):
        return {"dtype": value.name}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value


def _object(value):
    if isinstance(value, dict) and "kind" in value:
        return make(value["kind"], {name: _object(each) for name, each in value.items() if name != "kind"})
    if isinstance(value, dict):
        return DType[value["dtype"]]
    return tuple(_object(each) for each in value) if isinstance(value, list) else value
