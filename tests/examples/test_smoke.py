"""The whole example through the front door, against its ground truth: a smoke test, for one hand wrote both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aleat import Workspace
from aleat.workspace import BuiltCase
from tests.examples.simulation import load

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BuiltCase, dict[str, Any]]]:
    """The case that the main job builds of the whole example, and what is true in it."""
    folder: Path = tmp_path_factory.mktemp("whole")
    truth = load().build(folder / "example")
    with Workspace.init(folder / "case", key_folder=folder / "keys", zone="Europe/Tirane") as ws:
        given = [folder / "example" / name for name in ("pack", "evidence", "statements")]
        ws.investigate(*given, giver="Ally (simulated)", name="The example")
        yield ws.build_case("The example"), truth


def short(host: str) -> str:
    """A host's name without its domain."""
    return host.partition(".")[0].upper()


def moment(text: str) -> datetime:
    """A time of the ground truth."""
    return datetime.fromisoformat(text)


def test_each_outage_has_its_last_and_first_request_and_its_cause(whole: tuple[BuiltCase, dict[str, Any]]) -> None:
    """To the second, causes told apart, none invented."""
    built, truth = whole
    found = {(one.service, one.last_served, one.first_served, one.cause) for one in built.case.outages}
    assert found == {
        (one["service"], moment(one["last_served"]), moment(one["first_served"]), one["cause"])
        for one in truth["outages"]
    }


def test_two_incidents_with_their_hosts_and_one_campaign(whole: tuple[BuiltCase, dict[str, Any]]) -> None:
    """The first reaches back fourteen months; no benign host is in any."""
    built, truth = whole
    assert [sorted(map(short, incident.hosts)) for incident in built.case.incidents] == [
        sorted(incident["hosts"]) for incident in truth["incidents"]
    ]
    assert built.case.incidents[0].first == moment(truth["incidents"][0]["first"])
    hosts = {short(host) for incident in built.case.incidents for host in incident.hosts}
    assert not hosts & set(truth["benign_hosts"])
    assert len(built.case.campaigns) == truth["campaigns"]


def test_the_right_sponsor_comes_first(whole: tuple[BuiltCase, dict[str, Any]]) -> None:
    """Of the campaign's assessments, sponsor before group."""
    built, truth = whole
    first = built.attribution[0]
    assert (first.kind, first.verdict) == ("sponsor", "assessed")
    assert first.hypotheses[0].name == truth["sponsor"]


def test_what_is_still_open_is_found(whole: tuple[BuiltCase, dict[str, Any]]) -> None:
    """The one persistence that was never removed, and the account that was made and stayed."""
    built, truth = whole
    values = {item.value for item in built.case.open_items}
    assert {item["value"] for item in truth["open"]["persistence"]} <= values
    assert {name.rpartition("\\")[2] for name in truth["open"]["accounts"]} <= {
        value.rpartition("\\")[2] for value in values
    }
    assert not set(truth["benign_accounts_made"]) & values


def test_statements_stay_beside_the_evidence(whole: tuple[BuiltCase, dict[str, Any]]) -> None:
    """Claims are told, and no evidence item is one."""
    built, _ = whole
    assert {"accuses", "denies", "condemns", "offers", "severs"} <= {claim.act for claim in built.case.claims}
    assert all(item.kind != "claim" for one in built.attribution for item in one.items)
    assert all(item.status == "alleged" for item in built.case.alleged)
