"""gemmary bench and gemmary sweep as commands: reports, pages, errors, resuming."""

import json
import re

import pytest

from gemmary import cli
from gemmary.bench import Clocks, Task, measure
from gemmary.bench.measure import measure as measure_layer
from gemmary.bench.problem import NetworkProblem, Problem
from gemmary.bench.row import CAUSES
from gemmary.workloads import parse
from verif.configs import TINY

LAYER = ("--layer", "matmul:20,30,40")
FIELDS = (
    "suite layer count m k n macs cycles utilization bound roofline_efficiency model_cycles model_error lost mismatches"
)


@pytest.fixture
def run(capsys, tmp_path):
    def run(command, *arguments):
        """(exit status, stdout, stderr) with reports in tmp_path."""
        try:
            status = cli.main([command, "--output", str(tmp_path), "--jobs", "1", *map(str, arguments)])
        except SystemExit as leave:
            status = leave.code
        return status, *capsys.readouterr()

    return run


def test_report(run, tmp_path):
    status, out, _ = run("bench", *LAYER, "--layer", "conv:8,8,16,16,3,1,1,1", "--json")
    report = json.loads(out)
    assert status == 0 and report["passed"] and report == json.loads((tmp_path / "report.json").read_text())
    for row in report["rows"]:
        assert set(FIELDS.split()) <= row.keys() and row["mismatches"] == 0
        assert set(row["lost"]) == set(CAUSES)
        assert sum(row["lost"].values()) == pytest.approx(row["cycles"] - row["macs"] / 256)
        assert abs(row["model_error"]) < 0.03
    (total,) = report["networks"]
    assert total["cycles"] == sum(row["cycles"] for row in report["rows"]) and total["missing"] == []


def test_totals_count_layers(run):
    status, out, _ = run("bench", "--suite", "autoencoder", "--device", "model", "--json")
    report = json.loads(out)
    (total,) = report["networks"]
    assert status == 0 and total["macs"] == 264_192
    assert total["cycles"] == sum(row["count"] * row["cycles"] for row in report["rows"])


def test_a_network_as_one_program(run, tmp_path):
    status, out, _ = run("bench", "--suite", "autoencoder", "--device", "model", "--json")
    (total,) = json.loads(out)["networks"]
    fused = {name.removeprefix("fused_"): value for name, value in total.items() if name.startswith("fused_")}
    assert status == 0 and fused["error"] is None and fused["mismatches"] is None
    assert fused["cycles"] == fused["model_cycles"] < total["cycles"]
    assert fused["roofline_efficiency"] == pytest.approx(total["bound"] / fused["cycles"])
    assert sum(fused["lost"].values()) == pytest.approx(fused["cycles"] - total["macs"] / 256)
    assert "Networks as one program" in (tmp_path / "index.html").read_text()
    _, out, _ = run("bench", "--suite", "autoencoder", "--device", "emulator", "--json")
    (total,) = json.loads(out)["networks"]
    assert total["fused_cycles"] is None and total["fused_mismatches"] == 0


def test_a_wrong_network_is_status_1(run, monkeypatch):
    right = NetworkProblem.expected
    monkeypatch.setattr(NetworkProblem, "expected", lambda self: right(self) + 1)
    status, out, _ = run("bench", "--suite", "autoencoder", "--device", "emulator", "--json")
    report = json.loads(out)
    assert status == 1 and not report["passed"] and report["networks"][0]["fused_mismatches"] == 640


def test_a_network_that_cannot_be_one_program(run):
    """Its layers are measured all the same; one without steps is not tried."""
    arguments = "--preset", "small", "--device", "model"
    status, out, _ = run("bench", "--suite", "autoencoder", *arguments)
    assert status == 0 and "as one program: step 'decoder.5'" in out and "accumulator_rows" in out
    (total,) = json.loads(run("bench", "--suite", "autoencoder", *arguments, "--json")[1])["networks"]
    assert (
        total["fused_error"].startswith("step 'decoder.5': 80 column tiles")
        and total["fused_cycles"] is None
        and total["cycles"]
    )


def test_whole_networks_have_every_layer(run):
    summed = json.loads(run("bench", "--suite", "autoencoder", "--device", "model", "--json")[1])["networks"][0]
    whole = json.loads(run("bench", "--suite", "autoencoder", "--device", "model", "--whole", "--json")[1])
    assert len({row["layer"] for row in whole["rows"]}) == 10 == summed["layers"]
    assert whole["networks"][0] | {"lost": 0} == summed | {"lost": 0}


def test_says_how_long_it_may_take(run):
    _, out, err = run("bench", "--suite", "resnet50", "--layer", "matmul:9,9,0x9")
    assert out == "" and "about" not in err
    assert "1 layer, 1 process: about 0 s" in run("bench", *LAYER, "--json")[2]


def test_resumes_where_it_stopped(run, monkeypatch):
    first = json.loads(run("bench", *LAYER, "--json")[1])

    def forbidden(*_, **__):
        raise AssertionError("a device was opened")

    monkeypatch.setattr(measure, "open_device", forbidden)
    again = json.loads(run("bench", *LAYER, "--json")[1])
    assert again["rows"] == first["rows"]
    for other in (("--latency", 50), ("--bytes-per-cycle", 8), ("--seed", 1), ("--fresh",)):
        with pytest.raises(AssertionError):
            run("bench", *LAYER, *other)


def test_wrong_result_is_status_1(run, monkeypatch):
    right = Problem.expected

    def wrong(problem):
        result = right(problem)
        result[3, 5] ^= 1
        return result

    monkeypatch.setattr(Problem, "expected", wrong)
    status, out, _ = run("bench", *LAYER, "--device", "emulator", "--json")
    assert status == 1 and json.loads(out)["rows"][0]["mismatches"] == 1


def test_layer_that_cannot_be_compiled_is_a_row(run, monkeypatch):
    def refuse(task):
        raise measure.InputError("no mapping")

    monkeypatch.setattr(measure.Problem, "of", refuse)
    status, out, _ = run("bench", *LAYER, "--device", "model", "--json")
    report = json.loads(out)
    assert status == 1 and report["rows"][0]["error"] == "no mapping" and report["rows"][0]["cycles"] is None
    assert report["networks"][0]["missing"] == ["matmul:20,30,40"]


def test_emulator_has_no_cycles(run):
    row = json.loads(run("bench", *LAYER, "--device", "emulator", "--json")[1])["rows"][0]
    assert row["mismatches"] == 0 and row["cycles"] is row["utilization"] is row["lost"] is None


def test_gops(run, tmp_path):
    """Two operations a MAC, of layers, networks, and networks as one program; without a clock none are said."""
    arguments = "bench", "--suite", "autoencoder", "--device", "model"
    report = json.loads(run(*arguments, "--clock", 30, "--json")[1])
    (total,) = report["networks"]
    for macs, cycles, gops in (
        (total["macs"], total["cycles"], total["gops"]),
        (total["macs"], total["fused_cycles"], total["fused_gops"]),
        *((row["macs"], row["cycles"], row["gops"]) for row in report["rows"]),
    ):
        assert gops == pytest.approx(macs / (cycles / 30e6) * 2 / 1e9)
    shown = run(*arguments, "--clock", 30)[1]
    assert "GOPS" in shown and "clock of 30 MHz" in shown and "GOPS" in (tmp_path / "index.html").read_text()
    assert json.loads(run(*arguments, "--json")[1])["networks"][0]["gops"] is None and "GOPS" not in run(*arguments)[1]


def test_two_clocks():
    """Cycles are those of the slower clock, the most that can be done in one is more, and the cycle model is silent."""
    layer = parse("matmul:64,64,64")
    one, two = (measure_layer(Task("layer", layer, TINY, clocks=Clocks(None, ratio))) for ratio in (0, 4))
    assert two.mismatches == one.mismatches == 0 and two.cycles < one.cycles
    assert two.utilization == pytest.approx(layer.macs / (two.cycles * 4 * TINY.macs_per_cycle))
    assert two.bound < one.bound and two.roofline_efficiency == pytest.approx(two.bound / two.cycles)
    assert two.model_cycles is two.model_error is two.lost is None and one.model_cycles


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--suite", "resnet51"), "unknown suite 'resnet51'"),
        (("--layer", "matmul:1,2"), "3 numbers"),
        (("--layer", "matmul:1,2,x"), "N must be"),
        (("--preset", "huge"), "unknown preset"),
        (("--preset", "nano"), "no DMA"),
        (("--device", "board"), "device must be one of"),
        (("--latency", 0), "latency must be"),
        (("--bytes-per-cycle", 17), "at most 16"),
        (("--bytes-per-cycle", -1), "above 0"),
        (("--stalls", 1), "below 1"),
        (("--jobs", 0), "jobs must be"),
        (("--seed", -1), "seed must"),
        (("--clock", 0), "clock must be above 0"),
        (("--clock", "inf"), "clock must be above 0"),
        (("--compute-ratio", -1), "compute ratio must be at least 0"),
        (("--compute-ratio", 2), "knows one clock"),
    ],
)
def test_bad_input_is_one_sentence(run, arguments, words):
    status, out, err = run("bench", "--device", "model", *LAYER, *arguments)
    assert status == 2 and out == "" and words in err and err.count("\n") == 1


def test_pages_load_nothing(run, tmp_path):
    run("bench", *LAYER, "--device", "model")
    bench = (tmp_path / "index.html").read_text()
    run("sweep", *LAYER, "--array", "8x8,16x16")
    for page in (bench, (tmp_path / "index.html").read_text()):
        assert page.startswith("<!doctype html>") and "<svg" in page and "matmul" in page
        assert not re.search(r"(src|href)=|url\(|@import|https?://", page)


def test_sweep(run):
    status, out, _ = run("sweep", *LAYER, "--array", "8x8,16x16,8x16", "--activation-bytes", "32,64", "--json")
    report = json.loads(out)
    assert status == 0 and len(report["results"]) == 4 and len(report["refused"]) == 2
    cycles = {result["name"]: result["cycles"] for result in report["results"]}
    assert cycles["array=8x8 activation_bytes=32"] > cycles["array=16x16 activation_bytes=32"]
    assert {result["multipliers"] for result in report["results"]} == {64, 256}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rows", "a"), "must be numbers"),
        (("--array", "8"), "sizes as 16x16"),
        (("--rows", "7"), "no combination"),
        (("--latency", "0"), "latency must"),
    ],
)
def test_sweep_refuses(run, arguments, words):
    status, out, err = run("sweep", *LAYER, *arguments)
    assert status == 2 and out == "" and words in err
