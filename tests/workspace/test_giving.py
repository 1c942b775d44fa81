"""What would leave, what is new in it, and what is taken back, with two workspaces."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from aleat import Workspace
from aleat.errors import TrustError
from aleat.exchange import Receipt, Withdrawal
from aleat.store.decisions_verify import verify_releases
from aleat.trust.agreements import Person, export_card, fingerprint, read_agreement
from tests.workspace.samples import bundle
from tests.workspace.test_withdrawn import Clock, given, pair

__all__ = ["Clock", "pair"]


def indicators(ws: Workspace) -> list[str]:
    """The ids of the indicators that are here."""
    return [row.id for row in ws.knowledge().rows if row.type == "indicator"]


def test_a_preview_says_what_is_new_since(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """New before the first release, the same after it, no more where it may leave no longer, new after a withdrawal."""
    giver, _ = pair
    first = giver.preview_release("receiver")
    assert first.given == {}
    leaving = {one.object for one in first.release.decisions if one.allow}
    assert {id_ for id_, change in first.changes.items() if change} == leaving
    assert {first.changes[id_] for id_ in leaving} == {"new"}
    release = given(pair, tmp_path / "files")
    again = giver.preview_release("receiver")
    assert {again.changes[id_] for id_ in leaving} == {"same"}
    held = indicators(giver)[0]
    giver.hold([held], "legal-hold", "a court asked for it")
    assert giver.preview_release("receiver").changes[held] == "gone"
    giver.lift_hold(held, "legal-hold", "the court is done")
    giver.withdraw(release, tmp_path / "files", reason="Too early.")
    assert {giver.preview_release("receiver").changes[id_] for id_ in leaving} == {"new"}


def test_a_changed_version_is_changed(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """Another version of an object that the ally has."""
    giver, _ = pair
    given(pair, tmp_path / "files")
    content = json.loads(bundle())
    (item,) = [one for one in content["objects"] if one["type"] == "indicator"]
    item |= {"modified": "2022-09-10T00:00:00.000Z", "name": "Said better"}
    (tmp_path / "newer.json").write_text(json.dumps({**content, "objects": [item]}), encoding="utf-8")
    giver.add_knowledge(tmp_path / "newer.json")
    assert giver.preview_release("receiver").changes[item["id"]] == "changed"


def test_a_preview_for_everybody(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """Each ally with whom an agreement is in force."""
    giver, _ = pair
    found = giver.preview_all()
    assert list(found) == ["receiver"]
    assert found["receiver"].sha256 == giver.preview("receiver").sha256


def test_what_is_withdrawn_hunts_no_more_on_both_sides(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """And says so: here it is revoked, there too; receipts go back with whatever comes next."""
    giver, receiver = pair
    given(pair, tmp_path / "files")
    assert receiver.hunt(workers=1).tally.sightings
    taken = giver.withdraw_objects(indicators(giver), tmp_path / "files", reason="False positives.")
    assert len(taken.paths) == 1
    got = receiver.receive(taken.paths[0])
    (message,) = [item for item in got.messages if isinstance(item, Withdrawal)]
    assert set(message.objects) == set(indicators(giver))
    after = receiver.hunt(workers=1)
    assert after.tally.sightings == 0
    assert {one.hidden_by for one in after.sightings} != {None}
    assert all(one.hidden_by for one in after.sightings)
    assert [row.received for row in giver.withdrawals()] == [""]
    path = receiver.acknowledge("giver", tmp_path / "back")
    assert path is not None
    back = giver.receive(path)
    assert {type(item) for item in back.messages} == {Receipt}
    assert [bool(row.received) for row in giver.withdrawals()] == [True]
    assert receiver.acknowledge("giver", tmp_path / "back") is None
    assert not giver.verify().faults
    assert not receiver.verify().faults


def test_a_release_that_was_changed_afterwards_is_found(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """The bundle, the manifest, the recipient: each is bound by the ledger's entry."""
    giver, _ = pair
    release = given(pair, tmp_path / "files")
    assert not giver.verify().faults
    changes = {
        "UPDATE given_bundles SET bundle = (SELECT lists FROM given_bundles)": "bundle",
        "UPDATE releases SET recipient = 'identity--00000000-0000-4000-8000-000000000000'": "ledger",
        "UPDATE given_bundles SET bundle = x'00'": "damaged",
    }
    for change, word in changes.items():
        with giver.write() as connection:
            connection.exec_driver_sql("SAVEPOINT before_it")
            connection.exec_driver_sql(change)
            faults = list(verify_releases(connection))
            connection.exec_driver_sql("ROLLBACK TO before_it")
        assert [name for name, _ in faults] == [f"release {release}"], change
        assert word in faults[0][1], faults


def test_what_is_not_here_is_not_withdrawn(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """Nothing is written then."""
    giver, _ = pair
    with pytest.raises(TrustError, match="no object"):
        giver.withdraw_objects(["malware--00000000-0000-4000-8000-000000000000"], tmp_path, reason="x")
    assert giver.withdrawals() == ()


def test_a_draft_says_who_the_ally_is(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """As its card does, with its keys; a lawyer reads it, and it can be imported as it is."""
    giver, receiver = pair
    text = giver.draft_agreement("receiver")
    agreement = read_agreement(text)
    (ally,) = agreement.ally
    card = receiver.card()
    assert (ally.identity, ally.organisation, ally.country) == (card.identity, card.organisation, card.country)
    assert ally.fingerprint == fingerprint(card)
    assert agreement.release.personal is False
    odd = msgspec.structs.replace(
        card,
        organisation='Team "Q" \\ {x}\nsecond line',
        people=(Person(name='Ann "A"', role="head"), Person(name="Ben")),
        constituency="Everybody {here}.",
        issued="2099-01-01T00:00:00.000Z",
    )
    (tmp_path / "odd.card").write_bytes(export_card(odd, receiver.key))
    giver.add_ally(tmp_path / "odd.card")
    (ally,) = read_agreement(giver.draft_agreement("receiver")).ally
    assert ally.organisation == 'Team "Q" \\ {x} second line'
    assert [(one.name, one.red) for one in ally.people] == [('Ann "A"', False), ("Ben", False)]
