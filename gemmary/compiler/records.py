"""Records: the dataclasses of the code generator by name, so that texts and files can hold them."""

import dataclasses
from enum import Enum

from ..errors import InputError
from ..isa import DType, Reduction
from .chain.windows import WindowTensor
from .contraction import Contraction
from .elementwise import Elementwise
from .operands import KeyOperand, RowOperand
from .pooled import Pool
from .pooling import Pooling
from .requantization import Requantization, ResidualOperand
from .row_packed import PackedConvolution
from .row_packing import PaddedImages, RowPacking
from .strips import Strips
from .tensor import Slice, Stack, Tensor, Turned
from .weights import WeightTensor
from .window import Window

RECORDS = {
    kind.__name__: kind
    for kind in (
        Tensor, Stack, Turned, Slice, WeightTensor, PaddedImages, Strips, WindowTensor, Window, Pool, KeyOperand, RowOperand, RowPacking,
        Requantization, ResidualOperand, Contraction, Elementwise, Pooling, PackedConvolution,
    )
}  # fmt: skip

ENUMS = {kind.__name__: kind for kind in (DType, Reduction)}


def is_record(value) -> bool:
    return type(value).__name__ in RECORDS


def fields_of(record) -> dict:
    """Fields by name; those that have their default are left out."""
    fields = {
        field.name: (getattr(record, field.name), field.default) for field in dataclasses.fields(record) if field.init
    }
    return {name: value for name, (value, default) in fields.items() if not _same(value, default)}


def make(name: str, fields: dict):
    """The record ``name``. InputError for an unknown one and for fields that it does not take."""
    if name not in RECORDS:
        raise InputError(f"unknown record {name}: there are {', '.join(RECORDS)}")
    try:
        return RECORDS[name](**fields)
    except TypeError as error:
        raise InputError(f"{name}: {str(error).rpartition('__init__() ')[2]}") from None


def enum(name: str, member: str) -> Enum:
    """InputError for one that there is not."""
    try:
        return ENUMS[name][member]
    except KeyError:
        raise InputError(f"unknown name {name}.{member}") from None


def _same(value, default) -> bool:
    return type(value) is type(default) and (value is default or isinstance(value, int | str) and value == default)
