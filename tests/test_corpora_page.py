"""The page on public corpora is current: each goes in with one command, and a second time changes nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_SPEC = importlib.util.spec_from_file_location("corpora_page", ROOT / "docs" / "corpora.py")
assert _SPEC
assert _SPEC.loader
corpora_page = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = corpora_page  # where dataclasses look for their names
_SPEC.loader.exec_module(corpora_page)


@pytest.mark.long
@pytest.mark.data
def test_the_page_says_what_becomes_of_each_corpus(test_data: Path) -> None:
    """Whoever changes a reader runs `make docs` where the corpora are; adding the same again adds nothing."""
    corpora = corpora_page.read_corpora(test_data)
    assert len(corpora) == len(corpora_page.CORPORA)
    for corpus in corpora:
        assert corpus.added.new
        assert (corpus.again.new, corpus.added.conflicts) == (0, 0)
    assert corpora_page.page(corpora) == corpora_page.PAGE.read_text(encoding="utf-8")


def test_the_page_is_not_touched_where_there_are_no_corpora(tmp_path: Path) -> None:
    """It would say that nothing goes in."""
    before = corpora_page.PAGE.read_bytes()
    assert corpora_page.main([str(tmp_path / "absent")]) == 0
    assert corpora_page.PAGE.read_bytes() == before
