"""What a build is doing, on stderr: one line that changes on a terminal, one line a step elsewhere."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape

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
        with self.several([name]) as show:
            yield partial(show, name)
        self.say(f"{name} took {time.monotonic() - begin:.0f} s")

    @contextmanager
    def several(self, names: Sequence[str]) -> Iterator:
        """Shows ``names``, which run at the same time. Yields what shows more of one: called with its name and its phase, None
        when it is over."""
        begin, phases = time.monotonic(), {}
        with self.console.status(f"{self.title}: {', '.join(names)}") as status:

            def show(name: str, phase: str | None) -> None:
                if phase is None:
                    phases.pop(name, None)
                else:
                    phases[name] = phase
                width = max(20, 60 // max(1, len(phases)))
                shown = "; ".join(f"{name} {phase[:width]}" for name, phase in list(phases.items()))
                status.update(f"{self.title}: [dim]{time.monotonic() - begin:.0f} s[/dim]  {escape(shown)}")

            yield show

    def say(self, text: str) -> None:
        self.console.print(f"{self.title}: {text}", highlight=False, markup=False, soft_wrap=True)

    def run(self, name: str, command: Sequence[str]) -> None:
        """Runs ``command`` in the folder as a step. GemmaryError with the end of its log if it fails."""
        with self.step(name) as show:
            self.watch(name, command, self.folder / f"{name}.log", show)

    def watch(self, name: str, command: Sequence[str], log: Path, show: Callable[[str], None]) -> None:
        """Runs ``command`` in the folder. GemmaryError with the end of its ``log`` if it fails."""
        with log.open("w", buffering=1) as file, self._start(command) as process:
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

    def _start(self, command: Sequence[str]) -> subprocess.Popen:
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
        return subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, **output)
