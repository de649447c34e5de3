"""Each example: its README names its command, the command's module runs, and a wrong weight makes it fail."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from examples.amaranth_component import run as amaranth_component
from examples.verilog_soc import run as verilog_soc
from examples.verilog_soc.image import write_image
from gemmary.config import preset

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(readme.parent.name for readme in (ROOT / "examples").glob("*/README.md"))

needs_extra = pytest.mark.skipif(
    not all(map(find_spec, ("litex", "bronzebeard", "nbclient", "ipykernel", "matplotlib"))),
    reason="needs LiteX and Jupyter: pip install 'gemmary[examples]'",
)


def run(example: str, *options) -> subprocess.CompletedProcess:
    """What the Makefile calls, from the root of the repository."""
    command = [sys.executable, "-m", f"examples.{example}.run", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_list_is_complete():
    listed = re.findall(r"^\| \[(\w+)\]", (ROOT / "examples/README.md").read_text(), re.MULTILINE)
    default = re.search(r"^EXAMPLE \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert sorted(listed) == sorted(default) == EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_command_of_the_readme_runs_the_example(example):
    commands = re.findall(r"^    (make .*)$", (ROOT / "examples" / example / "README.md").read_text(), re.MULTILINE)
    assert commands == [f"make examples EXAMPLE={example}"]
    planned = subprocess.run([*commands[0].split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f".venv/bin/python -m examples.{example}.run" in planned.stdout


def test_unknown_example():
    made = subprocess.run(["make", "examples", "EXAMPLE=nothing"], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 2 and "EXAMPLE=nothing names no example: examples/README.md lists them." in made.stderr


# Verilog.


@pytest.fixture(scope="module")
def soc(tmp_path_factory) -> Path:
    """A folder in which the system on chip has been compiled by Icarus Verilog and has passed."""
    folder = tmp_path_factory.mktemp("verilog_soc")
    assert verilog_soc.main(["--simulator", "icarus", "--folder", str(folder)]) == 0
    return folder


def simulate(folder: Path) -> subprocess.CompletedProcess:
    """Once more, with the memory images that lie there now."""
    return subprocess.run(["vvp", "-n", "tb.vvp"], cwd=folder, capture_output=True, text=True)


def test_verilog_soc(soc):
    write_image(preset("small"), soc)
    again = simulate(soc)
    assert again.returncode == 0 and "PASS: 72 words equal NumPy" in again.stdout


def test_verilog_soc_notices_a_wrong_weight(soc):
    write_image(preset("small"), soc, flip_weight=True)
    spoiled = simulate(soc)
    assert spoiled.returncode == 1 and re.search(r"FAIL: \d+ of 72 words differ from NumPy", spoiled.stdout)


def test_verilog_soc_notices_an_illegal_program(soc):
    write_image(preset("small"), soc)
    words = (soc / "ram.hex").read_text().splitlines()
    address = int(re.search(r"PROGRAM_ADDRESS = 32'h(\w+)", (soc / "image.vh").read_text())[1], 16)
    words[address // 8] = "f" * 16  # no such opcode
    (soc / "ram.hex").write_text("\n".join(words) + "\n")
    stopped = simulate(soc)
    assert stopped.returncode == 1 and "FAIL: the accelerator stopped with an error" in stopped.stdout


@pytest.mark.nightly
def test_verilog_soc_under_verilator(tmp_path):
    good = run("verilog_soc", "--simulator", "verilator", "--folder", tmp_path)
    assert good.returncode == 0 and "PASS: 72 words equal NumPy" in good.stdout, good
    write_image(preset("small"), tmp_path, flip_weight=True)
    bad = subprocess.run(["verilated/tb"], cwd=tmp_path, capture_output=True, text=True)
    assert bad.returncode != 0 and "words differ from NumPy" in bad.stdout, bad


# Amaranth.


def test_amaranth_component(capsys):
    assert amaranth_component.main([]) == 0
    assert "PASS: 0 of 384 values differ from NumPy" in capsys.readouterr().out


def test_amaranth_component_notices_a_wrong_weight(capsys):
    assert amaranth_component.main(["--batches", "1", "--flip-weight"]) == 1
    assert re.search(r"FAIL: [1-9]\d* of 192 values differ from NumPy", capsys.readouterr().out)


# LiteX and the notebook.


@needs_extra
@pytest.mark.nightly
def test_litex(tmp_path):
    good = run("litex", "--folder", tmp_path)
    assert good.returncode == 0 and "PASS: the result equals NumPy's" in good.stdout, good
    spoil = "from examples.litex.run import Problem; print(*(f'{word:x}' for word in Problem(True).ram), sep='\\n')"
    ram = subprocess.run([sys.executable, "-c", spoil], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (tmp_path / "soc_main_ram.init").write_text(ram)
    bad = subprocess.run(["verilated/tb"], cwd=tmp_path, capture_output=True, text=True)
    assert bad.returncode != 0 and "FAIL: the result differs from NumPy's" in bad.stdout, bad


@needs_extra
@pytest.mark.nightly
def test_litex_refuses_another_width():
    script = (
        "from examples.litex.gemmary_litex import add_accelerator; from examples.litex.soc import SoC; "
        "from gemmary.config import preset; add_accelerator(SoC([0]), preset('small'), 0x9100_0000, name='second')"
    )
    refused = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 1 and "ValueError: the accelerator's bus has 64 bits, the SoC's 32" in refused.stderr


@needs_extra
@pytest.mark.nightly
def test_notebook(tmp_path):
    good = run("notebook", "--folder", tmp_path)
    assert good.returncode == 0 and "rtl       0 of 2304 values differ" in good.stdout, good
    assert len(list(tmp_path.glob("plot-*.png"))) == 3
    check_gtkwave(ROOT / "build/examples/notebook")
    bad = run("notebook", "--folder", tmp_path, "--flip-weight")
    assert bad.returncode == 1 and "values of emulator differ from NumPy" in bad.stdout, bad


def check_gtkwave(folder: Path) -> None:
    """Every signal of the save file is in the wave file."""
    from examples.notebook.waves import declarations

    declared = {name + bits for name, (_, bits) in declarations(folder / "matmul.vcd").items()}
    traces = re.findall(r"^\+\{.*?\} (\S+)$", (folder / "matmul.gtkw").read_text(), re.MULTILINE)
    assert len(traces) == 12 and declared.issuperset(traces)


def test_notebook_is_kept_without_outputs():
    assert '"outputs": []' in (text := (ROOT / "examples/notebook/matmul.ipynb").read_text())
    assert len(re.findall(r'"outputs": \[', text)) == text.count('"outputs": []')
