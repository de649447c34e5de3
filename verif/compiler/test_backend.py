"""Models lowered to programs: the emulator computes what the golden numerics say, files read back, nothing falls back in silence."""

import struct
import zlib

import numpy as np
import pytest

from gemmary.compiler import ir
from gemmary.compiler.backend import compile_model, explain, run_compiled
from gemmary.compiler.backend.binary import decode_compiled, encode_compiled, load_compiled
from gemmary.config import Config, preset
from gemmary.errors import InputError
from gemmary.runtime.device import open_device
from verif.compiler import texts

SMALL = preset("small")

HOST = """
func.func @main(%x: tensor<4x6x!graph.q<0.5, 0>>, %z: tensor<6x4x!graph.q<0.25, ZERO>>) -> tensor<4x4x!graph.q<0.25, -128>>
    attributes {inputs = ["x", "z"], outputs = ["y"]} {
  %s = graph.constant {value = dense<0.01> : tensor<1xf32>} : tensor<1xf32>
  %w = graph.constant {value = dense<3> : tensor<4x4xi8>} : tensor<4x4xi8>
  %t = graph.constant {value = dense<-3> : tensor<256xi8>} : tensor<256xi8>
  %m = graph.matmul %x, %z scale %s : tensor<1xf32> {source = "scores"} :
    tensor<4x6x!graph.q<0.5, 0>>, tensor<6x4x!graph.q<0.25, ZERO>> -> tensor<4x4x!graph.q<0.5, 1>>
  %p = graph.softmax %m {source = "weights"} : tensor<4x4x!graph.q<0.5, 1>> -> tensor<4x4x!graph.q<0.0078125, -128>>
  %n = graph.matmul %p, %w scale %s : tensor<1xf32> {source = "out"} :
    tensor<4x4x!graph.q<0.0078125, -128>>, tensor<4x4xi8> -> tensor<4x4x!graph.q<0.25, -128>>
  func.return %n : tensor<4x4x!graph.q<0.25, -128>>
}
"""


def host_model(zero=0):
    return ir.parse(HOST.replace("ZERO", str(zero)))


def random_inputs(model, seed=0):
    rng = np.random.default_rng(seed)
    return {n: rng.integers(-128, 128, v.type.get_shape(), np.int8) for n, v in model.inputs.items()}


@pytest.mark.parametrize("kind", [texts.random_conv, texts.random_matmul])
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(n, marks=pytest.mark.nightly) for n in range(4, 40))])
def test_programs_compute_the_numerics(kind, seed):
    model, inputs, expected = kind(seed)
    compiled = compile_model(model, SMALL)
    result = run_compiled(compiled, open_device("emulator", SMALL), inputs)
    np.testing.assert_array_equal(result.outputs["y"], expected)
    row = explain(compiled)["operators"][-1]
    # What stays on the host says why: heads at once, zero points of computed operands, shifts of a residual.
    assert (row["fallback"] is None) == (row["engine"] == "tensor") == (result.macs == row["macs"])


def test_wide_sums_leave_as_int32():
    model, inputs, _ = texts.random_matmul(1)
    op = model.operations[-1]
    assert op.name == "graph.matmul"
    text = model.text().replace("x!graph.q<1.0, 3>", "xi32").replace("scale %1 : tensor<1xf32>", "")
    lines = [
        line.replace(" scale %0 : tensor<1xf32>", "").replace(" scale %2 : tensor<1xf32>", "")
        for line in text.split("\n")
    ]
    wide = ir.parse("\n".join(lines), model.context.arrays)
    (expected,) = ir.interpret(wide, inputs).values()
    assert expected.dtype == np.int32
    result = run_compiled(compile_model(wide, SMALL), open_device("emulator", SMALL), inputs)
    np.testing.assert_array_equal(result.outputs["y"], expected)


def test_host_operators_run_between_programs_with_a_warning():
    model = host_model()
    compiled, inputs = compile_model(model, SMALL), random_inputs(model)
    assert [step.program is not None for step in compiled.steps] == [True, False, True]
    assert compiled.warnings == [
        "operator 'weights' (softmax) runs on the host: the vector engine has no exponential and no root; 32 bytes"
    ]
    result = run_compiled(compiled, open_device("emulator", SMALL), inputs)
    np.testing.assert_array_equal(result.outputs["y"], ir.interpret(model, inputs)["y"])
    totals = explain(compiled)["totals"]
    assert totals["macs"] == totals["macs_on_device"] == result.macs == 4 * 6 * 4 + 4 * 4 * 4


def test_strict_forbids_the_host():
    with pytest.raises(InputError, match=r"operator 'weights' \(softmax\) runs on the host.*--strict forbids it"):
        compile_model(host_model(), SMALL, strict=True)


def test_what_the_code_generator_refuses_falls_back():
    model = host_model(zero=5)
    compiled, inputs = compile_model(model, SMALL), random_inputs(model)
    assert (
        "'scores' (matmul) runs on the host: the operands of a product of computed tensors need the zero point 0"
        in (compiled.warnings[0])
    )
    assert explain(compiled)["totals"]["macs_on_device"] == 4 * 4 * 4
    result = run_compiled(compiled, open_device("emulator", SMALL), inputs)
    np.testing.assert_array_equal(result.outputs["y"], ir.interpret(model, inputs)["y"])


def test_memories_that_are_too_small_fall_back():
    tiny = Config("tiny", 8, 8, 8, 1 << 10, 1 << 10, 16, 8)
    image, result = "tensor<1x20x20x8x!graph.q<0.5, 0>>", "tensor<1x1x1x8x!graph.q<0.5, 0>>"
    model = ir.parse(f"""func.func @main(%x: {image}) -> {result} {{
      %y = graph.max_pool %x {{source = "pool", window = array<i64: 20, 20>, strides = array<i64: 1, 1>}} : {image} -> {result}
      func.return %y : {result}
    }}""")
    compiled, inputs = compile_model(model, tiny), random_inputs(model)
    assert "'pool' (max_pool) runs on the host: config 'tiny' is too small" in compiled.warnings[0]
    result = run_compiled(compiled, open_device("emulator", tiny), inputs)
    np.testing.assert_array_equal(result.outputs["output0"], ir.interpret(model, inputs)["output0"])


def test_files_read_back():
    model, inputs, expected = texts.random_conv(3)
    data = encode_compiled(compile_model(model, SMALL))
    again = decode_compiled(data)
    assert encode_compiled(again) == data
    result = run_compiled(again, open_device("emulator", SMALL), inputs)
    np.testing.assert_array_equal(result.outputs["y"], expected)


def test_debug_map_names_the_operators():
    compiled = decode_compiled(encode_compiled(compile_model(host_model(), SMALL)))
    rows = [(row["operator"], row["engine"]) for row in explain(compiled)["operators"]]
    assert rows == [("scores", "tensor"), ("weights", "host"), ("out", "tensor")]


def test_a_device_of_another_config_refuses():
    compiled = compile_model(host_model(), SMALL)
    with pytest.raises(
        InputError, match=r"for config 'small' \([0-9a-f]{8}\), the device has 'base'.*compile the model"
    ):
        run_compiled(compiled, open_device("emulator", preset("base")), random_inputs(compiled.model))


def version(data):
    return data[:8] + struct.pack("<I", 99) + data[12:]


def other_config(data):
    return data[:12] + struct.pack("<I", 1) + data[16:]


def older(data):
    """A config with a field that this version does not know."""
    body = data[20:].replace(b'"rows":', b'"ears":', 1)
    return data[:16] + struct.pack("<I", zlib.crc32(body)) + body


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: b"", "is no compiled model: make one with gemmary compile"),
        (lambda data: b"PK" + data[2:], "is no compiled model"),
        (lambda data: data[:-1], "is damaged"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "is damaged"),
        (version, "has version 99 of the format"),
        (other_config, "is for a config with another meaning"),
        (older, "is for a config that this gemmary does not know"),
    ],
)
def test_spoilt_files_are_refused(spoil, sentence, tmp_path):
    path = tmp_path / "model.gem"
    path.write_bytes(spoil(encode_compiled(compile_model(host_model(), SMALL))))
    with pytest.raises(InputError, match=sentence):
        load_compiled(path)


@pytest.mark.parametrize(("shape", "programs"), [("2x6x8", 1), ("4x24", 2)])
def test_reshapes_that_keep_their_channels_are_free(shape, programs):
    """Others move numbers: they run on the host, between two programs, with a warning."""
    image, flat = "tensor<2x2x3x8x!graph.q<0.5, 0>>", f"tensor<{shape}x!graph.q<0.5, 0>>"
    model = ir.parse(f"""func.func @main(%x: {image}) -> {flat} {{
      %t = graph.constant {{value = dense<{[(37 * i) % 251 - 125 for i in range(256)]}> : tensor<256xi8>}} : tensor<256xi8>
      %a = graph.table %x, %t {{source = "first"}} : {image}, tensor<256xi8> -> {image}
      %r = graph.reshape %a {{source = "reshape"}} : {image} -> {flat}
      %y = graph.table %r, %t {{source = "second"}} : {flat}, tensor<256xi8> -> {flat}
      func.return %y : {flat}
    }}""")
    compiled, inputs = compile_model(model, SMALL), random_inputs(model)
    assert explain(compiled)["totals"]["programs"] == programs and len(compiled.warnings) == programs - 1
    result = run_compiled(compiled, open_device("emulator", SMALL), inputs)
    np.testing.assert_array_equal(result.outputs["output0"], ir.interpret(model, inputs)["output0"])
