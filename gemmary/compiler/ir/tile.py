"""The dialect ``tile``: programs of tiled operators, with buffers on the chip, loops over parts, and steps that wait for tokens.

    tile.program "main.0" for "base" inputs ["x"] outputs ["y"] code 8192 {
      tile.tensor <Tensor(name = "x", …)>
      tile.constant 4096 "main.0.constant"
      tile.layer "conv" output "y" macs 4608 {
        tile.nest "contraction" <[Contraction(…)]> {
          %0 = tile.buffer "source" activation 2 x 64 at 0
          …
          %4 = tile.for "row" [7 of 4, 3] {
            %5 = tile.load(%0)
            …

A layer holds nests, and after ``expand`` the runs of instructions that they became (dialect ``isa``). Operations are records: what
is computed, with places in external memory; loops say in which parts and order, buffers where on the chip.
"""

from collections.abc import Sequence
from itertools import groupby

from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, IntegerAttr, StringAttr, i64
from xdsl.ir import Block, Dialect, ParametrizedAttribute, Region, SSAValue, TypeAttribute
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import NoTerminator
from xdsl.utils.exceptions import VerifyException

from ...isa import Space
from ..loops import Loop
from ..tiled import Buffer, Tiled
from .records import Record, parse_record, text_of


@irdl_attr_definition
class Token(ParametrizedAttribute, TypeAttribute):
    """Exists when a step, or all iterations of a loop, have ended."""

    name = "tile.token"


@irdl_attr_definition
class OnChip(ParametrizedAttribute, TypeAttribute):
    """A buffer on the chip."""

    name = "tile.on_chip"


TOKEN, ON_CHIP = Token(), OnChip()


def string(parser: Parser) -> StringAttr:
    return StringAttr(parser.parse_str_literal())


def number(parser: Parser) -> IntegerAttr:
    return IntegerAttr(parser.parse_integer(allow_boolean=False), 64)


def strings(parser: Parser) -> ArrayAttr:
    return ArrayAttr(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: string(parser)))


def quoted(text: StringAttr) -> str:
    return text_of(text.data)


def listed(texts: ArrayAttr) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def parse_values(parser: Parser, kind, delimiter) -> list[SSAValue]:
    operands = parser.parse_optional_comma_separated_list(delimiter, parser.parse_unresolved_operand) or []
    return [parser.resolve_operand(operand, kind) for operand in operands]


def parse_after(parser: Parser) -> list[SSAValue]:
    """Tokens behind the word ``after``, if it is there."""
    if parser.parse_optional_keyword("after") is None:
        return []
    return parse_values(parser, TOKEN, parser.Delimiter.PAREN)


def print_after(printer: Printer, tokens: Sequence[SSAValue]) -> None:
    if tokens:
        printer.print_string(" after(")
        printer.print_list(tokens, printer.print_ssa_value)
        printer.print_string(")")


class Container(IRDLOperation):
    """Has a body of operations."""

    body = region_def("single_block")
    traits = traits_def(NoTerminator())

    @staticmethod
    def parse_body(parser: Parser) -> Region:
        region = parser.parse_region()
        return region if region.blocks else Region(Block())

    def print_body(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False)


@irdl_op_definition
class Program(Container):
    """Layers in order, over one image of external memory (compiler/program.py); ``config`` names what it is for."""

    name = "tile.program"
    label = prop_def(StringAttr)
    config = prop_def(StringAttr)
    inputs = prop_def(ArrayAttr)
    outputs = prop_def(ArrayAttr)
    code = prop_def(IntegerAttr)

    @classmethod
    def parse(cls, parser: Parser) -> "Program":
        properties = {"label": string(parser)}
        for keyword, name, read in (
            ("for", "config", string),
            ("inputs", "inputs", strings),
            ("outputs", "outputs", strings),
            ("code", "code", number),
        ):
            parser.parse_keyword(keyword)
            properties[name] = read(parser)
        return cls.create(properties=properties, regions=[cls.parse_body(parser)])

    def print(self, printer: Printer) -> None:
        sides = f"inputs {listed(self.inputs)} outputs {listed(self.outputs)} code {self.code.value.data}"
        printer.print_string(f" {quoted(self.label)} for {quoted(self.config)} {sides}")
        self.print_body(printer)

    def layers(self) -> list["Layer"]:
        return [op for op in self.body.block.ops if isinstance(op, Layer)]


@irdl_op_definition
class ExternalTensor(IRDLOperation):
    """A tensor, or its like, with its place in external memory; ``live`` from one layer to another, if others may share the place."""

    name = "tile.tensor"
    record = prop_def(Record)
    live = opt_prop_def(DenseArrayBase)

    @classmethod
    def of(cls, tensor, live: tuple[int, int] | None = None) -> "ExternalTensor":
        properties = {"record": Record(tensor)}
        if live is not None:
            properties["live"] = DenseArrayBase.from_list(i64, list(live))
        return cls.create(properties=properties)

    @classmethod
    def parse(cls, parser: Parser) -> "ExternalTensor":
        tensor, live = Record.parse_parameter(parser), None
        if parser.parse_optional_keyword("live") is not None:
            first = parser.parse_integer()
            parser.parse_keyword("to")
            live = first, parser.parse_integer()
        return cls.of(tensor, live)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        self.record.print_parameter(printer)
        if self.live is not None:
            printer.print_string(" live {} to {}".format(*self.live.get_values()))


@irdl_op_definition
class ExternalConstant(IRDLOperation):
    """Bytes that are in external memory from the start: the array ``resource`` at ``address``."""

    name = "tile.constant"
    address = prop_def(IntegerAttr)
    resource = prop_def(StringAttr)

    @classmethod
    def parse(cls, parser: Parser) -> "ExternalConstant":
        return cls.create(properties={"address": number(parser), "resource": string(parser)})

    def print(self, printer: Printer) -> None:
        printer.print_string(f" {self.address.value.data} {quoted(self.resource)}")


@irdl_op_definition
class Layer(Container):
    """Nests, or runs of instructions, that together write the tensor ``output``."""

    name = "tile.layer"
    label = prop_def(StringAttr)
    output = prop_def(StringAttr)
    macs = prop_def(IntegerAttr)
    operators = prop_def(IntegerAttr)

    @classmethod
    def parse(cls, parser: Parser) -> "Layer":
        properties = {"label": string(parser)}
        for keyword, read in (("output", string), ("macs", number)):
            parser.parse_keyword(keyword)
            properties[keyword] = read(parser)
        properties["operators"] = IntegerAttr(1, 64)
        if parser.parse_optional_keyword("operators") is not None:
            properties["operators"] = number(parser)
        return cls.create(properties=properties, regions=[cls.parse_body(parser)])

    def print(self, printer: Printer) -> None:
        fused = f" operators {self.operators.value.data}" if self.operators.value.data > 1 else ""
        printer.print_string(f" {quoted(self.label)} output {quoted(self.output)} macs {self.macs.value.data}{fused}")
        self.print_body(printer)


@irdl_op_definition
class AllocateBuffer(IRDLOperation):
    """Slots of a memory on the chip: ``count`` x ``size`` words from ``base``."""

    name = "tile.buffer"
    role = prop_def(StringAttr)
    space = prop_def(StringAttr)
    count = prop_def(IntegerAttr)
    size = prop_def(IntegerAttr)
    base = prop_def(IntegerAttr)
    result = result_def(OnChip)

    @classmethod
    def of(cls, role: str, buffer: Buffer) -> "AllocateBuffer":
        numbers = {name: IntegerAttr(getattr(buffer, name), 64) for name in ("count", "size", "base")}
        properties = {"role": StringAttr(role), "space": StringAttr(buffer.space.name.lower())} | numbers
        return cls.create(properties=properties, result_types=[ON_CHIP])

    @property
    def buffer(self) -> Buffer:
        numbers = (getattr(self, name).value.data for name in ("base", "size", "count"))
        return Buffer(Space[self.space.data.upper()], *numbers)

    @classmethod
    def parse(cls, parser: Parser) -> "AllocateBuffer":
        properties = {"role": string(parser), "space": StringAttr(parser.parse_identifier())}
        for keyword, name in (("", "count"), ("by", "size"), ("at", "base")):
            if keyword:
                parser.parse_keyword(keyword)
            properties[name] = number(parser)
        return cls.create(properties=properties, result_types=[ON_CHIP])

    def print(self, printer: Printer) -> None:
        buffer = self.buffer
        place = f"{self.space.data} {buffer.count} by {buffer.size} at {buffer.base}"
        printer.print_string(f" {quoted(self.role)} {place}")

    def verify_(self) -> None:
        if self.space.data.upper() not in Space.__members__:
            raise VerifyException(f"tile.buffer: no memory is called {self.space.data!r}")
        if self.buffer.base < 0 or min(self.buffer.count, self.buffer.size) < 1:
            raise VerifyException(
                f"tile.buffer {quoted(self.role)}: count and size must be positive, base not negative"
            )


@irdl_op_definition
class For(Container):
    """The body for each part of dimension ``dim``, of ``sizes``, one behind the other from ``start``."""

    name = "tile.for"
    dim = prop_def(StringAttr)
    sizes = prop_def(DenseArrayBase)
    start = prop_def(IntegerAttr)
    done = result_def(Token)

    @classmethod
    def of(cls, loop: Loop, body: Region) -> "For":
        sizes, start = DenseArrayBase.from_list(i64, list(loop.sizes)), IntegerAttr(loop.start, 64)
        properties = {"dim": StringAttr(loop.dim), "sizes": sizes, "start": start}
        return cls.create(properties=properties, regions=[body], result_types=[TOKEN])

    @property
    def loop(self) -> Loop:
        inner = tuple(op.loop for op in self.body.block.ops if isinstance(op, For))
        return Loop(self.dim.data, tuple(self.sizes.get_values()), inner, self.start.value.data)

    @classmethod
    def parse(cls, parser: Parser) -> "For":
        dim = parser.parse_str_literal()
        start = parser.parse_integer() if parser.parse_optional_keyword("from") is not None else 0
        sizes = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: cls._some(parser))
        return cls.of(Loop(dim, sum(sizes, ()), (), start), cls.parse_body(parser))

    @staticmethod
    def _some(parser: Parser) -> tuple[int, ...]:
        """``4``, or ``7 of 4``."""
        size = parser.parse_integer(allow_boolean=False)
        if parser.parse_optional_keyword("of") is None:
            return (size,)
        return (parser.parse_integer(allow_boolean=False),) * size

    def print(self, printer: Printer) -> None:
        start = f" from {self.start.value.data}" if self.start.value.data else ""
        counts = [(size, len(list(some))) for size, some in groupby(self.sizes.get_values())]
        sizes = ", ".join(f"{count} of {size}" if count > 1 else str(size) for size, count in counts)
        printer.print_string(f" {quoted(self.dim)}{start} [{sizes}]")
        self.print_body(printer)

    def verify_(self) -> None:
        if min(self.sizes.get_values(), default=0) < 1 or self.start.value.data < 0:
            raise VerifyException(f"tile.for {quoted(self.dim)}: every part must be positive, and there must be one")


class Step(IRDLOperation):
    """Work of one engine on buffers, once the tokens exist that it comes after."""

    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    buffers = var_operand_def(OnChip)
    after = var_operand_def(Token)
    done = result_def(Token)

    @classmethod
    def of(cls, buffers: Sequence[SSAValue], after: Sequence[SSAValue] = ()) -> "Step":
        return cls.build(operands=[list(buffers), list(after)], result_types=[TOKEN])

    @classmethod
    def parse(cls, parser: Parser) -> "Step":
        buffers = parse_values(parser, ON_CHIP, parser.Delimiter.PAREN)
        return cls.of(buffers, parse_after(parser))

    def print(self, printer: Printer) -> None:
        printer.print_string("(")
        printer.print_list(self.buffers, printer.print_ssa_value)
        printer.print_string(")")
        print_after(printer, self.after)


@irdl_op_definition
class Load(Step):
    """From external memory to a buffer, unless it is there still."""

    name = "tile.load"


@irdl_op_definition
class Multiply(Step):
    """Activations times weights, added to sums."""

    name = "tile.matmul"


@irdl_op_definition
class Vector(Step):
    """The vector engine: reduces, requantizes, adds a residual; from the first buffers to the last."""

    name = "tile.vector"


@irdl_op_definition
class Store(Step):
    """From a buffer to external memory."""

    name = "tile.store"


@irdl_op_definition
class Nest(Container):
    """A tiled operator (compiler/tiled.py): ``operations`` of one shape, computed by the code generator ``kind``."""

    name = "tile.nest"
    kind = prop_def(StringAttr)
    operations = prop_def(Record)

    @classmethod
    def parse(cls, parser: Parser) -> "Nest":
        kind = string(parser)
        with parser.in_angle_brackets():
            operations = Record(parse_record(parser))
        return cls.create(properties={"kind": kind, "operations": operations}, regions=[cls.parse_body(parser)])

    def print(self, printer: Printer) -> None:
        printer.print_string(f" {quoted(self.kind)} ")
        self.operations.print_parameter(printer)
        self.print_body(printer)

    @property
    def tiled(self) -> Tiled:
        ops = self.body.block.ops
        buffers = {op.role.data: op.buffer for op in ops if isinstance(op, AllocateBuffer)}
        loops = tuple(op.loop for op in ops if isinstance(op, For))
        return Tiled(self.kind.data, self.operations.data, loops, buffers)


Tile = Dialect(
    "tile",
    [Program, ExternalTensor, ExternalConstant, Layer, Nest, AllocateBuffer, For, Load, Multiply, Vector, Store],
    [Token, OnChip, Record],
)
