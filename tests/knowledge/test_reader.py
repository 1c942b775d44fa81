"""The seam: which reader reads what, and what a collection says about its documents."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pytest

from aleat.errors import Issue, TrustError
from aleat.knowledge import READERS, KnowledgeItem, detect_reader, read_knowledge
from aleat.knowledge.opener import open_documents
from aleat.trust.corpora import parse_policy, policy_bytes
from aleat.trust.markings import marking_id

POLICY = parse_policy(policy_bytes())
MITRE = POLICY.get("mitre-attack")
UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
RULE = "title: {}\nlogsource: {{product: windows}}\ndetection: {{a: {{b: c}}, condition: a}}\n"
LICENCE = "Released under the Detection Rule License (DRL) 1.1 by SigmaHQ.\n"
TECHNIQUE = {
    "type": "attack-pattern",
    "spec_version": "2.1",
    "id": f"attack-pattern--{UUID}",
    "created": "2022-07-15T08:00:00.000Z",
    "modified": "2022-07-15T08:00:00.000Z",
    "created_by_ref": MITRE.identity,
    "object_marking_refs": list(MITRE.markings),
    "name": "T",
}


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def bundle(*objects: dict[str, object]) -> str:
    return json.dumps({"type": "bundle", "id": f"bundle--{UUID}", "objects": objects})


def read(path: Path, **options: object) -> tuple[list[KnowledgeItem], list[Issue]]:
    items = list(read_knowledge([path], **options))  # type: ignore[arg-type]
    return [i for i in items if isinstance(i, KnowledgeItem)], [i for i in items if isinstance(i, Issue)]


def test_a_mixed_folder_is_sorted_among_the_readers(tmp_path: Path) -> None:
    """The first that detects reads; what none detects is named."""
    write(
        tmp_path,
        a_json=bundle(TECHNIQUE),
        b_yml=RULE.format("b"),
        c_csv="domain\nevil.example\n",
        d_bin="\x00\x01",
        e_txt="Some prose, and nothing to hunt for in it.",
    )
    names = [reader.name for reader in READERS]
    order = [names.index(name) for name in ("stix", "misp-warninglists", "sigma", "yara", "lists", "prose")]
    assert order == sorted(order)
    readers = [detect_reader(item) for item in open_documents(tmp_path) if not isinstance(item, Issue)]
    assert [reader.name if reader else None for reader in readers] == ["stix", "sigma", "lists", None, None]
    items, issues = read(tmp_path)
    assert [item.object.type for item in items] == ["attack-pattern", "indicator", "indicator"]
    assert [(issue.code, issue.place.path.rpartition("/")[2]) for issue in issues] == [
        ("not-knowledge", "d.bin"),
        ("not-knowledge", "e.txt"),
    ]


def test_one_broken_file_costs_only_itself(tmp_path: Path) -> None:
    """Its issue has its path."""
    write(tmp_path, a_json='{"type":"bundle","objects":[', b_yml=RULE.format("b"), c_yml="a: [", d_yml="x" * 1_100_000)
    items, issues = read(tmp_path)
    assert len(items) == 1
    assert [(issue.code, issue.place.path.rpartition("/")[2]) for issue in issues] == [
        ("object", "a.json"),
        ("rule-syntax", "c.yml"),
        ("limit", "d.yml"),
    ]


def test_a_bundle_of_a_public_corpus_is_recognised(tmp_path: Path) -> None:
    """Unless a label was put on it, or nobody asked."""
    write(tmp_path, a_json=bundle(TECHNIQUE))
    (item,), _ = read(tmp_path, policy=POLICY)
    assert (item.corpus, item.corpus_basis) == ("mitre-attack", "appearance")
    (item,), _ = read(tmp_path)
    assert (item.corpus, item.corpus_basis) == (None, "")
    (item,), _ = read(tmp_path, policy=POLICY, markings=[marking_id("tlp:amber")])
    assert (item.corpus, item.markings) == (None, (marking_id("tlp:amber"),))


def test_rules_of_a_corpus_are_recognised_in_its_folders_only(tmp_path: Path) -> None:
    """In a folder and in a zip archive of it alike."""
    write(tmp_path / "sigma", LICENSE=LICENCE, rules__a_yml=RULE.format("a"), mine__b_yml=RULE.format("b"))
    with zipfile.ZipFile(tmp_path / "sigma.zip", "w") as archive:
        for path in sorted((tmp_path / "sigma").rglob("*.*")):
            archive.write(path, f"sigma-main/{path.relative_to(tmp_path / 'sigma')}")
        archive.write(tmp_path / "sigma" / "LICENSE", "sigma-main/LICENSE")
    for given in (tmp_path / "sigma", tmp_path / "sigma.zip"):
        items, _ = read(given, policy=POLICY)
        found = {item.object.name: (item.corpus, item.corpus_basis) for item in items}
        assert found == {"a": ("sigmahq", "appearance"), "b": (None, "")}


def test_a_declared_corpus_is_believed_but_not_beside_a_label(tmp_path: Path) -> None:
    """A list whose rows have a label keeps it; a corpus that isn't known is refused at once."""
    write(tmp_path, a_yml=RULE.format("a"), b_csv="domain,tlp\na.example,red\n")
    items, _ = read(tmp_path, corpus="sigmahq", policy=POLICY)
    assert [(item.corpus, item.corpus_basis) for item in items] == [("sigmahq", "declared"), (None, "")]
    items, _ = read(tmp_path, corpus="attack")
    assert items[0].corpus == "mitre-attack"
    with pytest.raises(TrustError, match="knows no corpus"):
        read(tmp_path, corpus="mine", policy=POLICY)


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    """No clock, no randomness: the same objects in the same order."""
    write(tmp_path, a_json=bundle(TECHNIQUE), b_yml=RULE.format("b"), c_csv="domain\nevil.example\n")
    assert [i.object for i in read(tmp_path)[0]] == [i.object for i in read(tmp_path)[0]]


@pytest.mark.parametrize("text", ['value,comment\n1.2.3.4,"a, b"\n', "1.2.3.4\n", '"value","x"\n"1.2.3.4","a""b\n'])
def test_reading_a_list_leaves_the_csv_module_as_it_was(text: str, tmp_path: Path) -> None:
    """Its limit is the whole process's, which can be somebody else's program."""
    before = csv.field_size_limit()
    (tmp_path / "list.csv").write_text(text)
    list(read_knowledge([tmp_path / "list.csv"]))
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_json_in_utf_16_is_read_as_in_utf_8(tmp_path: Path, encoding: str) -> None:
    """As Windows tools write it; the objects are the same, whatever the file's encoding was."""
    text = json.dumps({"type": "bundle", "id": f"bundle--{UUID}", "objects": [{**TECHNIQUE, "name": "Tiranë 🦅"}]})
    (tmp_path / "plain.json").write_text(text, "utf-8")
    (tmp_path / "wide.json").write_bytes(("\ufeff" + text).encode(encoding))
    first, second = (item for item in read_knowledge([tmp_path]) if isinstance(item, KnowledgeItem))
    assert (first.object.raw, first.place.offset) == (second.object.raw, second.place.offset)


def test_json_that_is_no_utf_16_is_named(tmp_path: Path) -> None:
    """With the reason, and nothing else."""
    item = json.dumps(TECHNIQUE)
    data = ("\ufeff" + f'{{"type": "bundle", "id": "bundle--{UUID}", "objects": [{item}').encode("utf-16-le")
    (tmp_path / "wide.json").write_bytes(data + b"\x00\xdc\x00")
    found = list(read_knowledge([tmp_path]))
    assert [type(one).__name__ for one in found] == ["Issue"]
    assert "no UTF-16" in str(found[0])
