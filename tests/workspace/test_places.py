"""Knowledge from checkouts and URLs: what is shown and recorded of a collection as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aleat import Workspace
from tests.opening.server import serving

RULE = b"title: a\nlogsource: {product: windows}\ndetection: {a: {b: c}, condition: a}\n"
COMMIT = "c" * 40


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.init(tmp_path / "case", organisation="South", actor="agim", key_folder=tmp_path / "keys") as ws:
        yield ws


def test_a_checkouts_commit_and_a_files_hash_stand_in_the_ledger(workspace: Workspace, tmp_path: Path) -> None:
    """And in what is returned; a URL without what may be secret in it."""
    pack = tmp_path / "pack"
    (pack / ".git").mkdir(parents=True)
    (pack / ".git" / "HEAD").write_text(COMMIT)
    (pack / "a.yml").write_bytes(RULE)
    with serving({"/b.yml": RULE.replace(b"title: a", b"title: b")}) as server:
        url = f"{server.url}/b.yml?token=secret"
        added = workspace.add_knowledge(pack, url, corpus="sigmahq")
    shown = f"{server.url}/b.yml?token=***"
    data = RULE.replace(b"title: a", b"title: b")
    assert added.new == 2
    assert added.places[pack.as_posix()] == {"commit": COMMIT, "branch": ""}
    assert added.places[shown]["sha256"] == hashlib.sha256(data).hexdigest()
    assert f"sigmahq {COMMIT} (by declared)" in added.corpora
    entry = [line for line in workspace.export_ledgers() if b'"kind":"knowledge"' in line][-1]
    assert COMMIT.encode() in entry
    assert hashlib.sha256(data).hexdigest().encode() in entry
    assert b"secret" not in entry
