"""The documentation tells the truth: generated pages are current, links lead somewhere, words are explained."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/*.md"))
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")

_SPEC = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
assert _SPEC
assert _SPEC.loader
reference = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reference)


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_generated_pages_are_current(name: str) -> None:
    """Whoever changes a command, an extension or a limit runs `make docs`."""
    made = reference.PAGES[name]()
    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == made


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file or folder of the project."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


def test_every_command_says_what_it_does() -> None:
    """Each command has a sentence of help, and each of its options too."""
    for words in reference.commands():
        text = reference.help_text(words)
        assert len(text.splitlines()) > 3, words


def test_the_readme_names_every_room() -> None:
    """The house in the README is the house."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for room in (path for path in (ROOT / "src" / "aleat").iterdir() if (path / "__init__.py").is_file()):
        assert f"`{room.name}`" in text, room.name


def test_nothing_speaks_of_where_it_was_made() -> None:
    """No path of a machine, no registry's host in the lock."""
    for path in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in path.read_text(encoding="utf-8")
