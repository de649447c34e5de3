"""Which tensors are int8: torchao asks, this quantizer says.

A tensor is quantized where an operator of the accelerator reads it, at the operator that computes it; those that only move
numbers pass it on. What a convolution or a matrix product hands to one clip, or adds to another tensor, is not quantized in
between: the drain does that with one rounding. Results of the model that a sum of products computes stay wide, and so does what
softmax, normalisation and residual streams of transformers read: they run on the host in float.
"""

import operator
from collections.abc import Iterator

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
    SharedQuantizationSpec,
)

aten = torch.ops.aten

CONTRACTIONS = {aten.conv1d, aten.conv2d, aten.linear, aten.convolution, aten.matmul, aten.mm, aten.bmm, aten.addmm}
MOVES = {
    aten.view, aten.reshape, aten._unsafe_view, aten.flatten, aten.unflatten, aten.squeeze, aten.unsqueeze, aten.permute,
    aten.transpose, aten.t, aten.numpy_T, aten.mT, aten.clone, aten.contiguous, aten.detach, aten.alias, aten.dropout,
}  # fmt: skip
MAXIMA = {aten.max_pool1d, aten.max_pool2d}
AVERAGES = {aten.avg_pool1d, aten.avg_pool2d, aten.adaptive_avg_pool1d, aten.adaptive_avg_pool2d, aten.mean}
CLIPS = {aten.relu, aten.relu_, aten.relu6, aten.hardtanh, aten.hardtanh_, aten.clamp, aten.clamp_min, aten.clamp_max}
POINTWISE = CLIPS | {
    aten.abs, aten.add, aten.cos, aten.div, aten.elu, aten.erf, aten.exp, aten.gelu, aten.hardsigmoid, aten.hardswish,
    aten.leaky_relu, aten.log, aten.mish, aten.mul, aten.neg, aten.pow, aten.reciprocal, aten.rsqrt, aten.selu, aten.sigmoid,
    aten.silu, aten.sin, aten.softplus, aten.sqrt, aten.sub, aten.rsub, aten.tanh,
}  # fmt: skip
WEIGHT_AXIS = {aten.matmul: 1, aten.mm: 1, aten.addmm: 1}
"""Of output channels, where it is not 0."""

_TINY = 2.0**-40


def activations(symmetric: bool) -> QuantizationSpec:
    scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
    observer = MinMaxObserver.with_args(eps=_TINY)
    return QuantizationSpec(torch.int8, observer, -128, 127, scheme, is_dynamic=False)


def weights(axis: int) -> QuantizationSpec:
    observer = PerChannelMinMaxObserver.with_args(eps=_TINY)
    return QuantizationSpec(torch.int8, observer, -127, 127, torch.per_channel_symmetric, axis, is_dynamic=False)


class GemmaryQuantizer(Quantizer):
    """Symmetric int8 weights for each output channel; int8 activations with one scale, symmetric where two computed tensors are
    multiplied."""

    def annotate(self, model: GraphModule) -> GraphModule:
        plan = _Plan(model)
        specs = {node: activations(symmetric) for node, symmetric in plan.wanted.items()}
        specs |= {node: weights(axis) for node, axis in plan.weights.items()}
        specs |= {node: SharedQuantizationSpec(source) for node, source in plan.shared.items()}
        for node, spec in specs.items():
            node.meta["quantization_annotation"] = QuantizationAnnotation(output_qspec=spec, _annotated=True)
        return model

    def validate(self, model: GraphModule) -> None:
        pass


class _Plan:
    """``wanted``: the nodes whose results are int8, and whether symmetric; ``shared``: those that have the scale of another
    one; ``weights``: constants, with their axis."""

    def __init__(self, model: GraphModule):
        self.nodes = [node for node in model.graph.nodes if node.op != "call_module"]
        self.order = {node: i for i, node in enumerate(self.nodes)}
        self.constants = set()
        for node in self.nodes:
            if node.op == "get_attr" or node.op == "call_function" and self.constants.issuperset(node.all_input_nodes):
                self.constants.add(node)
        self.wanted: dict[Node, bool] = {}
        self.weights: dict[Node, int] = {}
        self.shared: dict[Node, Node] = {}
        self.clipped: set[Node] = set()
        self.inside: set[Node] = set()
        for node in reversed(self.nodes):  # whoever reads a tensor has spoken before
            self._visit(node)

    def _visit(self, node: Node) -> None:
        kind = kind_of(node)
        if node in self.constants or node.op != "call_function":
            return
        if kind in CONTRACTIONS:
            self._contraction(node, kind)
        elif kind in AVERAGES and len(shape_of(node.args[0])) in (3, 4) and self._is_image_mean(node):
            self.want(node.args[0])
            if node not in self.clipped:
                self.want(node)
        elif kind in MAXIMA:
            self.want(node.args[0], self.wanted.pop(node, False))
            self.shared[node] = self.root(node.args[0])
        elif kind is aten.cat and node in self.wanted:
            for each in node.args[0]:
                self.want(each)
        elif kind is aten.add and len(self.operands(node)) == 2 and self.origin(node) is None:
            self._addition(node)
        elif kind in POINTWISE and node not in self.inside:
            self._function(node)

    def _contraction(self, node: Node, kind) -> None:
        left, right = node.args[1:3] if kind is aten.addmm else node.args[:2]
        if right in self.constants:
            if right.op != "get_attr" or kind in WEIGHT_AXIS and len(shape_of(right)) != 2:
                return
            self.want(left)
            self.weights[right] = WEIGHT_AXIS.get(kind, 0)
        elif kind in (aten.matmul, aten.bmm, aten.mm) and left not in self.constants:
            self.want(left, symmetric=True)
            self.want(right, symmetric=True)

    def _is_image_mean(self, node: Node) -> bool:
        if kind_of(node) is not aten.mean:
            return True
        rank = len(shape_of(node.args[0]))
        return len(node.args) > 1 and sorted(axis % rank for axis in node.args[1]) == list(range(2, rank))

    # Additions.

    def _addition(self, node: Node) -> None:
        """int8, if operators of the accelerator read it; one sum of products among its operands goes into it unrounded."""
        left, right = self.operands(node)
        if shape_of(left) != shape_of(right) or not self._is_read_as_int8(node):
            return
        if not all(self._can_be_int8(each) for each in (left, right)):
            return
        drains = [each for each in (left, right) if kind_of(each) in CONTRACTIONS and len(each.users) == 1]
        drain = max(drains, key=self.order.get, default=None)
        for each in (left, right):
            if each is not drain:
                self.want(each)
        if node not in self.clipped:
            self.want(node)

    def _is_read_as_int8(self, node: Node) -> bool:
        if node in self.wanted or node in self.clipped:
            return not any(self._is_host(user) for user in users(node))
        return all(user.op == "output" for user in users(node))

    def _is_host(self, user: Node) -> bool:
        kind = kind_of(user)
        known = kind in CONTRACTIONS | MOVES | MAXIMA | AVERAGES | POINTWISE or kind is aten.cat
        return not known and user.op != "output"

    def _can_be_int8(self, node: Node) -> bool:
        root, kind = self.root(node), kind_of(self.root(node))
        if any(self._is_host(user) for user in users(root)):
            return False
        if kind is aten.add and self.origin(root) is None:
            return self._is_read_as_int8(root) or root in self.wanted
        return (
            root in self.wanted
            or root.op == "placeholder"
            or kind in CONTRACTIONS | AVERAGES | POINTWISE
            or kind is aten.cat
        )

    # Functions of one tensor.

    def _function(self, node: Node) -> None:
        """A clip behind an operator of the accelerator goes into its drain; anything else becomes a table."""
        origin = self.origin(node)
        results_only = all(user.op == "output" for user in users(node))
        if origin is None or not (node in self.wanted or results_only):
            return
        members = list(self._members(node, origin))
        self.inside |= set(members)
        self.want(node)
        drains = kind_of(origin) in CONTRACTIONS | AVERAGES or kind_of(origin) is aten.add
        chain = all(kind_of(each) in CLIPS for each in members) and all(len(each.users) == 1 for each in members[1:])
        if drains and chain and len(origin.users) == 1:
            self.clipped.add(origin)
            return
        self.want(origin)

    def _members(self, node: Node, origin: Node) -> Iterator[Node]:
        yield node
        for each in self.operands(node):
            if each is not origin:
                yield from self._members(each, origin)

    def origin(self, node: Node) -> Node | None:
        """The one tensor that a value is a function of, element by element; None of any other."""
        if kind_of(node) not in POINTWISE:
            return None
        found = set()
        for each in self.operands(node):
            inner = self.origin(each) if kind_of(each) in POINTWISE and shape_of(each) == shape_of(node) else None
            found.add(each if inner is None else inner)
        scalars = (each for each in node.all_input_nodes if each in self.constants)
        if len(found) != 1 or any(tensor_size(each) > 1 for each in scalars):
            return None
        (origin,) = found
        return origin if shape_of(origin) == shape_of(node) else None

    def operands(self, node: Node) -> list[Node]:
        """Those that are computed; one that is read twice counts once."""
        return [each for each in node.all_input_nodes if each not in self.constants]

    # Tensors.

    def want(self, value: Node, symmetric: bool = False) -> None:
        root = self.root(value)
        val = root.meta.get("val")
        if root not in self.constants and isinstance(val, torch.Tensor) and val.dtype == torch.float32:
            self.wanted[root] = self.wanted.get(root, False) or symmetric

    def root(self, node: Node) -> Node:
        while kind_of(node) in MOVES:
            node = node.args[0]
        return node


def kind_of(node: Node):
    return getattr(node.target, "overloadpacket", None) if node.op == "call_function" else None


def users(node: Node) -> Iterator[Node]:
    """Who reads a value, also moved."""
    for user in node.users:
        if kind_of(user) in MOVES:
            yield from users(user)
        elif user.op != "call_module" and user.target is not operator.is_:
            yield user


def shape_of(node: Node) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def tensor_size(node: Node) -> int:
    return node.meta["val"].numel()
