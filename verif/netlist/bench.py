"""Small Verilog in Icarus Verilog: a file of stimulus in, what the outputs showed out."""

import subprocess
from pathlib import Path


def simulate(
    sources: list[str], inputs: int, outputs: int, instances: str, stimulus: list[int], folder: Path, start: int = 0
) -> list[int]:
    """The ``outputs`` bits of vector ``out`` after each value of vector ``in`` (``inputs`` bits) in ``stimulus``.

    The first ``start`` steps are left out: outputs may be unknown there. ``instances`` is the body of the bench's module, which
    drives ``out`` from ``in``. AssertionError with what the simulator says if it does not run to its end.
    """
    bench = f"""
    module bench;
        reg [{inputs - 1}:0] in, stimulus [0:{len(stimulus) - 1}];
        wire [{outputs - 1}:0] out;
        integer step;
        {instances}
        initial begin
            $readmemh("stimulus.hex", stimulus);
            for (step = 0; step < {len(stimulus)}; step = step + 1) begin
                in = stimulus[step];
                #1 $display("%h", out);
            end
            $display("end");
        end
    endmodule
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stimulus.hex").write_text("\n".join(f"{value:x}" for value in stimulus))
    (folder / "bench.v").write_text("\n".join([*sources, bench]))
    for command in (["iverilog", "-g2012", "-s", "bench", "-o", "bench.vvp", "bench.v"], ["vvp", "-n", "bench.vvp"]):
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    lines = run.stdout.split()
    assert lines[-1] == "end", run.stdout[-2000:]
    assert len(lines) == len(stimulus) + 1, run.stdout[:2000]
    known = lines[start:-1]
    assert "x" not in "".join(known).lower(), "an output is unknown"
    return [int(line, 16) for line in known]


def bits(name: str, width: int, vector: str) -> str:
    """Connections of the ports ``name0``, ``name1``, … to the bits of ``vector``."""
    return ", ".join(f".{name}{i}({vector}[{i}])" for i in range(width))
