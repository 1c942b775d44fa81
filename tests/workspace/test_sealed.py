"""Sealed files among what is given: opened wherever they lie, refused by name, the rest goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aleat import Workspace
from tests.workspace.samples import write_logs, write_pack


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[tuple[Workspace, Path]]:
    """A receiver's workspace, and a folder with a sealed pack for it beside its own logs."""
    with Workspace.init(tmp_path / "giver") as giver, Workspace.init(tmp_path / "receiver") as receiver:
        for one, other in ((giver, receiver), (receiver, giver)):
            card = tmp_path / f"{other.config.name}.card"
            card.write_bytes(other.export_card())
            one.add_ally(card)
            one.add_ally(card, compared=one.allies()[0].fingerprint)
            draft = tmp_path / f"{one.config.name}.toml"
            draft.write_bytes(one.draft_agreement(other.config.name))
            one.add_agreement(draft)
        giver.add_knowledge(write_pack(tmp_path / "pack"))
        given = tmp_path / "given"
        write_logs(given / "logs")
        giver.release("receiver", given / "from-ally")
        yield receiver, given


def test_investigate_opens_a_sealed_pack_beside_the_logs(sealed: tuple[Workspace, Path]) -> None:
    """The ally's file and the logs in one folder: the file is opened, and what it holds is hunted for."""
    receiver, given = sealed
    done = receiver.investigate(given, workers=1)
    assert done.knowledge.opened == ("giver",)
    assert done.issues == ()
    assert done.sightings
    assert done.answer.hit


def test_a_folder_of_sealed_files_is_opened_file_by_file(sealed: tuple[Workspace, Path]) -> None:
    """What is broken is named, and costs nothing else."""
    receiver, given = sealed
    (path,) = (given / "from-ally").iterdir()
    path.with_name("broken.sealed").write_bytes(path.read_bytes()[:-40])
    added = receiver.add_knowledge(given / "from-ally")
    assert added.opened == ("giver",)
    assert added.new
    assert [Path(issue.place.path).name for issue in added.issues] == ["broken.sealed"]
    assert receiver.verify().faults == ()


def test_the_rows_of_an_allys_lists_are_bound_to_the_ledger(sealed: tuple[Workspace, Path]) -> None:
    """As those of one's own are: a changed row is named."""
    receiver, given = sealed
    receiver.add_knowledge(given / "from-ally")
    assert receiver.verify().faults == ()
    with closing(sqlite3.connect(receiver.folder / "aleat.db")) as connection, connection:
        assert connection.execute("UPDATE entry_lists SET rows = rows + 1").rowcount == 1
    (fault,) = receiver.verify().faults
    assert fault.what == "list"
    assert "(rows)" in fault.reason
