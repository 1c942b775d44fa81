"""Dismissals in a workspace: kept, counted, undone, verified, and never released."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aleat.errors import AleatError, NotPermittedError, TrustError
from aleat.workspace import Workspace
from tests.cli.command import call
from tests.workspace.conftest import Built

RULE_ID = "6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0001"


def shown(ws: Workspace) -> list[str]:
    result = ws.hunt(workers=1)
    assert result.segments == 0  # nothing is hunted again
    return sorted(one.host for one in result.sightings if one.indicator == RULE_ID and one.hidden_by is None)


def test_a_dismissal_hides_counts_and_is_undone(copy_of: Callable[[], Built]) -> None:
    built = copy_of()
    with built.open() as ws:
        before = ws.hunt(workers=1).tally
        row = ws.dismiss("Wiper Started", "a drill", ["Computer=pc1.example"])
        assert (row.rule, row.reason, row.author) == (RULE_ID, "a drill", "agim")
        result = ws.hunt(workers=1)
        assert (result.tally.hidden, result.tally.sightings) == (1, before.sightings - 1)
        assert {one.hidden_by for one in result.sightings} == {None, row.id}
        assert shown(ws) == ["pc2.example"]
        assert row.id not in str(ws.build_case().case.sightings)
    with built.open() as ws:
        assert shown(ws) == ["pc2.example"]
        assert not ws.verify().faults
        undone = ws.undo_dismissal(row.id[:8], "the drill is over")
        assert (undone.undone_by, undone.undone_reason) == ("agim", "the drill is over")
        assert shown(ws) == ["pc1.example", "pc2.example"]
        assert ws.dismissals() == (undone,)
        assert not ws.verify().faults
        kinds = [entry for entry in b"".join(ws.export_ledgers()).split(b"\n") if b'"dismissal' in entry]
        assert len(kinds) == 2


def test_a_dismissal_outlives_the_rules_update(copy_of: Callable[[], Built], tmp_path: Path) -> None:
    built = copy_of()
    with built.open() as ws:
        ws.dismiss(RULE_ID, "normal")
        updated = (built.pack / "rules" / "wiper.yml").read_text().replace("contains: quill", "contains: quil")
        (tmp_path / "wiper.yml").write_text(updated)
        ws.add_knowledge(tmp_path / "wiper.yml")
        result = ws.hunt(workers=1)
        assert all(one.hidden_by for one in result.sightings if one.indicator == RULE_ID)


def test_what_cannot_be_dismissed_is_told(copy_of: Callable[[], Built]) -> None:
    with copy_of().open() as ws:
        for rule, reason, where in (
            (RULE_ID, " ", ()),
            ("No Such Rule", "r", ()),
            (RULE_ID, "r", ("User",)),
            (RULE_ID, "r", ("User|unknown=x",)),
        ):
            with pytest.raises(AleatError):
                ws.dismiss(rule, reason, where)
        with pytest.raises(TrustError, match="no dismissal in force"):
            ws.undo_dismissal("nothing")
        assert ws.dismissals() == ()


def test_only_an_analyst_dismisses(copy_of: Callable[[], Built]) -> None:
    built = copy_of()
    with (
        Workspace.open(built.folder, actor="guest", key_folder=built.keys) as ws,
        pytest.raises(NotPermittedError),
    ):
        ws.dismiss(RULE_ID, "r")


def test_a_changed_row_is_found(copy_of: Callable[[], Built]) -> None:
    with copy_of().open() as ws:
        ws.dismiss(RULE_ID, "normal")
        with ws.write() as connection:
            connection.exec_driver_sql("UPDATE dismissals SET rule = 'other'")
        assert [fault.what for fault in ws.verify().faults] == ["decision"]


def test_a_workspace_from_before_goes_on(copy_of: Callable[[], Built]) -> None:
    with copy_of().open() as ws:
        with ws.write() as connection:
            connection.exec_driver_sql("DROP TABLE dismissals")
        assert ws.dismissals() == ()
        assert len(shown(ws)) == 2
        ws.dismiss(RULE_ID, "normal")
        assert shown(ws) == []


def test_the_commands(
    copy_of: Callable[[], Built], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = copy_of()
    monkeypatch.setenv("ALEAT_KEYS", str(built.keys))
    options = ("-w", built.folder, "--actor", "agim")
    assert "Nothing is dismissed" in call(capfd, "dismissals", "-w", built.folder).out
    where = ("--where", "SubjectUserName=ag*", "--where", "CommandLine|contains=quill")
    ran = call(capfd, "dismiss", "wiper started", "--reason", "a drill", *where, *options)
    assert ran.code == 0, ran.err
    listed = call(capfd, "dismissals", "-w", built.folder).out
    assert "in force" in listed
    assert "a drill" in listed
    assert "SubjectUserName: ag*" in call(capfd, "dismissals", "--text", "-w", built.folder).out
    assert "1 hidden by dismissals" in call(capfd, "hunt", "-w", built.folder, "--workers", 1).err
    name = ran.out.split()[-1]
    assert call(capfd, "dismissals", "--undo", name, *options).code == 0
    assert "undone" in call(capfd, "dismissals", "-w", built.folder).out
    assert "0 hidden by dismissals" in call(capfd, "hunt", "-w", built.folder, "--workers", 1).err
    assert call(capfd, "dismissals", "--undo", name, *options).code == 1
