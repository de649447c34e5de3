"""The attribute that holds a record of the code generator, and its text."""

from enum import Enum
from typing import Any

import numpy as np
from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from ...errors import InputError
from ..records import enum, fields_of, is_record, make

LITERALS = {"none": None, "true": True, "false": False}


@irdl_attr_definition
class Record(Data[Any]):
    """``Window(images = 1, height = 8, …)``: a record, or numbers, strings, names and lists of them. Arrays are
    ``array("dtype", [shape], [numbers])``; fields that have their default are left out."""

    name = "tile.record"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Any:
        with parser.in_angle_brackets():
            return parse_record(parser)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(text_of(self.data))


def text_of(value: Any) -> str:
    """As ``parse_record`` reads it."""
    match value:
        case None | True | False:
            return next(name for name, literal in LITERALS.items() if literal is value)
        case Enum():
            return f"{type(value).__name__}.{value.name}"
        case int() | np.integer():
            return str(int(value))
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case tuple() | list():
            return f"[{', '.join(map(text_of, value))}]"
        case np.ndarray():
            return f'array("{value.dtype.name}", {text_of(value.shape)}, {text_of(value.ravel().tolist())})'
        case _ if is_record(value):
            fields = ", ".join(f"{name} = {text_of(each)}" for name, each in fields_of(value).items())
            return f"{type(value).__name__}({fields})"
    raise InputError(f"a {type(value).__name__} has no text")


def parse_record(parser: AttrParser) -> Any:
    """What ``text_of`` wrote."""
    if (number := parser.parse_optional_integer(allow_boolean=False)) is not None:
        return number
    if (string := parser.parse_optional_str_literal()) is not None:
        return string
    if parser.parse_optional_punctuation("[") is not None:
        return tuple(_values(parser, "]"))
    name = parser.parse_identifier(" of a record")
    if name in LITERALS:
        return LITERALS[name]
    try:
        if "." in name:
            return enum(*name.split(".", 1))
        parser.parse_punctuation("(")
        if name == "array":
            dtype, shape, numbers = _values(parser, ")")
            return np.array(numbers, dtype).reshape(shape)
        return make(name, _fields(parser))
    except (InputError, ValueError) as error:
        parser.raise_error(str(error))


def _values(parser: AttrParser, end: str) -> list:
    values = []
    while parser.parse_optional_punctuation(end) is None:
        if values:
            parser.parse_punctuation(",")
        values.append(parse_record(parser))
    return values


def _fields(parser: AttrParser) -> dict[str, Any]:
    fields = {}
    while parser.parse_optional_punctuation(")") is None:
        if fields:
            parser.parse_punctuation(",")
        name = parser.parse_identifier()
        parser.parse_punctuation("=")
        fields[name] = parse_record(parser)
    return fields
