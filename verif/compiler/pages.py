"""Runs the Python of a section of docs/compiler.md."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "compiler.md"


def run_page(title: str) -> dict:
    """The names that the section's snippets leave, run one after the other."""
    section = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)
    (text,) = (each for each in section if each.startswith(title))
    snippets, names = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S), {}
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, str(PAGE), "exec"), names)
    return names
