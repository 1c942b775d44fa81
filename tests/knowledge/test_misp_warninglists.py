"""MISP's warning lists, read as lists whose values mean nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aleat.errors import InputError, Issue, LimitError
from aleat.knowledge import Document, KnowledgeItem, Limits, detect_reader, read_knowledge
from aleat.knowledge.readers import misp_warninglists
from aleat.stix.extensions import read_extension
from tests.stix.strict import strict_errors

CONTENT: dict[str, Any] = {
    "name": "Resolvers",
    "version": 3,
    "description": "Everybody's resolvers.",
    "type": "cidr",
    "matching_attributes": ["ip-src", "ip-dst"],
    "list": ["192.0.2.53", "2001:db8::53", "198.51.100.0/24", "192.0.2.53"],
}


def document(content: object, name: str = "list.json") -> Document:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Document(name, name, len(data), data[:8192], lambda: data)


def read(content: object, limits: Limits | None = None) -> tuple[list[KnowledgeItem], list[Issue]]:
    found = list(misp_warninglists.read(document(content), limits or Limits()))
    return [i for i in found if isinstance(i, KnowledgeItem)], [i for i in found if isinstance(i, Issue)]


def rows(item: KnowledgeItem) -> list[tuple[str, str, str, int]]:
    assert item.entries is not None
    return [(row["type"], row["value"], row["context"], row["count"]) for row in item.entries.to_pylist()]


def test_a_warning_list_is_a_benign_indicator_that_says_how_it_is_compared() -> None:
    """Each value once, as it is written; a repeated one is counted."""
    (item,), issues = read(CONTENT)
    assert issues == []
    assert rows(item) == [
        ("ipv4-addr", "192.0.2.53", "", 2),
        ("ipv6-addr", "2001:db8::53", "", 1),
        ("ipv4-addr", "198.51.100.0/24", "", 1),
    ]
    listed = read_extension(item.object, "list") or {}
    assert listed["warning"] == {"match": "cidr", "attributes": ["ip-src", "ip-dst"], "version": "3"}
    assert (item.object.name, item.object.properties()["indicator_types"]) == ("Resolvers", ["benign"])
    assert strict_errors(item.object) == []
    assert read(CONTENT)[0][0].object == item.object
    assert read({**CONTENT, "version": 4})[0][0].object.id != item.object.id


def test_values_may_have_comments_and_types_may_be_absent() -> None:
    """As the older lists are, and those that somebody exports."""
    (item,), _ = read({"name": "x", "list": {"a.example": "ours", "b.example": None}, "version": "7"})
    assert rows(item) == [("text", "a.example", "ours", 1), ("text", "b.example", "", 1)]
    assert (read_extension(item.object, "list") or {})["warning"]["match"] == "string"
    assert rows(read({"name": "x", "type": ["hostname"], "list": ["A.example"]})[0][0])[0][0] == "domain-name"


def test_what_is_no_value_or_no_list_is_named() -> None:
    """It costs only itself, or says what is wrong with the file."""
    (item,), (issue,) = read({**CONTENT, "type": "string", "list": ["x", "", None, 7, True, ["y"]]})
    assert [value for _, value, _, _ in rows(item)] == ["x", "7"]
    assert (issue.code, issue.records) == ("list-value", 4)
    assert [i.code for i in read({**CONTENT, "type": "fuzzy"})[1]] == ["warning-list"]
    for wrong in (
        b'{"name": "x", "list": [1,',
        b'{"name": "x", "list": 3}',
        b'{"list": []}',
        b"[]",
        b'{"list":' + b"[" * 5000,
    ):
        with pytest.raises(InputError):
            read(wrong)
    with pytest.raises(LimitError, match="warning_list_bytes"):
        read(CONTENT, Limits(warning_list_bytes=10))


@pytest.mark.parametrize(
    ("content", "name", "is_one"),
    [
        (CONTENT, "list.json", True),
        ({"list": ["x"], "name": "x"}, "any.json", True),
        ({"name": "x"}, "list.json", False),
        ({"list": 1, "name": "x"}, "list.json", False),
        ({"type": "bundle", "id": "bundle--1", "objects": [], "list": []}, "list.json", False),
        (CONTENT, "list.txt", False),
    ],
)
def test_warning_lists_are_told_from_other_json(content: object, name: str, is_one: bool) -> None:
    """By their first member and their list."""
    reader = detect_reader(document(content, name))
    assert (reader is not None and reader.name == "misp-warninglists") is is_one


@pytest.mark.data
def test_every_warning_list_is_read_whole(test_data: Path) -> None:
    """Each file one object, each value one entry."""
    found = {}
    for item in read_knowledge([test_data / "warninglists"]):
        assert isinstance(item, KnowledgeItem), item
        assert item.entries is not None
        content = json.loads(Path(item.place.path).read_bytes())
        assert sum(item.entries.column("count").to_pylist()) == len(content["list"])
        assert item.entries.column("value").to_pylist() == list(dict.fromkeys(content["list"]))
        warning = (read_extension(item.object, "list") or {})["warning"]
        assert warning["attributes"] == content["matching_attributes"]
        assert (item.object.name, warning["match"]) == (content["name"], content["type"])
        assert strict_errors(item.object) == []
        found[Path(item.place.path).parent.name] = item.entries.num_rows
    assert sorted(found) == sorted(path.name for path in (test_data / "warninglists").iterdir())
