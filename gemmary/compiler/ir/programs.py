"""Programs between their two forms: ``tile.program`` in the IR, ``Program`` for a device."""

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, StringAttr
from xdsl.ir import Block, Region

from ...config import Config
from ...errors import InputError
from ...isa import encode_program
from .. import program as encoded
from ..layout import Layout
from ..runs import Run
from ..tiled import Emitted, TiledLayer
from . import instructions as isa
from .dialect import GraphContext
from .nests import nest_of
from .tile import ExternalConstant, ExternalTensor, Layer, Program


def program_of(
    context: GraphContext,
    label: str,
    layout: Layout,
    layers: Sequence[TiledLayer],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> Program:
    """The tile level of ``layers``; constants become arrays of ``context``."""
    body = [ExternalTensor.of(tensor, layout.lives.get(name)) for name, tensor in layout.tensors.items()]
    for number, (address, data) in enumerate(layout.memory.constants):
        name = f"{label}.constant{number}"
        context.arrays[name] = np.frombuffer(data, np.int8)
        properties = {"address": IntegerAttr(address, 64), "resource": StringAttr(name)}
        body.append(ExternalConstant.create(properties=properties))
    for layer in layers:
        nests = Region(Block([isa.run_of(p.operations) if isinstance(p, Emitted) else nest_of(p) for p in layer.parts]))
        numbers = {name: IntegerAttr(getattr(layer, name), 64) for name in ("macs", "operators")}
        texts = {"label": StringAttr(layer.name), "output": StringAttr(layer.output)}
        body.append(Layer.create(properties=texts | numbers, regions=[nests]))
    properties = {
        "label": StringAttr(label),
        "config": StringAttr(layout.config.name),
        "inputs": ArrayAttr([StringAttr(name) for name in inputs]),
        "outputs": ArrayAttr([StringAttr(name) for name in outputs]),
        "code": IntegerAttr(layout.memory.allocate(0), 64),
    }
    return Program.create(properties=properties, regions=[Region(Block(body))])


def encode(context: GraphContext, config: Config, program: Program) -> encoded.Program:
    """What a device runs, of a program whose runs are scheduled. InputError if they are not, or a constant is missing."""
    tensors, constants, layers, lives = {}, [], [], {}
    for op in program.body.block.ops:
        match op:
            case ExternalTensor():
                tensors[op.record.data.name] = op.record.data
                if op.live is not None:
                    lives[op.record.data.name] = tuple(op.live.get_values())
            case ExternalConstant():
                constants.append((op.address.value.data, _bytes(context, op.resource.data)))
            case Layer():
                runs = tuple(map(_run, op.body.block.ops))
                layers.append(
                    encoded.Layer(op.label.data, op.output.data, op.macs.value.data, runs, op.operators.value.data)
                )
    sides = (tuple(name.data for name in names) for names in (program.inputs, program.outputs))
    return encoded.Program(config, tuple(layers), tensors, *sides, tuple(constants), program.code.value.data, lives)


def drop_constants(context: GraphContext, program: Program) -> None:
    """Takes the arrays that ``program_of`` has put there out of ``context``."""
    for op in program.body.block.ops:
        if isinstance(op, ExternalConstant):
            context.arrays.pop(op.resource.data, None)


def _run(op) -> Run:
    if not isinstance(op, isa.Run) or op.cycles is None:
        raise InputError("a program is encoded from runs that are scheduled: pass expand, then schedule")
    return Run(encode_program(each.instruction for each in op.body.block.ops), op.cycles.value.data)


def _bytes(context: GraphContext, resource: str) -> bytes:
    if resource not in context.arrays:
        raise InputError(f"resource {resource!r} is missing: give the file of arrays that belongs to the text")
    return context.arrays[resource].tobytes()
