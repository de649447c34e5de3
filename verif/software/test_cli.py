"""The command line: exit statuses, messages, JSON alone on stdout."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from gemmary import cli
from gemmary.config import PRESETS
from gemmary.isa import Cause
from gemmary.runtime.device import DeviceError


def gemmary(capsys, *arguments):
    """(exit status, stdout, stderr) of a command."""
    try:
        status = cli.main(list(map(str, arguments)))
    except SystemExit as leave:  # argparse: --help, --version, wrong usage
        status = leave.code
    out, err = capsys.readouterr()
    return status, out, err


MATMUL = ("matmul", "-m", 5, "-k", 6, "-n", 7, "--device", "emulator")


def test_matmul_prints_the_figures(capsys):
    status, out, _ = gemmary(capsys, *MATMUL)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["mismatches", "cycles", "macs", "utilization", "wall_s"]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("result", ["int8", "int32"])
def test_matmul_json_is_alone_on_stdout(capsys, preset, result):
    status, out, _ = gemmary(capsys, *MATMUL, "--preset", preset, "--result", result, "--seed", 3, "--json")
    report = json.loads(out)
    assert status == 0 and out.count("\n") == 1
    assert report["mismatches"] == 0 and report["macs"] == 5 * 6 * 7 and report["cycles"] == 0
    assert {"utilization", "wall_s", "preset", "device", "seed"} <= report.keys()


def test_mismatch_is_status_1(capsys, monkeypatch):
    problem = cli.matmul._problem

    def wrong(*arguments):
        operands, expected = problem(*arguments)
        expected[0, 0] ^= 1
        return operands, expected

    monkeypatch.setattr(cli.matmul, "_problem", wrong)
    status, out, _ = gemmary(capsys, *MATMUL, "--json")
    assert status == 1 and json.loads(out)["mismatches"] == 1


def test_device_that_stops_is_status_1(capsys, monkeypatch):
    def stop(*_):
        raise DeviceError(Cause.WATCHDOG, 96)

    monkeypatch.setattr(cli.matmul, "execute", stop)
    status, out, err = gemmary(capsys, *MATMUL)
    assert (status, out) == (1, "") and err.startswith("gemmary: instruction at byte 96 stopped the accelerator")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("matmul", "-m", 0, "-k", 1, "-n", 1), "m must be 1 to 131072, not 0"),
        (("matmul", "-m", 1, "-k", 131073, "-n", 1), "k must be 1 to 131072, not 131073"),
        (("matmul", "-m", 1, "-k", 1, "-n", -3), "n must be 1 to 131072, not -3"),
        (("matmul", "-m", "x", "-k", 1, "-n", 1), "invalid int value: 'x'"),
        (("matmul", "-m", 1, "-k", 1), "arguments are required: -n"),
        ((*MATMUL, "--seed", -1), "seed must not be negative"),
        ((*MATMUL, "--preset", "huge"), "unknown preset 'huge': choose one of base"),
        (("matmul", "-m", 1, "-k", 1, "-n", 1, "--device", "abacus"), "unknown device 'abacus': choose one of"),
        ((*MATMUL, "--latency", 20), "--latency, --bytes-per-cycle and --stalls are for rtl"),
        ((*MATMUL, "--program", "/nowhere/at/all"), "cannot write /nowhere/at/all: No such file or directory"),
        (("disassemble", "/nowhere/at/all"), "cannot read /nowhere/at/all: No such file or directory"),
        (("disassemble", "/"), "cannot read /: Is a directory"),
        (("bogus",), "invalid choice: 'bogus'"),
        ((), "arguments are required: COMMAND"),
    ],
)
def test_bad_input_is_status_2_and_one_sentence(capsys, arguments, named):
    status, out, err = gemmary(capsys, *arguments)
    assert status == 2 and out == ""
    assert named in err and err.count("\n") == 1 and "Traceback" not in err


def test_disassemble(capsys, tmp_path):
    program = tmp_path / "matmul.bin"
    assert gemmary(capsys, *MATMUL, "--program", program)[0] == 0
    status, out, _ = gemmary(capsys, "disassemble", program)
    assert status == 0
    lines = out.splitlines()
    assert len(lines) == program.stat().st_size // 96
    assert lines[0].split()[:2] == ["0", "load"] and lines[1].split()[0] == "60"
    for broken, named in (
        (b"", "is empty"),
        (b"abc", "not a multiple of 96"),
        (bytes(96), "at byte 0: illegal instruction"),
    ):
        program.write_bytes(broken)
        status, out, err = gemmary(capsys, "disassemble", program)
        assert (status, out) == (2, "") and named in err


def test_presets(capsys):
    status, out, _ = gemmary(capsys, "presets")
    assert status == 0 and all(name in out for name in PRESETS)
    status, out, _ = gemmary(capsys, "presets", "--json")
    assert status == 0 and json.loads(out)["base"]["rows"] == 16


@pytest.mark.parametrize("command", [(), ("matmul",), ("presets",), ("disassemble",)])
def test_help_has_examples(capsys, command):
    status, out, _ = gemmary(capsys, *command, "--help")
    assert status == 0 and "examples:" in out and f"gemmary {' '.join(command)}" in out


def test_version(capsys):
    status, out, _ = gemmary(capsys, "--version")
    assert status == 0 and out.split()[0] == "gemmary" and out.split()[1][0].isdigit()


def commands(monkeypatch, **modules):
    entries = [EntryPoint(name, value, "gemmary.commands") for name, value in modules.items()]
    monkeypatch.setattr(cli, "entry_points", lambda group: entries)


def greet(subparsers):
    parser = subparsers.add_parser("greet", help="say hello")
    parser.add_argument("name")
    parser.set_defaults(run=lambda options: print(f"hello {options.name}") or 0)


def test_commands_of_other_packages(capsys, monkeypatch):
    commands(monkeypatch, greet="verif.software.test_cli:greet", absent="no_such_package.commands:absent")
    status, out, _ = gemmary(capsys, "--help")
    assert status == 0 and "greet" in out and "absent" in out
    assert gemmary(capsys, "greet", "you")[:2] == (0, "hello you\n")
    status, out, err = gemmary(capsys, "absent", "--help")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "command 'absent' needs the Python package no_such_package" in err and "pip install" in err


def test_the_host_side_does_not_import_the_hardware():
    code = "import sys; from gemmary import cli; cli.build_parser(); print([m for m in sys.modules if m[:3] in ('hdl', 'ama')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    program = tmp_path / "matmul.bin"
    assert cli.main([*map(str, MATMUL[:2]), "64", *map(str, MATMUL[3:]), "--program", str(program)]) == 0
    command = f"{sys.executable} -m gemmary.cli disassemble {program} | head -n 1; test ${{PIPESTATUS[0]}} -eq 0"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
