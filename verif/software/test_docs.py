"""The generated pages say what the specification says."""

import re
import subprocess
import sys

import pytest

from gemmary import isa, registers
from scripts import generate_docs


def test_generated_pages_are_fresh():
    assert generate_docs.stale() == [], "run make docs"


@pytest.mark.parametrize("page", generate_docs.PAGES)
def test_a_changed_page_is_stale(page, tmp_path):
    for name, text in generate_docs.PAGES.items():
        (tmp_path / name).write_text(text(), encoding="utf-8")
    assert generate_docs.stale(tmp_path) == []
    changed = (tmp_path / page).read_text(encoding="utf-8").replace("0", "O", 1)
    (tmp_path / page).write_text(changed, encoding="utf-8")
    assert generate_docs.stale(tmp_path) == [page]
    (tmp_path / page).unlink()
    assert generate_docs.stale(tmp_path) == [page]


def test_check_exits_with_1_when_a_page_is_stale(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["generate_docs", "--check"])
    assert generate_docs.main() == 0
    monkeypatch.setitem(generate_docs.PAGES, "isa.md", lambda: "something else")
    assert generate_docs.main() == 1
    assert "docs/isa.md is stale: run make docs" in capsys.readouterr().err


def test_the_command_runs():
    done = subprocess.run([sys.executable, "-m", "scripts.generate_docs", "--check"], cwd=generate_docs.DOCS.parent)
    assert done.returncode == 0


def test_every_field_cause_and_register_is_on_its_page():
    isa_page, registers_page = (generate_docs.PAGES[name]() for name in ("isa.md", "registers.md"))
    for form in isa.FORMATS.values():
        section = isa_page.split(f"## {form.opcode.name}\n")[1].split("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` \| \d", section, re.M) == [field.name for field in form.fields]
    for cause in isa.Cause:
        assert f"| {int(cause)} | {cause.name} |" in isa_page
    for register in registers.REGISTERS:
        repeated = registers.SEMAPHORE_BASE <= register.address < registers.COUNTER_BASE
        if not repeated:
            assert f"| 0x{register.address:03x} | {register.name} |" in registers_page
        for field in register.fields:
            assert f"| {register.name} | `{field.name}` |" in registers_page


def test_links_between_pages_lead_somewhere():
    for name, page in generate_docs.PAGES.items():
        for target in re.findall(r"\]\(([\w.-]+\.md)\)", page()):
            assert (generate_docs.DOCS / target).exists(), (name, target)
