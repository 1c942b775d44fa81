"""A document and what stands beside it in its collection."""

from __future__ import annotations

import pytest

from aleat.knowledge import Document

FILES = {"rules/a.yar": b"a", "rules/b.yar": b"b", "rules/deep/c.yar": b"c", "top.yar": b"top"}


def document(relative: str = "rules/a.yar") -> Document:
    return Document(f"pack/{relative}", relative, 1, b"a", lambda: b"a", collected=FILES.get)


@pytest.mark.parametrize(
    ("relative", "found"),
    [
        ("b.yar", b"b"),
        ("./b.yar", b"b"),
        ("deep/../b.yar", b"b"),
        ("deep/c.yar", b"c"),
        ("deep\\c.yar", b"c"),
        ("../top.yar", b"top"),
    ],
)
def test_a_file_beside_it_is_had_by_its_relative_path(relative: str, found: bytes) -> None:
    """Relative to the document's own folder."""
    assert document().sibling(relative) == found


@pytest.mark.parametrize(
    "relative", ["", "/top.yar", "\\top.yar", "../../top.yar", "../..", "none.yar", "b.yar\0", "..", "x" * 5000]
)
def test_no_path_leads_out_of_the_collection(relative: str) -> None:
    """Nor to what isn't there."""
    assert document().sibling(relative) is None


def test_a_document_on_its_own_has_nothing_beside_it() -> None:
    """What came alone, alone is read."""
    assert Document("a", "a", 1, b"a", lambda: b"a").sibling("b") is None
