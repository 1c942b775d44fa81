"""Pulling well-known sources: from a server, a mirror or a stick; whole, or not at all; what changed is told."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import InputError
from aleat.hunt import NotEvaluated
from aleat.hunt.from_store import indicators
from aleat.knowledge import Limits
from aleat.knowledge.sources import SourceFile, WellKnownSource, find_source, well_known
from aleat.store.withdrawn import withdrawn_copies
from aleat.trust.corpora import parse_policy, policy_bytes
from aleat.workspace.knowledge_terms import knowledge_terms
from aleat.workspace.pull import pull
from aleat.workspace.results import Pulled
from tests.opening.server import Server, serving

COMMIT, NEXT = "a" * 40, "b" * 40
RULE = """\
title: {0}
id: 00000000-0000-4000-8000-00000000000{1}
logsource: {{product: windows}}
detection: {{a: {{b: {2}}}, condition: a}}
"""
SOURCES = (
    WellKnownSource(
        name="rules",
        title="Rules of everybody",
        corpus="sigmahq",
        licence="Detection Rule License 1.1",
        home="https://example.org/rules",
        version="commit",
        readers=("sigma",),
        least=2,
        folders=("rules",),
        files=(SourceFile("rules.zip", "https://example.org/rules.zip"), SourceFile("more.zip", "", optional=True)),
    ),
    WellKnownSource(
        name="techniques",
        title="Techniques",
        corpus="unknown-corpus",
        licence="free",
        home="https://example.org/techniques",
        version="collection",
        readers=("stix",),
        least=1,
        files=(SourceFile("techniques.json", "https://example.org/techniques.json"),),
    ),
)


def archive(commit: str, **rules: tuple[int, str]) -> bytes:
    """A zip archive as a forge makes it of a branch."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        packed.comment = commit.encode()
        packed.writestr("x-main/README.md", "198.51.100.7 and evil.example are seen here")
        for name, (number, value) in rules.items():
            packed.writestr(f"x-main/rules/{name}.yml", RULE.format(name, number, value))
    return target.getvalue()


FIRST = archive(COMMIT, a=(1, "x"), b=(2, "x"), c=(3, "x"))
SECOND = archive(NEXT, a=(1, "x"), b=(2, "y"), d=(4, "x"))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.init(tmp_path / "case", organisation="South", actor="agim", key_folder=tmp_path / "keys") as ws:
        yield ws


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"/m/rules.zip": FIRST}) as found:
        yield found


def pulled(workspace: Workspace, mirror: str | Path, name: str = "rules", **limits: int) -> Pulled:
    (found,) = pull(workspace, [name], mirror=mirror, known=SOURCES, limits=Limits(**limits))  # type: ignore[arg-type]
    return found


def test_a_source_comes_in_as_its_corpus_with_its_version(workspace: Workspace, server: Server) -> None:
    """What lies outside its folders is no part of it; what it can do without is a note; a mirror may need a token."""
    found = pulled(workspace, f"{server.url}/m/?token=secret")
    assert found.refused is None
    assert (found.version, found.added.new, found.before, found.new_count) == (COMMIT, 3, "", None)
    assert found.added.corpora == (f"sigmahq {COMMIT} (by declared)",)
    assert [note.code for note in found.notes] == ["passed-over", "passed-over", "passed-over"]
    entry = [json.loads(line) for line in workspace.export_ledgers() if b'"kind":"pull"' in line][-1]["data"]
    assert (entry["version"], entry["licence"], entry["giver"]) == (COMMIT, SOURCES[0].licence, "rules")
    assert entry["files"]["rules.zip"]["sha256"] == found.files["rules.zip"]
    assert "secret" not in json.dumps(entry)


def test_only_the_newest_version_is_hunted_for(workspace: Workspace, tmp_path: Path) -> None:
    """A rule's older text and a rule that was taken out stay, and say why they end; they come back with their text."""
    for data, hunted in (
        (FIRST, {("a", "x"), ("b", "x"), ("c", "x")}),
        (SECOND, {("a", "x"), ("b", "y"), ("d", "x")}),
        (FIRST, {("a", "x"), ("b", "x"), ("c", "x")}),
    ):
        (tmp_path / "rules.zip").write_bytes(data)
        pulled(workspace, tmp_path)
        ended: list[NotEvaluated] = []
        with workspace.read() as connection:
            terms = knowledge_terms(workspace, connection)
            found = list(indicators(connection, workspace.folder, terms=terms, not_evaluated=ended))
        assert {(rule.title, rule.pattern.partition("{a: {b: ")[2][0]) for rule in found} == hunted
    assert {fault.title for fault in ended} == {"b", "d"}
    assert all(fault.reason.startswith("It was withdrawn by rules on ") for fault in ended)
    assert not workspace.verify().faults


def test_the_next_pull_says_what_changed(workspace: Workspace, tmp_path: Path) -> None:
    """By the rules' own ids, from a folder as well as from a server; a third one, that nothing did."""
    for data in (FIRST, SECOND):
        (tmp_path / "rules.zip").write_bytes(data)
        found = pulled(workspace, tmp_path)
    assert (found.before, found.version) == (COMMIT, NEXT)
    assert (found.new_titles, found.changed_titles, found.gone_titles) == (("d",), ("b",), ("c",))
    with workspace.read() as connection:
        ended = withdrawn_copies(connection)
    assert {copy.release for copy in ended.values()} == {NEXT}
    again = pulled(workspace, tmp_path)
    assert (again.new_count, again.changed_count, again.gone_count, again.added.new) == (0, 0, 0, 0)


def test_a_listing_that_was_changed_is_not_compared_with(workspace: Workspace, tmp_path: Path) -> None:
    """The ledger binds it."""
    (tmp_path / "rules.zip").write_bytes(FIRST)
    pulled(workspace, tmp_path)
    (listing,) = (workspace.folder / "pulls").iterdir()
    listing.write_text("sigma:x\ty\tz\n")
    assert pulled(workspace, tmp_path).new_count is None


@pytest.mark.parametrize(
    ("fault", "data", "words"),
    [
        ("cut", FIRST[: len(FIRST) // 2], "isn't whole"),
        ("a page", b"<html><body>Please sign in. evil.example 198.51.100.7</body></html>", "isn't Rules of everybody"),
        ("too few", archive(COMMIT, a=(1, "x")), "1 documents of its kind"),
        ("a bomb", archive(COMMIT, a=(1, "x" * 3_000_000), b=(2, "x")), "isn't whole"),
        ("nothing", b"", "isn't Rules of everybody"),
    ],
)
def test_what_is_not_the_source_is_refused_whole(
    workspace: Workspace, tmp_path: Path, fault: str, data: bytes, words: str
) -> None:
    """Nothing of it comes in, and nothing is recorded as pulled."""
    (tmp_path / "rules.zip").write_bytes(data)
    found = pulled(workspace, tmp_path, file_bytes=2_000_000)
    assert found.refused is not None, fault
    assert words in found.refused.reason
    assert not any(b'"kind":"pull"' in line for line in workspace.export_ledgers())


def test_a_server_that_answers_wrongly_is_refused(workspace: Workspace, server: Server) -> None:
    """Cut, without end, leading inside, garbage, nothing there: with the reason."""
    server.files |= {"/cut/rules.zip": FIRST}
    server.cut.add("/cut/rules.zip")
    server.endless.add("/ever/rules.zip")
    server.garbage.add("/garbage/rules.zip")
    server.redirects["/in/rules.zip"] = "http://169.254.169.254/rules.zip"
    words = {
        "cut": "breaks off",
        "ever": "place_bytes",
        "garbage": "can't be fetched",
        "in": "inside address",
        "none": "answers 404",
    }
    for path, expected in words.items():
        found = pulled(workspace, f"{server.url}/{path}", place_bytes=1_000_000)
        assert found.refused is not None
        assert expected in found.refused.reason
    slow = pulled(workspace, f"{server.url}/ever", place_total_seconds=0)
    assert "place_total_seconds" in str(slow.refused)


def test_a_stick_without_the_file_says_what_it_must_hold(workspace: Workspace, tmp_path: Path) -> None:
    """By its name; another source isn't touched by that."""
    (tmp_path / "techniques.json").write_text(
        json.dumps({"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "objects": [COLLECTION]})
    )
    missing, there = pull(workspace, ["rules", "techniques"], mirror=tmp_path, known=SOURCES)
    assert missing.refused is not None
    assert "rules.zip" in missing.refused.advice
    assert (there.refused, there.version, there.declared) == (None, "18.9", False)
    assert there.added.corpora == ()


COLLECTION = {
    "type": "x-mitre-collection",
    "spec_version": "2.1",
    "id": "x-mitre-collection--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
    "created": "2022-07-15T08:00:00.000Z",
    "modified": "2022-07-15T08:00:00.000Z",
    "name": "Techniques",
    "x_mitre_version": "18.9",
}


def test_what_is_held_is_listed(workspace: Workspace, tmp_path: Path) -> None:
    """Every source that is known; since when it is held at this version."""
    assert all(one.version == "" for one in workspace.pulled())
    bundle = {"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "objects": [COLLECTION]}
    for file in find_source("attack", well_known()).files:
        (tmp_path / file.name).write_text(json.dumps(bundle))
    workspace.pull("mitre-attack", mirror=tmp_path)
    (attack,) = (one for one in workspace.pulled() if one.name == "attack")
    assert (attack.version, attack.licence) == ("18.9", "ATT&CK terms of use")
    assert attack.since == attack.pulled != ""


def test_the_shipped_sources_are_what_they_say() -> None:
    """By HTTPS, with a licence, as a corpus of the shipped policy; files of one name only once, for mirrors."""
    policy = parse_policy(policy_bytes())
    names = [file.name for source in well_known() for file in source.files]
    assert len(names) == len(set(names))
    for source in well_known():
        assert source.licence == policy.get(source.corpus).licence
        assert source.least > 0
        assert all(file.url.startswith("https://") for file in source.files)
    assert {source.name for source in well_known()} >= {"sigmahq", "attack", "d3fend", "misp-galaxy"}
    with pytest.raises(InputError, match="No source is called"):
        find_source("nobody", well_known())
