"""YAML of strangers: split, bounded, with the place of every fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import InputError
from aleat.knowledge import Limits
from aleat.knowledge.yaml_documents import YamlDocument, split_documents

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def split(text: str, limits: Limits | None = None) -> tuple[list[YamlDocument], list[InputError]]:
    items = list(split_documents(text, "r.yml", limits or Limits()))
    documents = [item for item in items if isinstance(item, YamlDocument)]
    return documents, [item for item in items if isinstance(item, InputError)]


def test_a_file_of_one_document_is_kept_whole() -> None:
    """With its comments."""
    text = "# a comment\ntitle: ë\n# the end\n"
    documents, faults = split(text)
    assert ([(item.text, item.line, item.value) for item in documents], faults) == ([(text, 1, {"title": "ë"})], [])


def test_documents_of_one_file_are_parted() -> None:
    """Each with its own text and first line; separators within texts are none."""
    text = "# first\na: 1\n---\nb: |\n  x\n  ---\n  y\n--- \nc: 3\n---\n"
    documents, faults = split(text)
    assert faults == []
    assert [(item.line, item.value) for item in documents] == [
        (1, {"a": 1}),
        (4, {"b": "x\n---\ny\n"}),
        (9, {"c": 3}),
        (11, None),
    ]
    assert documents[0].text == "# first\na: 1\n"
    assert documents[2].text == "c: 3\n"


@pytest.mark.parametrize(
    ("fault", "text", "line", "column", "reason"),
    [
        ("tab as indentation", "a:\n\tb: 1\n", 2, 1, "no YAML"),
        ("unclosed list", "a: [1, 2\nb: 3\n", 2, 2, "no YAML"),
        ("wrong indentation", "a: 1\n  b: 2\n", 2, 4, "no YAML"),
        ("unclosed quote", "a: 'x\n", 2, 1, "no YAML"),
        ("control character", "a: \x01\n", 1, 4, "no YAML"),
        ("key twice", "a: 1\nb: 2\na: 3\n", 3, 1, "stands twice"),
        ("key twice, deep", "d:\n  s:\n    x: 1\n    x: 2\n", 4, 5, "stands twice"),
        ("anchor that isn't", "a: *nothing\n", 1, 4, "no YAML"),
        ("foreign tag", "a: !!python/object/apply:os.system ['id']\n", 1, 4, "no YAML"),
        ("date that isn't", "a: 2024-13-45\n", 1, None, "can't be loaded"),
        ("billion laughs", BOMB, 5, None, "yaml_nodes"),
        ("nesting", "[" * 60 + "]" * 60, 1, 51, "yaml_depth"),
        ("nesting in blocks", "- " * 60, 1, 101, "yaml_depth"),
        ("nesting beyond reason", "[" * 1_000_000, 1, 51, "yaml_depth"),
        ("list as a key", "? [a, b]\n: 1\n", 1, None, "can't be loaded|no YAML"),
    ],
)
def test_a_fault_has_its_line_and_column(fault: str, text: str, line: int, column: int | None, reason: str) -> None:
    """What an analyst needs to find it."""
    documents, faults = split(text)
    assert documents == []
    assert len(faults) == 1, fault
    assert faults[0].place is not None
    assert faults[0].place.line == line
    if column is not None:
        assert faults[0].place.column == column
    assert any(part in faults[0].reason for part in reason.split("|"))


def test_what_stood_before_a_fault_is_kept() -> None:
    """And a document that can't be loaded costs only itself."""
    documents, faults = split("a: 1\n---\nb: 2024-13-45\n---\nc: 3\n---\nd: [\n")
    assert [item.value for item in documents] == [{"a": 1}, {"c": 3}]
    assert [error.place.line for error in faults if error.place] == [3, 8]


def test_a_file_of_too_many_documents_is_cut() -> None:
    """With the limit's name."""
    documents, faults = split("---\na: 1\n" * 9, Limits(yaml_documents=4))
    assert len(documents) == 4
    assert "yaml_documents" in faults[0].reason


@given(st.text(max_size=200) | st.text(alphabet="-: \n[]{}&*a'\"|>!#?", max_size=120))
def test_any_text_is_documents_or_faults(text: str) -> None:
    """Never anything else."""
    split(text)
