"""`misp-stix` as second opinion: where its mapping and ours differ, and which is right.

It is MISP's own converter (https://github.com/MISP/misp-stix). Each test states one difference with its reason, and
fails where one of both changes its mind.
"""

from __future__ import annotations

import copy
import json
import tomllib
import warnings
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from aleat.exchange.misp import write_events
from aleat.exchange.misp_fit import NO_SERVERS, fit_event, number_groups
from aleat.exchange.misp_labels import Reach
from aleat.trust.markings import marking_id
from tests.exchange.misp_simulator import GROUP
from tests.exchange.test_misp import ours
from tests.knowledge.misp_world import event, read, told, uuid


@cache
def theirs() -> dict[str, dict[str, Any]]:
    """What misp-stix makes of the fixture, by id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from misp_stix_converter import MISPtoSTIX21Parser  # noqa: PLC0415 - its import takes a second

        parser = MISPtoSTIX21Parser()
        parser.parse_misp_event({"Event": copy.deepcopy(event())})
    return {item["id"]: item for item in (json.loads(item.serialize()) for item in parser.stix_objects)}


def indicator(number: int) -> dict[str, Any]:
    """Their indicator of the fixture's attribute or object."""
    return theirs()[f"indicator--{uuid(number)}"]


def own(number: int) -> dict[str, Any]:
    """Ours."""
    return told(read({"Event": event()})[0], number).object.properties()


SAME = {2: "observed-data", 3: "indicator", 4: "indicator", 6: "indicator", 20: "indicator", 23: "indicator"}


@pytest.mark.parametrize("number", SAME)
def test_both_agree_on_what_is_fit_for_detection(number: int) -> None:
    """Indicators and observed data are of the same attributes."""
    assert own(number)["type"] == SAME[number]
    assert f"{SAME[number]}--{uuid(number)}" in theirs()


@pytest.mark.parametrize("number", [3, 4, 6])
def test_both_agree_on_simple_patterns(number: int) -> None:
    assert own(number)["pattern"] == indicator(number)["pattern"]


def test_pap_is_a_marking_here_and_a_label_there() -> None:
    """OASIS publishes marking definitions for PAP; a label binds nobody."""
    assert "PAP:AMBER" in indicator(1)["labels"]
    assert marking_id("pap:amber") in own(1)["object_marking_refs"]


def test_an_events_marking_is_on_all_of_it_here_and_on_its_list_there() -> None:
    """An attribute that travels without its event must not lose the event's label (TLP 2.0: the source's word)."""
    assert "object_marking_refs" not in indicator(1)
    assert marking_id("tlp:amber") in own(1)["object_marking_refs"]


def test_tlp_is_version_2_here_and_1_there() -> None:
    """TLP 1.0's definitions have no CLEAR and no AMBER+STRICT; MISP's tags are TLP 2.0 since 2022."""
    assert indicator(4)["object_marking_refs"] == ["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]
    assert marking_id("tlp:red") in own(4)["object_marking_refs"]
    assert marking_id("tlp:red") not in indicator(4)["object_marking_refs"]


def test_an_address_is_looked_for_in_both_directions_here() -> None:
    """MISP's ip-dst is an address of the attacker's; it also comes in as a source. The direction stays in the JSON."""
    assert own(1)["pattern"] == "[ipv4-addr:value = '192.0.2.7']"
    assert "dst_ref" in indicator(1)["pattern"]


def test_a_port_is_a_number_here_and_text_there() -> None:
    """STIX 2.1 §6.12: `dst_port` is an integer; §9.3.1: constants of other types don't compare."""
    assert own(8)["pattern"].endswith("network-traffic:dst_port = 443]")
    assert indicator(8)["pattern"].endswith("network-traffic:dst_port = '443']")


def test_a_hash_is_enough_here_and_wants_its_name_there() -> None:
    """The same file under another name is the same file; most logs have one of both."""
    assert own(20)["pattern"] == f"[file:hashes.MD5 = '{'0d' * 16}']"
    assert " AND file:name = " in indicator(20)["pattern"]


def test_a_sample_is_looked_for_by_its_hash_here_and_by_its_bytes_there() -> None:
    """No log holds a file's bytes; the hash stands in the value itself."""
    assert own(7)["pattern"] == f"[file:hashes.MD5 = '{'0c' * 16}']"
    assert "payload_bin" in indicator(7)["pattern"]


def test_a_sigma_rule_stays_one_here() -> None:
    """There it is put into brackets, and is YAML no more."""
    items, _ = read({"Event": event()})
    (rule,) = (item.object for item in items if item.object.pattern_type == "sigma")
    assert (rule.pattern or "").startswith("title: A")
    assert indicator(9)["pattern"].startswith("[title: A")


def test_it_is_valid_from_when_it_was_first_seen_here() -> None:
    """STIX 2.1 §4.7: from when the indicator is considered valid; a hunt in the past needs that."""
    assert own(1)["valid_from"] == "2022-07-14T06:00:00.000Z"
    assert indicator(1)["valid_from"] == "2022-07-15T08:00:00Z"


def test_what_was_deleted_is_revoked_here() -> None:
    """There it is hunted for as if nothing had happened."""
    assert own(6)["revoked"] is True
    assert "revoked" not in indicator(6)


def test_no_sighting_is_lost_here() -> None:
    """There a false positive is an opinion without time and place of its sighting, an expiration is nothing."""
    kinds = [item["type"] for item in theirs().values() if item["type"] in {"sighting", "opinion"}]
    assert sorted(kinds) == ["opinion", "sighting", "sighting"]
    assert sum(item.object.type == "sighting" for item in read({"Event": event()})[0]) == 4


def test_proposals_and_text_are_kept_here() -> None:
    """There a proposal is nothing, and text an object of a type that no other tool has."""
    assert not any("b.exe" in json.dumps(item) for item in theirs().values())
    assert any("b.exe" in item.object.raw.decode() for item in read({"Event": event()})[0])
    assert own(5)["type"] == "note"
    assert theirs()[f"x-misp-attribute--{uuid(5)}"]


def test_distribution_is_kept_here() -> None:
    """There nothing says that an attribute was for one organisation, or a sharing group."""
    assert "Two ministries" not in json.dumps(list(theirs().values()))
    assert len(own(8)["object_marking_refs"]) == len(own(1)["object_marking_refs"])
    assert len(own(4)["object_marking_refs"]) == len(own(3)["object_marking_refs"]) + 2


# ------------------------------------------------------------------------------------------------- what we write


@cache
def written() -> dict[str, Any]:
    """An event of ours as it goes to a server: the case of `test_misp`, for a sharing group."""
    reach = Reach(amber=4, unlabelled=4, group={"uuid": GROUP["uuid"], "name": GROUP["name"]})
    (one,) = write_events(ours(), distribution=3, reach=reach).events
    numbered: dict[str, Any] = number_groups(fit_event(one["Event"]), {GROUP["uuid"]: NO_SERVERS}, keep=True)
    return numbered


@cache
def read_back() -> tuple[dict[str, Any], ...]:
    """What misp-stix makes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from misp_stix_converter import MISPtoSTIX21Parser  # noqa: PLC0415 - its import takes a second

        parser = MISPtoSTIX21Parser()
        parser.parse_misp_event({"Event": copy.deepcopy(written())})
        assert not parser.errors
    return tuple(json.loads(item.serialize()) for item in parser.stix_objects)


def test_both_read_the_same_out_of_what_we_write() -> None:
    """What is fit for detection is an indicator there too, simple ones with our pattern."""
    patterns = {item["pattern"] for item in read_back() if item["type"] == "indicator"}
    assert "[domain-name:value = 'c2.example.org']" in patterns
    assert f"[file:hashes.'SHA-256' = '{'0a' * 32}']" in patterns
    flagged = [*(row for row in written()["Attribute"] if row["to_ids"]), *written()["Object"]]
    assert sum(item["type"] == "indicator" for item in read_back()) == len(flagged)


def test_our_sightings_and_clusters_are_read_there() -> None:
    """Who saw it, and what it indicates: nothing is lost on the way."""
    assert [item["type"] for item in read_back() if item["type"] in {"sighting", "malware"}] == ["malware", "sighting"]


def test_pymisp_knows_every_type_and_category_that_we_write() -> None:
    """By MISP's own table, `describeTypes.json`: a server refuses what isn't in there."""
    import pymisp  # noqa: PLC0415 - its import takes a second

    described = pymisp.MISPAttribute().describe_types["category_type_mappings"]
    table = tomllib.loads(files("aleat.knowledge.misp").joinpath("written.toml").read_text(encoding="utf-8"))
    for name in ("paths", "rules", "entries"):
        for type_, category, *_ in table[name].values():
            assert type_ in described[category], (type_, category)


def test_distribution_and_group_are_what_pymisp_reads() -> None:
    """The event is for GREEN's community, what is AMBER in it for the group; RED is for nobody else."""
    import pymisp  # noqa: PLC0415

    loaded = pymisp.MISPEvent()
    loaded.load({"Event": copy.deepcopy(written())})
    assert loaded.distribution == 1
    domain = next(row for row in loaded.attributes if row.value == "c2.example.org")
    assert (domain.distribution, domain.SharingGroup.uuid) == (4, GROUP["uuid"])
    assert [sighting.type for sighting in domain.sightings] == ["0"]
