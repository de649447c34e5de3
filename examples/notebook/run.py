"""python -m examples.notebook.run: executes the notebook without a browser, and keeps the pages and its plots."""

import argparse
import base64
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
SPOIL = "b[0, 0] ^= 0x40  # one wrong weight, after NumPy had the right one"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.notebook.run", description=__doc__.split(": ")[1])
    parser.add_argument("--folder", type=Path, default=Path("build/examples/notebook"), help="for what is generated")
    parser.add_argument("--flip-weight", action="store_true", help="spoil one weight: the comparison must fail")
    options = parser.parse_args(arguments)
    notebook = nbformat.read(HERE / "matmul.ipynb", as_version=4)
    if options.flip_weight:
        first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        notebook.cells.insert(first + 1, nbformat.v4.new_code_cell(SPOIL))
    options.folder.mkdir(parents=True, exist_ok=True)
    failure = None
    try:
        client(notebook).execute()
    except CellExecutionError as error:
        failure = error
    executed = options.folder / "matmul.ipynb"
    nbformat.write(notebook, executed)
    if failure:
        print(f"FAIL: {failure.ename}: {failure.evalue} (see {executed})")
        return 1
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stdout":
                print(output.text, end="")
    print(f"PASS: {executed}", *plots(notebook, options.folder), sep="\n      ")
    return 0


def client(notebook) -> NotebookClient:
    """A kernel that works in the current folder, and listens to nobody on the network."""
    config = Config({"KernelManager": {"transport": "ipc"}})
    return NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(Path.cwd())}}, config=config)


def plots(notebook, folder: Path) -> list[Path]:
    """Writes every picture of the notebook as a file."""
    pictures = [
        output.data["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    paths = [folder / f"plot-{i}.png" for i in range(1, len(pictures) + 1)]
    for path, picture in zip(paths, pictures):
        path.write_bytes(base64.b64decode(picture))
    return paths


if __name__ == "__main__":
    raise SystemExit(main())
