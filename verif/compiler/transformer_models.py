"""Transformers of random weights as ONNX: BERT as MiniLM's exporter writes it, and a vision transformer as timm's do."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from scripts.make_minilm import Transformer


def random_arrays(width: int, hidden: int, layers: int, vocabulary: int, positions: int, seed: int = 0) -> dict:
    """By the names of a checkpoint. One channel of the residual stream is 20 times as large as the others, as in trained ones."""
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[-1]))

    gain = np.ones(width, np.float32)
    gain[5] = 20
    arrays = {"embeddings.word_embeddings.weight": weight(vocabulary, width)}
    arrays["embeddings.position_embeddings.weight"] = weight(positions, width)
    arrays["embeddings.token_type_embeddings.weight"] = weight(2, width)
    norms = ["embeddings.LayerNorm"]
    for i in range(layers):
        at = f"encoder.layer.{i}"
        dense = {f"attention.self.{side}": (width, width) for side in ("query", "key", "value")}
        dense |= {"attention.output.dense": (width, width), "output.dense": (width, hidden)}
        for name, shape in (dense | {"intermediate.dense": (hidden, width)}).items():
            arrays |= {f"{at}.{name}.weight": weight(*shape), f"{at}.{name}.bias": weight(shape[0])}
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name in norms:
        arrays |= {f"{name}.weight": gain, f"{name}.bias": weight(width)}
    return arrays


def bert(width: int, heads: int, hidden: int, layers: int, vocabulary: int, positions: int) -> onnx.ModelProto:
    return Transformer(random_arrays(width, hidden, layers, vocabulary, positions), heads).model()


def vit(width: int, heads: int, hidden: int, layers: int, patches: int, patch: int = 16) -> onnx.ModelProto:
    """Takes images ``[batch, 3, patches · patch, patches · patch]``."""
    tokens = patches * patches + 1
    return _Vision(random_arrays(width, hidden, layers, 3 * patch * patch, tokens), heads).images(patches, patch)


class _Vision(Transformer):
    """Layer normalisation in front of attention and of the dense layers; query, key and value from one dense layer, query and key
    both scaled."""

    def images(self, patches: int, patch: int) -> onnx.ModelProto:
        width, size = self.width, patches * patch
        kernel = self.arrays.pop("embeddings.word_embeddings.weight").T.reshape(width, 3, patch, patch)
        kernel = self.constant("patch.weight", np.ascontiguousarray(kernel))
        x = self.add("Conv", "image", kernel, name="patch", strides=[patch, patch], kernel_shape=[patch, patch])
        x = self.add("Reshape", x, self.constant("patch.shape", [0, width, -1], np.int64), name="patch.flat")
        x = self.add("Transpose", x, name="patch.turned", perm=[0, 2, 1])
        first = self.constant("class", self.arrays.pop("embeddings.token_type_embeddings.weight")[:1, None])
        x = self.add("Concat", first, x, name="tokens", axis=1)
        x = self.add("Add", x, "embeddings.position_embeddings.weight", name="placed")
        for i in range(self.layers):
            x = self.layer(f"encoder.layer.{i}", x, "")
        self.norm("embeddings.LayerNorm", x)
        graph = helper.make_graph(
            self.nodes,
            "vit",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, size, size])],
            [
                helper.make_tensor_value_info(
                    "embeddings.LayerNorm", TensorProto.FLOAT, [1, patches * patches + 1, width]
                )
            ],
            [numpy_helper.from_array(array, name) for name, array in self.arrays.items()],
        )
        result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(result)
        return result

    def layer(self, name: str, x: str, mask: str) -> str:
        at, each = f"{name}.attention.self", self.width // self.heads
        y = self.norm(f"{name}.attention.output.LayerNorm", x)
        for part in ("weight", "bias"):
            sides = [self.arrays.pop(f"{at}.{side}.{part}") for side in ("query", "key", "value")]
            self.arrays[f"{at}.qkv.{part}"] = np.concatenate(sides)
        split = self.constant("heads.split", [0, 0, 3, self.heads, each], np.int64)
        parts = self.add("Reshape", self.dense(f"{at}.qkv", y), split, name=f"{at}.parts")
        parts = self.add("Transpose", parts, name=f"{at}.turned", perm=[2, 0, 3, 1, 4])
        query, key, value = (
            self.add("Gather", parts, self.constant(f"part.{i}", i, np.int64), name=f"{at}.{side}", axis=0)
            for i, side in enumerate(("query", "key", "value"))
        )
        key = self.add("Transpose", key, name=f"{at}.columns", perm=[0, 1, 3, 2])
        root = self.constant("heads.root", each**-0.25)
        sides = [self.add("Mul", side, root, name=f"{side}.scaled") for side in (query, key)]
        scores = self.add("Softmax", self.add("MatMul", *sides, name=f"{at}.products"), name=f"{at}.softmax", axis=-1)
        mixed = self.add("MatMul", scores, value, name=f"{at}.mixed")
        mixed = self.add("Transpose", mixed, name=f"{at}.back", perm=[0, 2, 1, 3])
        joined = self.constant("heads.joined", [0, 0, self.width], np.int64)
        mixed = self.add("Reshape", mixed, joined, name=f"{at}.joined")
        x = self.add("Add", x, self.dense(f"{name}.attention.output.dense", mixed), name=f"{name}.first")
        y = self.norm(f"{name}.output.LayerNorm", x)
        hidden = self.gelu(f"{name}.gelu", self.dense(f"{name}.intermediate.dense", y))
        return self.add("Add", x, self.dense(f"{name}.output.dense", hidden), name=f"{name}.second")
