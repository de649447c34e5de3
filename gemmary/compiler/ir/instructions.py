"""The dialect ``isa``: instructions as the machine takes them, in runs.

    isa.run {
      %0 = isa.load {space = 1, length = 256, …}
      %1 = isa.matmul after(%0) {…}

Before ``schedule`` they stand in the order of their meaning, and each comes ``after`` the tokens of those it must wait for. Behind it
they stand in the order of the stream, and the fields ``wait`` and ``signal`` have the semaphores.
"""

from typing import ClassVar

from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Block, Data, Dialect, Region
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    opt_result_def,
    prop_def,
    var_operand_def,
)
from xdsl.parser import AttrParser, Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from ...errors import InputError
from ...isa import CAUSE_DOC, Engine, Instruction, Opcode, check
from ..builder import Operation as Emitted
from .tile import TOKEN, Container, Token, number, parse_after, print_after

HIDDEN = ("opcode", "version")


@irdl_attr_definition
class Fields(Data[Instruction]):
    """The fields of an instruction; those that are 0 are left out."""

    name = "isa.fields"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Instruction:
        with parser.in_angle_brackets():
            return _parse_fields(parser, Opcode[parser.parse_identifier().upper()])

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"{self.data.opcode.name.lower()} {_text(self.data)}")


def _text(instruction: Instruction) -> str:
    values = instruction.values
    shown = [f.name for f in instruction.format.fields if values.get(f.name) and f.name not in HIDDEN]
    return f"{{{', '.join(f'{name} = {values[name]}' for name in shown)}}}"


def _parse_fields(parser: AttrParser, opcode: Opcode) -> Instruction:
    def field() -> tuple[str, int]:
        name = parser.parse_identifier()
        parser.parse_punctuation("=")
        return name, parser.parse_integer(allow_boolean=False)

    fields = dict(parser.parse_comma_separated_list(parser.Delimiter.BRACES, field))
    try:
        return Instruction(opcode, **fields)
    except InputError as error:
        parser.raise_error(str(error))


class InstructionOperation(IRDLOperation):
    """One instruction; its ``token``, before ``schedule``, is what others come after."""

    fields = prop_def(Fields)
    after = var_operand_def(Token)
    token = opt_result_def(Token)

    OPCODE: ClassVar[Opcode]

    @property
    def instruction(self) -> Instruction:
        return self.fields.data

    @property
    def engine(self) -> Engine:
        return self.instruction.engine

    @classmethod
    def parse(cls, parser: Parser) -> "InstructionOperation":
        scheduled = parser.parse_optional_keyword("scheduled") is not None
        after = parse_after(parser)
        fields = Fields(_parse_fields(parser, cls.OPCODE))
        results = [] if scheduled else [TOKEN]
        return cls.create(operands=after, result_types=results, properties={"fields": fields})

    def print(self, printer: Printer) -> None:
        if self.token is None:
            printer.print_string(" scheduled")
        print_after(printer, self.after)
        printer.print_string(f" {_text(self.instruction)}")

    def verify_(self) -> None:
        if self.instruction.opcode != self.OPCODE:
            raise VerifyException(f"{self.name}: the fields are those of a {self.instruction.opcode.name}")
        if cause := check(self.instruction.encode()):
            raise VerifyException(f"{self.name}: {CAUSE_DOC[cause]}")


@irdl_op_definition
class LoadInstruction(InstructionOperation):
    name = "isa.load"
    OPCODE: ClassVar[Opcode] = Opcode.LOAD


@irdl_op_definition
class MatmulInstruction(InstructionOperation):
    name = "isa.matmul"
    OPCODE: ClassVar[Opcode] = Opcode.MATMUL


@irdl_op_definition
class VectorInstruction(InstructionOperation):
    name = "isa.vector"
    OPCODE: ClassVar[Opcode] = Opcode.VECTOR


@irdl_op_definition
class StoreInstruction(InstructionOperation):
    name = "isa.store"
    OPCODE: ClassVar[Opcode] = Opcode.STORE


OPERATIONS = {each.OPCODE: each for each in (LoadInstruction, MatmulInstruction, VectorInstruction, StoreInstruction)}


@irdl_op_definition
class Run(Container):
    """Instructions that one start of the machine executes; ``cycles`` are those that the cycle model expects, once scheduled."""

    name = "isa.run"
    cycles = opt_prop_def(IntegerAttr)

    @classmethod
    def parse(cls, parser: Parser) -> "Run":
        properties = {}
        if parser.parse_optional_keyword("cycles") is not None:
            properties["cycles"] = number(parser)
        return cls.create(properties=properties, regions=[cls.parse_body(parser)])

    def print(self, printer: Printer) -> None:
        if self.cycles is not None:
            printer.print_string(f" cycles {self.cycles.value.data}")
        self.print_body(printer)

    def verify_(self) -> None:
        scheduled = {op.token is None for op in self.body.block.ops}
        if len(scheduled) > 1 or not all(isinstance(op, InstructionOperation) for op in self.body.block.ops):
            raise VerifyException("isa.run: all instructions must be scheduled, or none")
        if (self.cycles is not None) != (True in scheduled):
            raise VerifyException("isa.run: cycles belong to a run that is scheduled")


def run_of(operations: list[Emitted]) -> Run:
    """The run of these instructions, which wait for tokens."""
    made, tokens = [], {}
    for each in operations:
        mine = tokens.setdefault(each.engine, [])
        after = [tokens[engine][count - 1] for engine, count in enumerate(each.after) if count]
        op = OPERATIONS[each.instruction.opcode].create(
            operands=after, result_types=[TOKEN], properties={"fields": Fields(each.instruction)}
        )
        mine.append(op.token)
        made.append(op)
    return Run.create(regions=[Region(Block(made))])


Isa = Dialect("isa", [Run, *OPERATIONS.values()], [Fields])
