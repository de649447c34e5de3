"""The main job: its report and its exit statuses, on the emulator."""

import json

import pytest

from scripts import sim


def test_report(capsys, tmp_path):
    path = tmp_path / "sim" / "report.json"
    assert sim.main(["--device", "emulator", "--images", "8", "--report", str(path)]) == 0
    report = json.loads(path.read_text())
    assert report["images"] == 8 and report["mismatches"] == 0 and report["cycles"] == 0
    assert report["accuracy_int8"] >= 0.85 and report["accuracy_float"] >= 0.95
    assert {"macs", "utilization", "wall_s", "preset", "device", "simulated_s", "clock_mhz"} <= report.keys()
    assert [layer["name"] for layer in report["layers"]] == ["conv1", "conv2", "pool", "dense"]
    assert sum(layer["macs"] for layer in report["layers"]) == report["macs"]
    out, _ = capsys.readouterr()
    assert "conv1" in out and "accuracy" in out


@pytest.mark.parametrize("corrupt", ["golden", "emulator"])
def test_a_difference_is_status_1(capsys, tmp_path, monkeypatch, corrupt):
    def spoil(tensors, name):
        tensors[name] = tensors[name] ^ 1
        return tensors

    if corrupt == "golden":
        run = sim.golden.run
        monkeypatch.setattr(sim.golden, "run", lambda *a: spoil(run(*a), "conv2"))
    else:
        run, calls = sim.run, []

        def second_differs(*arguments):
            result, seconds = run(*arguments)
            calls.append(1)
            if len(calls) == 2:
                spoil(result.tensors, "conv2")
            return result, seconds

        monkeypatch.setattr(sim, "run", second_differs)
    path = tmp_path / "report.json"
    assert sim.main(["--device", "emulator", "--images", "2", "--report", str(path)]) == 1
    report = json.loads(path.read_text())
    assert report["mismatches"] == 2 * 8 * 8 * 16
    assert [layer[f"mismatches_{corrupt}"] for layer in report["layers"]] == [0, 2048, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--images", "0"], "--images must be 1 to 360, not 0"),
        (["--images", "361"], "--images must be 1 to 360, not 361"),
        (["--preset", "huge"], "unknown preset 'huge'"),
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--report", "/proc/nowhere/report.json"], "cannot write /proc/nowhere/report.json"),
    ],
)
def test_bad_input_is_status_2(capsys, tmp_path, arguments, named):
    assert sim.main(["--device", "emulator", "--report", str(tmp_path / "report.json"), *arguments]) == 2
    assert named in capsys.readouterr().err
