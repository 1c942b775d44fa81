"""What a giver took back, or let expire: hunted no more, remembered with its label, never released as theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.exchange import Delivery
from tests.workspace.samples import bundle, write_logs, write_pack

NOW = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that goes an hour on with each question."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        self.time += timedelta(hours=1)
        return self.time


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Workspace, Workspace]]:
    """A giver and a receiver who have agreed; the giver knows a pack, the receiver holds logs."""
    clock = Clock()
    with (
        Workspace.init(tmp_path / "giver", clock=clock) as giver,
        Workspace.init(tmp_path / "receiver", clock=clock) as receiver,
    ):
        for one, other in ((giver, receiver), (receiver, giver)):
            card = tmp_path / f"{other.config.name}.card"
            card.write_bytes(other.export_card())
            one.add_ally(card)
            one.add_ally(card, compared=one.allies()[0].fingerprint)
            draft = tmp_path / f"{one.config.name}.toml"
            draft.write_bytes(one.draft_agreement(other.config.name))
            one.add_agreement(draft)
        giver.add_knowledge(write_pack(tmp_path / "pack"))
        receiver.add_evidence(write_logs(tmp_path / "logs"))
        yield giver, receiver


def given(pair: tuple[Workspace, Workspace], folder: Path) -> str:
    """Release the giver's pack, receive it, and return the release's id."""
    giver, receiver = pair
    path = giver.release("receiver", folder)
    got = receiver.receive(path)
    return next(item.release for item in got.messages if isinstance(item, Delivery))


def test_what_was_withdrawn_hunts_no_more_and_what_it_hit_stays_labelled(
    pair: tuple[Workspace, Workspace], tmp_path: Path
) -> None:
    """The sightings are still there, under the giver's word; new evidence brings no more of them."""
    giver, receiver = pair
    release = given(pair, tmp_path / "files")
    before = receiver.hunt(workers=1)
    hits = [one for one in before.sightings if one.hidden_by is None]
    assert hits
    receiver.receive(giver.withdraw(release, tmp_path / "files", reason="A false positive in it."))
    after = receiver.hunt(workers=1)
    labels = {one.hidden_by for one in after.sightings}
    assert labels == {"withdrawn: by giver on 2022-09-21"}
    assert len(after.sightings) == len(hits)
    assert after.tally.ended["withdrawn"] == len(hits)
    assert after.tally.sightings == 0
    assert {row.code for row in after.not_evaluated} >= {"withdrawn"}
    receiver.add_evidence(write_logs(tmp_path / "more-logs"))
    more = receiver.hunt(workers=1)
    assert more.tally.sightings == 0
    assert not receiver.verify().faults


def test_what_another_gave_freely_goes_on_in_the_others_name(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """Hunted, reported and released on the copy that stands; the one who withdrew is not named."""
    giver, receiver = pair
    release = given(pair, tmp_path / "files")
    receiver.add_knowledge(tmp_path / "pack", giver="west", marking="clear")
    receiver.receive(giver.withdraw(release, tmp_path / "files", reason="Ours no more."))
    found = receiver.hunt(workers=1)
    assert found.tally.sightings
    assert {one.source for one in found.sightings if one.hidden_by is None} == {"west"}
    prepared = receiver.preview("giver")
    assert {item.rule for item in prepared.decisions if item.allow} >= {"clear"}
    assert "back-to-giver" not in {item.rule for item in prepared.decisions}


def test_what_was_withdrawn_is_never_released_as_that_givers(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """Not even back to the giver."""
    giver, receiver = pair
    release = given(pair, tmp_path / "files")
    rules = {item.rule for item in receiver.preview("giver").decisions if item.allow}
    assert rules == {"back-to-giver", "definition"}
    receiver.receive(giver.withdraw(release, tmp_path / "files", reason="Ours no more."))
    assert not [item for item in receiver.preview("giver").decisions if item.allow]


def test_what_its_giver_gives_again_hunts_again(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    """A withdrawal takes back a release, not the right to give."""
    giver, receiver = pair
    release = given(pair, tmp_path / "files")
    receiver.receive(giver.withdraw(release, tmp_path / "files", reason="The wrong day."))
    assert receiver.hunt(workers=1).tally.sightings == 0
    given(pair, tmp_path / "again")
    assert receiver.hunt(workers=1).tally.sightings


def test_expired_indicators_hunt_the_past_and_not_the_present(tmp_path: Path) -> None:
    """An event before valid_until is a hit, also before valid_from; one after it is labelled, and no hit."""
    objects = json.loads(bundle())["objects"]
    with Workspace.init(tmp_path / "case") as ws:
        ws.add_evidence(write_logs(tmp_path / "logs"))
        seen: dict[str, tuple[int, int]] = {}
        for day in ("2022-07-15", "2022-07-16"):  # the hit is of 15 July, 08:10
            until = f"{day}T00:00:00.000Z"
            item = {**objects[0], "valid_from": "2022-07-14T00:00:00Z", "valid_until": until, "name": day}
            item["modified"] = until
            (tmp_path / "one.json").write_text(
                json.dumps({"type": "bundle", "id": f"bundle--{item['id'][11:]}", "objects": [item]})
            )
            ws.add_knowledge(tmp_path / "one.json", giver="north")
            result = ws.hunt(workers=1)
            seen[day] = (result.tally.sightings, result.tally.ended["expired"])
            labels = {one.hidden_by for one in result.sightings}
        assert seen == {"2022-07-15": (0, 1), "2022-07-16": (1, 0)}
        assert labels == {None}


def test_a_revoked_indicator_keeps_what_it_hit(tmp_path: Path) -> None:
    """Revoked after a hunt: no hit any more, and the sighting says so."""
    content = json.loads(bundle())
    with Workspace.init(tmp_path / "case") as ws:
        ws.add_evidence(write_logs(tmp_path / "logs"))
        path = tmp_path / "one.json"
        path.write_text(json.dumps(content))
        ws.add_knowledge(path, giver="north")
        assert ws.hunt(workers=1).tally.sightings == 1
        content["objects"][0] |= {"revoked": True, "modified": "2022-09-01T00:00:00.000Z"}
        path.write_text(json.dumps(content))
        ws.add_knowledge(path, giver="north")
        (one,) = ws.hunt(workers=1).sightings
        assert one.hidden_by == "revoked: by its creator on 2022-09-01"
