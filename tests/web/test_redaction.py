"""Over the server, too, what of ours says who was hit, when and how often is told as the agreement says."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

from aleat import Workspace
from aleat.stix import StixObject, make_object
from aleat.store.shelves import ShelfQuery
from aleat.trust.markings import marking_id
from tests.exchange.teams import START, indicator
from tests.web.conftest import NORTH, Served, take_in

VICTIM = "identity--00000000-0000-4000-8000-0000000000d1"


def test_a_sighting_and_its_victim_are_coarsened_on_a_shelf(served: Served) -> None:
    """The sector for the ministry, the day for the second; neither id nor name is anywhere."""
    common = {"created": START, "created_by_ref": NORTH, "markings": [marking_id("tlp:green")]}
    ministry = make_object(
        "identity", VICTIM, name="Ministry of Roads", identity_class="organization", sectors=["government"], **common
    )
    seen = make_object(
        "sighting",
        "sighting--00000000-0000-4000-8000-0000000000d2",
        sighting_of_ref=indicator(1, NORTH).id,
        where_sighted_refs=[VICTIM],
        first_seen="2022-07-15T08:31:22.000Z",
        last_seen="2022-07-15T08:31:29.000Z",
        count=3,
        **common,
    )
    served.know(ministry, seen)
    found = served.ask(f"{served.collection()}objects/?limit=1000").json["objects"]
    (told,) = [item for item in found if item["type"] == "sighting"]
    assert told["first_seen"] == "2022-07-15T00:00:00.000Z"
    (where,) = [item for item in found if item["id"] == told["where_sighted_refs"][0]]
    assert (where["name"], where["identity_class"]) == ("government", "class")
    assert "told-again" in told["labels"]
    text = json.dumps(found)
    for secret in ("Roads", VICTIM, seen.id, "08:31"):
        assert secret not in text


def encrypted_policy(**more: str) -> tuple[StixObject, StixObject]:
    """A policy by FIRST's IEP 2.0 that wants encryption on the way, and an object of ours under it."""
    policy = make_object(
        "marking-definition",
        "marking-definition--00000000-0000-4000-8000-0000000000e1",
        created=START,
        definition_type="iep",
        definition={
            "iep": {
                "iep_version": 2.0,
                "name": "Encrypt",
                "start_date": "2022-01-01T00:00:00Z",
                "encrypt_in_transit": "must",
                "permitted_actions": "externally-visible-direct-actions",
                "affected_party_notifications": "may",
                "tlp": "green",
                "attribution": "may",
                "unmodified_resale": "may",
                **more,
            }
        },
    )
    green = marking_id("tlp:green")
    sealed_only = make_object(
        "malware",
        "malware--00000000-0000-4000-8000-0000000000e2",
        created=START,
        created_by_ref=NORTH,
        markings=[green, policy.id],
        name="Sealed only",
        is_family=True,
    )
    return policy, sealed_only


def test_what_must_be_encrypted_on_its_way_is_on_no_plain_shelf(served: Served) -> None:
    """FIRST's IEP 2.0: this server speaks without TLS."""
    policy, sealed_only = encrypted_policy()
    served.know(policy, sealed_only)
    assert sealed_only.id not in served.ids("limit=1000")
    by_rule = {one.object: one.rule for one in served.ws.preview("south").decisions if one.allow}
    assert by_rule[sealed_only.id] == "own-label"
    plain = {one.object: one.rule for one in served.ws.preview_release("south", channel="plain").release.decisions}
    assert plain[sealed_only.id] == "iep-encryption"


def test_a_policy_that_ends_in_the_middle_of_a_day_ends_then(founded: tuple[Path, object], tmp_path: Path) -> None:
    """Nothing else comes, and no day ends: what it let leave is on no page any more."""
    shutil.copytree(founded[0], tmp_path / "served")
    now = [START]
    policy, item = encrypted_policy(encrypt_in_transit="may", end_date="2022-09-20T13:30:00Z")
    with Workspace.open(
        tmp_path / "served" / "case", actor="ana", key_folder=tmp_path / "served" / "keys", clock=lambda: now[0]
    ) as ws:
        take_in(ws, [policy, item])
        sharing = ws.share(quick_seconds=60.0)
        account = next(one for one in ws.accounts() if one.name == "south")
        seen = []
        for minutes in (0, 90, 91):
            now[0] = START + timedelta(minutes=minutes)
            seen.append(item.id in {row.id for row in sharing.page(account, ShelfQuery()).rows})
        sharing.close()
    assert seen == [True, True, False]
