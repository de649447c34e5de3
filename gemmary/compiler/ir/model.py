"""A model at the graph level: one function in text, and the arrays of its constants beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import DiagnosticException, ParseError, VerifyException

from ...errors import InputError
from .dialect import GraphContext
from .edges import Constant
from .tile import ExternalConstant
from .types import element_of, numpy_dtype, shape_of

MAIN = "main"
LOCATIONS = "locations"


@dataclass(frozen=True, eq=False)
class Model:
    """``module`` has one function ``main``; its attributes ``inputs`` and ``outputs`` name arguments and results, ``opset`` says
    which ONNX opset its float operators mean, ``locations`` the lines of a program that its operators come from."""

    module: ModuleOp
    context: GraphContext

    @property
    def function(self) -> FuncOp:
        for op in self.module.ops:
            if isinstance(op, FuncOp) and op.sym_name.data == MAIN:
                return op
        raise InputError(f"the module has no function @{MAIN}")

    @property
    def block(self) -> Block:
        return self.function.body.block

    @property
    def operations(self) -> list[Operation]:
        """All but constants and the return, in order."""
        return [op for op in self.block.ops if not isinstance(op, Constant | ReturnOp)]

    @property
    def inputs(self) -> dict[str, SSAValue]:
        return dict(zip(self._names("inputs"), self.block.args, strict=True))

    @property
    def outputs(self) -> dict[str, SSAValue]:
        return dict(zip(self._names("outputs"), self.block.last_op.operands, strict=True))

    @property
    def opset(self) -> int:
        attribute = self.function.attributes.get("opset")
        return attribute.value.data if isinstance(attribute, IntegerAttr) else 21

    @property
    def locations(self) -> dict[str, str]:
        """``file:line`` by the source of an operator, where the front end knows it."""
        attribute = self.function.attributes.get(LOCATIONS)
        return {name: line.data for name, line in attribute.data.items()} if attribute is not None else {}

    def _names(self, kind: str) -> list[str]:
        attribute = self.function.attributes.get(kind)
        if not isinstance(attribute, ArrayAttr):
            count = len(self.block.args if kind == "inputs" else self.block.last_op.operands)
            return [f"{kind[:-1]}{i}" for i in range(count)]
        return [name.data for name in attribute]

    def copy(self) -> "Model":
        """Another one, which passes may change."""
        return Model(self.module.clone(), self.context.clone())

    def check_inputs(self, inputs: dict[str, np.ndarray]) -> None:
        """InputError, naming the input, unless they are those of the model, with its shapes and dtypes."""
        known = self.inputs
        for name in inputs.keys() - known.keys():
            raise InputError(f"unknown input {name!r}: the model takes {', '.join(known)}")
        for name, value in known.items():
            if name not in inputs:
                raise InputError(f"input {name!r} is missing")
            shape, dtype, given = shape_of(value), numpy_dtype(element_of(value)), inputs[name]
            if (given.shape, given.dtype) != (shape, dtype):
                raise InputError(f"input {name!r} must be {dtype} {list(shape)}, not {given.dtype} {list(given.shape)}")

    def verify(self, after: str = "") -> "Model":
        """Itself. InputError with one sentence where an operator makes no sense."""
        try:
            self.module.verify()
        except (VerifyException, DiagnosticException) as error:
            where = f"after {after}: " if after else ""
            raise InputError(f"{where}{_sentence(error)}") from None
        return self

    def text(self) -> str:
        stream = StringIO()
        Printer(stream).print_op(self.module)
        return stream.getvalue() + "\n"

    def save(self, path: Path) -> None:
        """Writes the text to ``path`` and the arrays that it uses beside it, with the suffix .npz."""
        held = [
            op for op in self.module.walk() if isinstance(op, Constant | ExternalConstant) and op.resource is not None
        ]
        used = {op.resource.data for op in held}
        try:
            path.write_text(self.text(), encoding="utf-8")
            if used:
                np.savez(path.with_suffix(".npz"), **{name: self.context.arrays[name] for name in sorted(used)})
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from None


def new_model(context: GraphContext, block: Block, inputs: Sequence[str], outputs: Sequence[str], opset: int) -> Model:
    """The model of ``block``, which ends with its return."""
    types = [arg.type for arg in block.args], [value.type for value in block.last_op.operands]
    function = FuncOp(MAIN, types, Region(block))
    function.attributes["inputs"] = ArrayAttr([StringAttr(name) for name in inputs])
    function.attributes["outputs"] = ArrayAttr([StringAttr(name) for name in outputs])
    function.attributes["opset"] = IntegerAttr(opset, 64)
    return Model(ModuleOp([function]), context)


def parse(text: str, arrays: dict[str, np.ndarray] | None = None, name: str = "text") -> Model:
    """The verified model of a text. InputError with one sentence for a text that is none."""
    context = GraphContext(arrays=dict(arrays or {}))
    try:
        module = Parser(context, text, name).parse_module()
    except ParseError as error:
        line = text.count("\n", 0, error.span.start) + 1
        raise InputError(f"{name}, line {line}: {error.msg}") from None
    except (VerifyException, DiagnosticException) as error:
        raise InputError(f"{name}: {_sentence(error)}") from None
    return Model(module, context).verify()


def load(path: Path, arrays: Path | None = None) -> Model:
    """The model of a file; its arrays are in ``arrays``, by default the file beside it with the suffix .npz."""
    beside = arrays or path.with_suffix(".npz")
    try:
        text, found = path.read_text(encoding="utf-8"), {}
        if arrays or beside.exists():
            with np.load(beside, allow_pickle=False) as file:
                found = dict(file)
    except OSError as error:
        raise InputError(f"cannot read {error.filename or path}: {error.strerror}") from None
    except (ValueError, UnicodeDecodeError):
        raise InputError(f"{path} is no text of the graph level, or {beside} no file of arrays") from None
    return parse(text, found, str(path))


def _sentence(error: Exception) -> str:
    """The last line of a message that says something: before it the IR is quoted."""
    lines = [line.strip(" ^│┃|-") for line in str(error).splitlines()]
    lines = [line for line in lines if line]
    return next((line for line in reversed(lines) if "graph." in line and ":" in line), lines[-1] if lines else "?")
