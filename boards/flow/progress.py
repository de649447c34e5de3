"""What a build is doing, on stderr: one line that changes on a terminal, one line a step elsewhere."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from gemmary.errors import GemmaryError

PHASES = (
    re.compile(r"^[\d.]+ Executing (.+?)(?: pass)?(?: \(.*)?\.?$"),  # Yosys
    re.compile(r"^Info:\s+(at iteration #\d+)"),  # nextpnr's placer
    re.compile(r"^Info:\s+(\d+ \|.*)$"),  # and its router
    re.compile(r"^Info: ((?:Pack|Plac|Rout|Promot|Running)\w*.*?)\.*$"),
)
TAIL = 15
"""Lines of the log that an error shows."""


class Steps:
    """Runs the steps of a build, each with a log of its own in ``folder``."""

    def __init__(self, title: str, folder: Path):
        self.title, self.folder, self.console = title, folder, Console(stderr=True)

    @contextmanager
    def step(self, name: str) -> Iterator:
        """Shows ``name`` and, when it is over, how long it took. Yields what shows more of it."""
        begin = time.monotonic()
        with self.console.status(f"{self.title}: {name}") as status:

            def show(phase: str) -> None:
                seconds = time.monotonic() - begin
                status.update(f"{self.title}: {name} [dim]{seconds:.0f} s  {phase[:60]}[/dim]".replace("\\[", "["))

            yield show
        self.console.print(f"{self.title}: {name} took {time.monotonic() - begin:.0f} s", highlight=False)

    def run(self, name: str, command: list[str]) -> None:
        """Runs ``command`` in the folder as a step. GemmaryError with the end of its log if it fails."""
        log = self.folder / f"{name}.log"
        with self.step(name) as show, log.open("w", buffering=1) as file, self._start(command) as process:
            try:
                for line in process.stdout:
                    file.write(line)
                    for pattern in PHASES:
                        if found := pattern.match(line):
                            show(found[1])
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            lines = log.read_text().splitlines()
            errors = [line for line in lines if "ERROR" in line] or lines[-TAIL:]
            raise GemmaryError("\n".join([f"{name} failed (log: {log}):", *errors[:TAIL]]))

    def _start(self, command: list[str]) -> subprocess.Popen:
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
        return subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, **output)
