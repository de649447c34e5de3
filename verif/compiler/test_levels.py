"""From the graph level down: texts of tiles and instructions are whole programs, and the loops in them are what is computed."""

import re
from pathlib import Path

import numpy as np
import pytest

from gemmary.compiler import ir, opt
from gemmary.compiler.assemble import lower
from gemmary.compiler.backend import compile_model
from gemmary.compiler.backend.names import names_of
from gemmary.compiler.backend.tile import tile_model
from gemmary.compiler.ir.programs import encode
from gemmary.compiler.ir.tile import Program
from gemmary.compiler.passes import run_pipeline
from gemmary.config import preset
from gemmary.errors import InputError
from gemmary.runtime.device import open_device
from gemmary.runtime.execute import execute
from verif.compiler import texts
from verif.compiler.test_passes import check

FILES = sorted((Path(__file__).parent / "levels").glob("*.mlir"))
SMALL = preset("small")
LOWER = 'tile{config="small"}', "expand", "schedule"


def run(text: str, pipeline: str, arrays=None) -> ir.Model:
    return run_pipeline(ir.parse(text, arrays or {}), pipeline, passes=opt.ALL_PASSES)


def program(model: ir.Model):
    (found,) = [op for op in model.module.ops if isinstance(op, Program)]
    return encode(model.context, SMALL, found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_filecheck(path, tmp_path, capsys):
    pipeline = re.search(r"-p (\S+)", path.read_text()).group(1)
    assert opt.main([str(path), "-p", pipeline]) == 0
    assert check(path, capsys.readouterr().out, tmp_path) == 0
    assert check(path, ir.load(path).text(), tmp_path) != 0, "the checks hold without the pass too"


def test_every_pass_below_the_graph_has_a_text():
    assert {path.stem for path in FILES} == set(opt.ALL_PASSES) - set(opt.PASSES)


@pytest.mark.parametrize("kind", [texts.random_conv, texts.random_matmul])
@pytest.mark.parametrize("seed", range(6))
def test_texts_of_every_level_are_the_same_program(kind, seed):
    model, *_ = kind(seed)
    (step,) = compile_model(kind(seed)[0], SMALL).steps
    for each in LOWER:
        model = run(model.text(), each, model.context.arrays)
    assert program(model) == step.program


SOURCE = (Path(__file__).parent / "levels" / "tile.mlir").read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"column" [4 of 64]', '"column" [64, 28, 64, 64, 36]'),
        ('"k" [2]', '"k" [2 of 1]'),
        ("activation 4 by 128 at", "activation 1 by 128 at"),
        ('"row" [4 of 4]', '"row" [3, 4, 4, 3, 2]'),
    ],
)
def test_loops_and_buffers_may_be_changed_by_hand(old, new):
    """Other parts and slots are another program with the same result."""
    model = ir.parse(SOURCE)
    lowered = run(model.text(), LOWER[0])
    tiled, arrays = lowered.text(), lowered.context.arrays
    changed = tiled.replace(old, new)
    assert changed != tiled, f"{old} is not there:\n{tiled}"
    first, second = (program(run(text, ",".join(LOWER[1:]), arrays)) for text in (tiled, changed))
    assert first.encode() != second.encode()
    x = np.random.default_rng(0).integers(-128, 128, (4, 8, 8, 16), np.int8)
    expected = ir.interpret(model, {"x": x})["z"]
    for each in (first, second):
        np.testing.assert_array_equal(execute(open_device("emulator", SMALL), each, {"x": x}).tensors["pool"], expected)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('nest "pooling"', 'nest "pulling"', "no code generator is called 'pulling'"),
        ('"source" activation', '"sauce" activation', "are not those that this code generator takes"),
        ('"source" activation', '"source" activations', "no memory is called 'activations'"),
        ('"k" [2]', '"k" [0]', "every part must be positive"),
        ('tile.for "column"', 'tile.for "colour"', "do not fit its operations"),
        ("Window(", "Door(", "unknown record Door"),
        ("DType.INT8", "DType.INT7", "unknown name DType.INT7"),
        ("dilation = ", "dilution = ", "unexpected keyword argument 'dilution'"),
        ('for "small"', 'for "tall"', "tall"),
    ],
)
def test_bad_tiles_are_named(old, new, sentence):
    tiled = run(SOURCE, LOWER[0]).text().replace("kernel = ", "dilation = [1, 1], kernel = ")
    tiled = tiled.replace("dilation = [1, 1], kernel = [1, 1], stride = [1, 1], dilation = [1, 1]", "kernel = [1, 1]")
    assert old in tiled
    with pytest.raises(InputError, match=re.escape(sentence)):
        run(tiled.replace(old, new), "expand,schedule")


def test_bad_instructions_are_named():
    text = (Path(__file__).parent / "levels" / "schedule.mlir").read_text()
    for old, new, sentence in (
        ("count_x = 16", "count_x = 0", "isa.vector: loop count outside"),
        ("length = 128", "breadth = 128", "LOAD has no field 'breadth'"),
        ("%2 = isa.store after(%1)", "isa.store scheduled", "all instructions must be scheduled, or none"),
    ):
        with pytest.raises(InputError, match=re.escape(sentence)):
            run(text.replace(old, new, 1), "schedule")


def test_what_is_not_scheduled_has_no_encoding():
    model = run(SOURCE, f"{LOWER[0]},expand")
    with pytest.raises(InputError, match="pass expand, then schedule"):
        program(model)


def test_what_is_saved_is_whole(tmp_path):
    """Constants of programs too: the file alone becomes the program."""
    path, lowered = tmp_path / "tiled.mlir", tmp_path / "lowered.mlir"
    path.write_text(SOURCE)
    assert opt.main([str(path), "-p", LOWER[0], "-o", str(lowered)]) == 0
    model = run_pipeline(ir.load(lowered), ",".join(LOWER[1:]), passes=opt.ALL_PASSES)
    assert program(model) == compile_model(ir.parse(SOURCE), SMALL).steps[0].program


def test_lowering_is_the_compiler():
    """What compile_model makes comes from the same nests."""
    model = ir.parse(SOURCE)
    arrays = set(model.context.arrays)
    ((segment, tiles),) = tile_model(model, SMALL, names_of(model))
    assert segment.on_device
    assert set(model.context.arrays) > arrays
    (made,) = lower(model.context, SMALL, [tiles])
    assert set(model.context.arrays) == arrays, "the program has its constants: here they are left over"
    assert made == compile_model(ir.parse(SOURCE), SMALL).steps[0].program


def test_a_model_compiled_for_one_config_can_be_tiled_for_another():
    model = ir.parse(SOURCE)
    compile_model(model, SMALL)
    (made,) = [
        op
        for op in run_pipeline(model, 'tile{config="base"}', passes=opt.ALL_PASSES).module.ops
        if isinstance(op, Program)
    ]
    assert made.config.data == "base"
