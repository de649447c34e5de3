"""What FuseSoC calls for gemmary.core: writes the Verilog of a preset, with one clock or two, and the core that holds it.

python scripts/fusesoc_generator.py CONFIG.yml    (FuseSoC's generator API, version 1.0)
"""

import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

CORE = """CAPI=2:
name: {vlnv}
filesets:
  rtl:
    files: [{file}]
    file_type: verilogSource
targets:
  default:
    filesets: [rtl]
"""


def main(request_file: str) -> int:
    from gemmary.cli import main as gemmary

    request = yaml.safe_load(Path(request_file).read_text())
    parameters = request["parameters"]
    preset, option = str(parameters["preset"]), ["--two-clocks"] if parameters.get("two_clocks") else []
    file = f"gemmary-{preset}{'-two-clocks' if option else ''}.v"
    if status := gemmary(["verilog", "--preset", preset, *option, "-o", file]):
        return status
    name = request["vlnv"].split(":")[2]
    Path(f"{name}.core").write_text(CORE.format(vlnv=request["vlnv"], file=file))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
