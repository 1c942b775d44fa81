"""What is known, as its user sees it: lists, one object, conflicts, packs compared, givers."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aleat import Workspace
from aleat.errors import InputError
from aleat.store.objects import StoredObject, get_variants
from aleat.trust.markings import marking_id
from aleat.workspace import KnowledgeFilter, knowledge_view, write_sightings
from tests.workspace.samples import BAD_ADDRESS, bundle, write_logs, write_pack

NOW = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)
ADDRESS = "indicator--11111111-1111-4111-8111-000000000001"
WIDE = "indicator--11111111-1111-4111-8111-000000000002"
MALWARE = "malware--11111111-1111-4111-8111-000000000003"
WIDE_PATTERN = "[ipv4-addr:value ISSUBSET '203.0.0.0/8']"
HOSTILE = "Everything \u202e\x1b[31m<script>"


def bundle_of(*objects: dict[str, Any]) -> bytes:
    """A bundle of these."""
    return json.dumps({"type": "bundle", "id": f"bundle--{ADDRESS[11:]}", "objects": objects}).encode()


def west_pack() -> list[dict[str, Any]]:
    """West's: the address that north has too, an old one that is too general, malware with an alias, a relation."""
    (address,) = json.loads(bundle())["objects"]
    wide = {**address, "id": WIDE, "name": HOSTILE, "pattern": "[domain-name:value = '*.com']", "confidence": 80}
    wide |= {"valid_until": "2022-02-01T00:00:00Z", "labels": ["Beacon"]}
    times = {"spec_version": "2.1", "created": address["created"], "modified": address["modified"]}
    malware = {"type": "malware", "id": MALWARE, "name": "QuillWiper", "aliases": ["Quill"], "is_family": True} | times
    malware["object_marking_refs"] = [marking_id("tlp:amber")]
    malware["external_references"] = [{"source_name": "mitre-attack", "external_id": "S9999"}]
    relation = {"type": "relationship", "id": f"relationship--{ADDRESS[11:]}", "relationship_type": "indicates"} | times
    return [address, wide, malware, {**relation, "source_ref": ADDRESS, "target_ref": MALWARE}]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two givers' knowledge, hunted."""
    root = tmp_path_factory.mktemp("known")
    (root / "west.json").write_bytes(bundle_of(*west_pack()))
    with Workspace.init(root / "case", key_folder=root / "keys", actor="agim", clock=lambda: NOW) as ws:
        ws.add_knowledge(write_pack(root / "pack"), giver="north", marking="green")
        added = ws.add_knowledge(root / "west.json", giver="west")
        assert added.quality == {"too-general": 1}
        ws.add_evidence(write_logs(root / "logs"))
        ws.hunt(workers=1)
    return root


@pytest.fixture
def known(made: Path) -> Iterator[Workspace]:
    """The workspace, to be looked at."""
    with Workspace.open(made / "case", key_folder=made / "keys", actor="agim", clock=lambda: NOW) as ws:
        yield ws


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the workspace, to be changed."""
    shutil.copytree(made / "case", tmp_path / "case")
    with Workspace.open(tmp_path / "case", key_folder=made / "keys", actor="agim", clock=lambda: NOW) as ws:
        yield ws


CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({"types": ("malware",)}, {"QuillWiper"}),
    ({"pattern_types": ("sigma",)}, {"Wiper Started"}),
    ({"pattern_types": ("list",)}, {"addresses.csv"}),
    ({"givers": ("West",)}, {"Server 1", HOSTILE, "QuillWiper", "Server 1 indicates QuillWiper"}),
    ({"markings": (marking_id("tlp:amber"),)}, {"QuillWiper"}),
    ({"markings": (marking_id("tlp:green"),)}, {"Server 1", "Wiper Started", "addresses.csv"}),
    ({"labels": ("beacon",)}, {HOSTILE}),
    ({"text": "quill"}, {"QuillWiper"}),
    ({"text": "S9999"}, {"QuillWiper"}),
    ({"text": "6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0001"}, {"Wiper Started"}),
    ({"value": BAD_ADDRESS}, {"Server 1", "addresses.csv"}),
    ({"quality": ("too-general",)}, {HOSTILE}),
    ({"quality": ("malformed",)}, set()),
    ({"quality": ("any",)}, {HOSTILE}),
    ({"states": ("expired",)}, {HOSTILE}),
    ({"states": ("hit",)}, {"Server 1", "Wiper Started", "addresses.csv"}),
    ({"states": ("never-hit",)}, {HOSTILE}),
    ({"states": ("conflict",)}, set()),
    ({"corpora": ("attack",)}, set()),
    ({"since": datetime(2022, 8, 2, tzinfo=UTC)}, set()),
    ({"types": ("malware",), "until": datetime(2022, 8, 2, tzinfo=UTC)}, {"QuillWiper"}),
    ({"types": ("malware",), "givers": ("north",)}, set()),
]


@pytest.mark.parametrize(("asked", "names"), CASES)
def test_every_filter_finds_what_it_names(known: Workspace, asked: dict[str, Any], names: set[str]) -> None:
    """And all that are given must fit."""
    found = known.knowledge(KnowledgeFilter(**asked), limit=None)
    assert {row.name for row in found.rows} == names
    assert found.total == len(found.rows)


def test_the_first_of_many_are_shown_and_all_are_counted(known: Workspace) -> None:
    """Twenty on the first screen, the totals by type beside them."""
    found = known.knowledge(limit=2)
    assert len(found.rows) == 2
    assert found.total == 6
    assert found.types == {"indicator": 4, "malware": 1, "relationship": 1}


def test_two_givers_of_one_object_stay_two(known: Workspace) -> None:
    """Each copy with its own marking, place and time; one object, hunted once, in both names."""
    shown = known.show_knowledge(ADDRESS)
    (version,) = shown.versions
    assert {(copy.giver, copy.markings) for copy in version.copies} == {("north", ("TLP:GREEN",)), ("west", ())}
    assert shown.row.givers == ("north", "west")
    assert [(row.events, row.hidden) for row in shown.hits] == [(1, "")]
    assert [(one.relation, one.outward, one.name) for one in shown.relations] == [("indicates", True, "QuillWiper")]


def test_an_object_is_found_by_id_name_alias_rule_and_value(known: Workspace) -> None:
    """Whatever somebody has in front of them."""
    for text in (MALWARE, "quillwiper", "Quill", "s9999"):
        assert [row.id for row in known.find_knowledge(text)] == [MALWARE]
    assert [row.name for row in known.find_knowledge("6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0001")] == ["Wiper Started"]
    assert {row.name for row in known.find_knowledge(BAD_ADDRESS)} == {"Server 1", "addresses.csv"}
    with pytest.raises(InputError, match="2 objects"):
        known.show_knowledge(BAD_ADDRESS)
    with pytest.raises(InputError, match="Nothing is called"):
        known.show_knowledge("no such thing")


def test_an_id_elsewhere_is_no_name(known: Workspace) -> None:
    """ATT&CK's id and a rule's own stand apart, with whose they are."""
    shown = known.show_knowledge(MALWARE)
    assert (shown.aliases, shown.ids) == (("Quill",), (("S9999", "mitre-attack"),))
    shown = known.show_knowledge("Wiper Started")
    assert shown.aliases == ()
    assert shown.ids == (("6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0001", "sigma"), ("T1485", "mitre-attack"))


def test_the_relation_is_shown_from_its_other_end_too(known: Workspace) -> None:
    """Both directions."""
    (related,) = known.show_knowledge(MALWARE).relations
    assert (related.relation, related.outward, related.id) == ("indicates", False, ADDRESS)


def test_what_expired_says_so_and_what_is_doubtful_why(known: Workspace) -> None:
    """State and reason; the quality label with its value."""
    row = known.show_knowledge(WIDE).row
    assert (row.state, row.reason) == ("expired", "valid until 2022-02-01T00:00:00Z")
    assert [(label.code, label.reason, label.value) for label in row.quality] == [
        ("too-general", "top-level-domain", "*.com")
    ]


def test_a_conflict_is_shown_with_both_contents(copied: Workspace, tmp_path: Path) -> None:
    """Same id and time, other content: the one that counts first."""
    other = {**west_pack()[2], "name": "QuillEraser"}
    (tmp_path / "east.json").write_bytes(bundle_of(other))
    assert copied.add_knowledge(tmp_path / "east.json", giver="east").conflicts == 1
    ((conflict, rows),) = copied.knowledge_conflicts()
    assert (conflict.id, conflict.reason) == (MALWARE, "same-version-differs")
    assert [(row.name, row.givers) for row in rows] == [("QuillWiper", ("west",)), ("QuillEraser", ("east",))]
    found = copied.knowledge(KnowledgeFilter(states=("conflict",)), limit=None)
    assert [row.name for row in found.rows] == ["QuillWiper"]


def test_a_conflict_of_many_contents_looks_at_the_versions_once(
    copied: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not once for each of them: a file of a few megabytes holds twenty thousand."""
    asked: list[str] = []

    def counted(connection: Any, id_: str) -> tuple[StoredObject, ...]:
        asked.append(id_)
        return get_variants(connection, id_)

    monkeypatch.setattr(knowledge_view, "get_variants", counted)
    (address,) = json.loads(bundle())["objects"]
    many = [{**address, "id": WIDE.replace("0002", "0009"), "name": f"n{number}"} for number in range(50)]
    (tmp_path / "many.json").write_bytes(bundle_of(*many))
    copied.add_knowledge(tmp_path / "many.json", giver="east")
    ((_, rows),) = copied.knowledge_conflicts()
    assert (len(rows), len(asked)) == (50, 1)


def test_packs_are_compared_object_by_object_and_rule_by_rule(known: Workspace, tmp_path: Path) -> None:
    """Added, gone, changed (which properties, a rule's sections), revoked; the rest is the same."""
    before, after = west_pack(), west_pack()
    after[0] |= {"name": "Server One", "modified": "2022-09-01T00:00:00.000Z"}
    after[1] |= {"revoked": True, "modified": "2022-09-01T00:00:00.000Z"}
    for name, pack in (("one", before), ("two", after)):
        write_pack(tmp_path / name)
        (tmp_path / name / "west.json").write_bytes(bundle_of(*pack))
    rule = next((tmp_path / "two").rglob("*.yml"))
    rule.write_text(rule.read_text().replace("level: high", "level: low"))
    (tmp_path / "two" / "new.json").write_bytes(bundle_of({**before[2], "id": f"malware--{WIDE[11:]}"}))
    before_bundles = [path for path in (tmp_path / "one").iterdir() if path.suffix == ".json"]
    assert before_bundles
    found = known.compare_knowledge(str(tmp_path / "one"), str(tmp_path / "two"))
    told = {(row.what, row.name): row.properties for row in found.rows}
    assert told["added", "QuillWiper"] == ()
    assert told["changed", "Server One"] == ("name",)
    assert told["revoked", HOSTILE] == ()
    assert told["changed", "Wiper Started"] == ("level",)
    assert len(told) == 4
    assert known.compare_knowledge(str(tmp_path / "one"), str(tmp_path / "one")).rows == ()


def test_givers_are_compared_by_name_and_by_time(known: Workspace) -> None:
    """What one has given and another not; what had come by a time."""
    found = known.compare_knowledge("north", "west")
    assert {(row.what, row.name) for row in found.rows} == {
        ("gone", "Wiper Started"),
        ("gone", "addresses.csv"),
        ("added", HOSTILE),
        ("added", "QuillWiper"),
        ("added", f"{ADDRESS} indicates {MALWARE}"),
    }
    assert found.same == 1
    with pytest.raises(InputError, match="by then"):
        known.compare_knowledge("north@2022-09-19", "north")
    with pytest.raises(InputError, match="no time"):
        known.compare_knowledge("north@yesterday", "north")


def test_a_givers_score_tells_hits_confirmed_and_dismissed(copied: Workspace) -> None:
    """A hit is confirmed by another giver's object on the same event; dismissing takes it out and counts it."""
    north, west = copied.givers()
    assert (north.giver, north.month, north.objects, north.hits, north.confirmed) == ("north", "2022-09", 3, 4, 0)
    assert (west.objects, west.hits, west.confirmed, west.expired, west.doubtful) == (4, 1, 1, 1, 1)
    copied.dismiss("Wiper Started", reason="our own drill")
    north, _ = copied.givers()
    assert (north.hits, north.dismissed) == (2, 2)


def test_nothing_was_hunted_yet_is_no_not_seen(tmp_path: Path) -> None:
    """Before the first hunt there is nothing to say about hits."""
    with Workspace.init(tmp_path / "case", clock=lambda: NOW + timedelta(days=1)) as ws:
        ws.add_knowledge(write_pack(tmp_path / "pack"))
        shown = ws.show_knowledge("Wiper Started")
        assert (shown.hunted, shown.hits) == (False, ())
        assert ws.givers()[0].hits == 0


def test_sightings_of_what_is_doubtful_say_so(copied: Workspace, tmp_path: Path) -> None:
    """An analyst sees it where the hit is, and the hit counts: nothing is hidden for it."""
    wide = {**west_pack()[0], "id": f"indicator--{MALWARE[9:]}", "name": "A whole /8", "pattern": WIDE_PATTERN}
    (tmp_path / "wide.json").write_bytes(bundle_of(wide))
    copied.add_knowledge(tmp_path / "wide.json", giver="west")
    found = [one for one in copied.hunt(workers=1).sightings if one.title == "A whole /8"]
    assert found
    assert {(one.quality, one.hidden_by) for one in found} == {(("too-general",), None)}
    stream = io.BytesIO()
    write_sightings(found, stream, "table")
    assert b"[too-general] A whole /8" in stream.getvalue()
