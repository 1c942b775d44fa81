"""What TAXII 2.1 says a server MUST do, section by section, against the running server.

https://docs.oasis-open.org/cti/taxii/v2.1/os/taxii-v2.1-os.html. `musts.toml` names each statement with its test; what
is about media types stands in `test_musts_media.py`, pages and filters in `test_musts_filters.py`, TLS in
`test_musts_tls.py`, clients in `test_musts_client.py`, deletion in `test_delete.py`. docs/reference/taxii.md is made
of it.
"""

from __future__ import annotations

import importlib
import re
import tomllib
import uuid
from base64 import b64encode
from pathlib import Path
from typing import Any

from aleat.exchange.taxii_messages import MEDIA_TYPE
from aleat.store.objects import get_object
from tests.exchange.malware import malware, malware_id
from tests.exchange.teams import indicator
from tests.web.conftest import NORTH, PASSWORD, SOUTH, Served
from tests.web.resources import RESOURCES, TIMESTAMP, check, lists_in


def everything(served: Served) -> dict[str, Any]:
    """One answer of each endpoint, by a name of it: the resource, and its content."""
    first = indicator(1, NORTH).id
    at = served.collection()
    bad = {"type": "malware", "id": "malware--1", "name": "no id"}
    status = served.push(malware(1), bad).json
    answers = {
        "discovery": served.ask(""),
        "api-root": served.ask(served.root),
        "status": served.ask(f"{served.root}status/{status['id']}/"),
        "collections": served.ask(f"{served.root}collections/"),
        "collection": served.ask(at),
        "manifest": served.ask(f"{at}manifest/?limit=3"),
        "envelope": served.ask(f"{at}objects/?limit=3"),
        "envelope of one": served.ask(f"{at}objects/{first}/"),
        "versions": served.ask(f"{at}objects/{first}/versions/"),
        "error": served.ask("nothing/"),
    }
    return {**{name: answer.json for name, answer in answers.items()}, "status of the push": status}


def test_each_endpoint_answers_with_its_resource(busy: Served) -> None:
    """What comes is the resource of that endpoint (§3.1, §8.2.1)."""
    for name, content in everything(busy).items():
        assert check(name.partition(" of ")[0], content) is None


def test_every_resource_has_the_types_of_its_properties(busy: Served) -> None:
    """Names are the standard's, required properties are there, and the check itself sees a fault of each kind."""
    for name, content in everything(busy).items():
        kind = name.partition(" of ")[0]
        for key in content:
            assert check(kind, {**content, key: object()})
            left = {other: value for other, value in content.items() if other != key}
            assert bool(check(kind, left)) == (f"{key}!" in RESOURCES[kind])
        assert check(kind, {**content, "Title": "x"})


def test_no_list_is_empty(busy: Served) -> None:
    """Optional properties are left out instead (§2)."""
    answers = [*everything(busy).values(), busy.ask(f"{busy.collection()}objects/?match[type]=tool").json]
    assert all(found for answer in answers for found in lists_in(answer))


def test_identifiers_are_random_uuids(busy: Served) -> None:
    """Collections and statuses (§2)."""
    found = everything(busy)
    for one in (found["collection"]["id"], found["status"]["id"], found["collections"]["collections"][0]["id"]):
        assert uuid.UUID(one).version == 4


def test_times_have_six_digits_and_a_z(busy: Served) -> None:
    """Of TAXII's own: date_added, request_timestamp, the two headers (§2)."""
    found = everything(busy)
    times = [record["date_added"] for record in found["manifest"]["objects"]]
    times += [found["status"]["request_timestamp"], found["status of the push"]["request_timestamp"]]
    got = busy.ask(f"{busy.collection()}objects/")
    times += [got.headers[f"x-taxii-date-added-{end}"] for end in ("first", "last")]
    assert all(TIMESTAMP.fullmatch(time) for time in times)


def test_discovery_stands_at_the_root(shared: Served) -> None:
    """At /taxii2/, whatever stands behind it (§8.2.1)."""
    assert shared.url.endswith(":" + shared.url.rsplit(":", 1)[1].split("/")[0] + "/taxii2/")
    assert shared.ask("").json["title"]


def test_the_default_api_root_is_one_of_those_named(shared: Served) -> None:
    """§4.1.1."""
    found = shared.ask("").json
    assert found["default"] in found["api_roots"]


def test_an_api_root_is_named_by_its_path(shared: Served) -> None:
    """Relative, with one slash before it and no query: right behind any proxy; each has its own (§4.1.1)."""
    roots = shared.ask("", headers={"Host": "elsewhere.example"}).json["api_roots"]
    assert roots == sorted(set(roots))
    for root in roots:
        assert re.fullmatch(r"/[^/?.][^?]*/", root)
        assert shared.ask(f"http://{shared.url.split('/')[2]}{root}").status == 200


def test_an_api_root_says_what_it_speaks(shared: Served) -> None:
    """Media types with their version, TAXII 2.1 among them (§4.2.1)."""
    assert shared.ask(shared.root).json["versions"] == ["application/taxii+json;version=2.1"]


def test_a_body_up_to_the_length_that_was_named(busy: Served) -> None:
    """It is no 413 where it is smaller; it is where it is larger, also where its length isn't told (§4.2.1)."""
    longest = busy.ask(busy.root).json["max_content_length"]
    frame = b'{"objects":[' + malware(1).raw + b"]}"
    for size, status in ((longest - 1, 202), (longest, 202), (longest + 1, 413)):
        body = frame.ljust(size)
        assert busy.ask(f"{busy.collection()}objects/", "POST", body=body).status == status


def test_a_status_that_is_not_there(shared: Served) -> None:
    """A 404: never there, no UUID, or another's (§4.3)."""
    for id_ in (str(uuid.uuid4()), "x", "%00", "a" * 2_000):
        assert shared.ask(f"{shared.root}status/{id_}/").status == 404


def test_a_status_names_objects_by_id_and_version(busy: Served) -> None:
    """`modified`, else `created`; what has neither, or can't be read, gets the time of the push (§4.3.1)."""
    address = {"type": "ipv4-addr", "id": f"ipv4-addr--{uuid.uuid4()}", "value": "192.0.2.1", "spec_version": "2.1"}
    definition = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": f"marking-definition--{uuid.uuid4()}",
        "created": "2022-07-15T08:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": "x"},
    }
    status = busy.push(malware(1, 3), address, definition, {"type": "malware", "id": "malware--1"}).json
    versions = {one["id"]: one["version"] for one in (*status["successes"], *status["failures"])}
    assert versions == {
        malware_id(1): malware(1, 3).version,
        address["id"]: status["request_timestamp"],
        definition["id"]: "2022-07-15T08:00:00.000Z",
        "malware--1": status["request_timestamp"],
    }


def test_the_version_of_what_is_not_versioned(shared: Served) -> None:
    """A marking definition has none but its `created`, in the manifest, the versions, and the filter (§3.4.1, §5.8)."""
    marking = next(one for one in shared.ids() if one.startswith("marking-definition"))
    content = shared.ask(f"{shared.collection()}objects/{marking}/").json["objects"][0]
    assert "modified" not in content
    at = f"{shared.collection()}objects/{marking}/"
    assert shared.ask(f"{at}versions/").json["versions"] == [content["created"]]
    assert shared.ids(f"match[id]={marking}&match[version]={content['created']}") == [marking]


def test_who_may_not_push(busy: Served) -> None:
    """An account that may only fetch is told so, and refused before its body is read (§5.5)."""
    token = "a-token-that-may-only-fetch-0123456789"
    busy.ws.add_account("south-reader", "south", token=token)
    who = {"Authorization": f"Bearer {token}"}
    assert busy.ask(busy.collection(), who=None, headers=who).json["can_write"] is False
    for body in (b'{"objects":[' + malware(1).raw + b"]}", b"nonsense"):
        got = busy.ask(f"{busy.collection()}objects/", "POST", who=None, body=body, headers=who)
        assert got.status == 403


def test_an_exact_duplicate_is_no_error(busy: Served) -> None:
    """Twice in one envelope, in two, and what the ally had from us (§5.5)."""
    for objects in ((malware(1), malware(1)), (malware(1),), (indicator(1, NORTH, "green"),)):
        status = busy.push(*objects).json
        assert (status["failure_count"], status["success_count"]) == (0, len(objects))


def test_properties_beyond_the_standards(busy: Served) -> None:
    """There is none but `next` of a manifest, whose name is as §7.1.1 wants; others in a push are ignored."""
    names = {key for content in everything(busy).values() for key in content}
    assert all(re.fullmatch(r"[a-z0-9_]{3,250}", name) for name in names - {"id"})
    body = b'{"x_example_org_note":"x","objects":[' + malware(1).raw + b"]}"
    assert busy.ask(f"{busy.collection()}objects/", "POST", body=body).status == 202


def test_every_statement_has_its_test() -> None:
    """Each entry of `musts.toml` names a test that is there, or says why there can't be one."""
    entries = tomllib.loads(Path(__file__).with_name("musts.toml").read_text(encoding="utf-8"))["must"]
    here = [
        importlib.import_module(f"tests.web.{path.stem}")
        for path in Path(__file__).parent.glob("test_*.py")
        if path.stem != "test_crowd"
    ]
    for entry in entries:
        assert set(entry) >= {"section", "of", "says"}
        assert ("test" in entry) != ("why" in entry)
        file, _, name = entry.get("test", "").rpartition("::")
        if file:
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
            assert callable(getattr(module, name)), entry
        elif name:
            assert [module for module in here if hasattr(module, name)], entry
    sections = {one for entry in entries for one in entry["section"].split(", ")}
    assert {"2", "3.1", "3.2", "3.3", "3.4", "3.4.1", "3.5", "3.6.1", "3.7", "3.8", "3.9", "B"} <= sections


def test_collections(shared: Served) -> None:
    """An ally sees its own collections, with UUIDv4 as ids; they hold STIX 2.1 alone, and no two have one alias."""
    found = shared.ask("root/collections/").json["collections"]
    assert found[0] == shared.ask(shared.collection()).json
    for one in found:
        assert one == shared.ask(f"{shared.root}collections/{one['id']}/").json
        assert uuid.UUID(one["id"]).version == 4
        assert one["media_types"] == ["application/stix+json;version=2.1"]
    aliases = [one["alias"] for one in found if "alias" in one]
    assert len(aliases) == len(set(aliases))
    assert (found[0]["can_read"], found[0]["can_write"]) == (True, True)


def test_who_asks_is_asked_for_a_name(shared: Served) -> None:
    """Without an account there is nothing, not even a 404; Bearer and Basic are offered, both work."""
    for path in ("", "root/", shared.collection(), "root/collections/elsewhere/", "../nothing"):
        got = shared.ask(path, who=None)
        assert (got.status, got.headers["content-type"]) == (401, MEDIA_TYPE)
        assert "Bearer" in got.headers["www-authenticate"]
        assert "Basic" in got.headers["www-authenticate"]
    basic = {"Authorization": "Basic " + b64encode(f"south:{PASSWORD}".encode()).decode()}
    assert shared.ask("", who=None, headers=basic).status == 200
    assert shared.ask("", who=None, headers=basic).status == 200
    wrong = {"Authorization": "Basic " + b64encode(b"south:another word").decode()}
    assert shared.ask("", who=None, headers=wrong).status == 401
    assert shared.ask("", who=None, headers={"Authorization": "Bearer aleat-none"}).status == 401


def test_errors_are_messages(shared: Served) -> None:
    """An error is a message in TAXII's type, with a title and the status."""
    for path, method, status in (
        ("root/collections/none/", "GET", 404),
        ("elsewhere/", "GET", 404),
        ("root", "GET", 404),
        ("root/", "POST", 405),
        (f"{shared.collection()}objects/?limit=x", "GET", 400),
    ):
        got = shared.ask(path, method)
        assert (got.status, got.headers["content-type"]) == (status, MEDIA_TYPE)
        assert got.json["title"]
        assert got.json["http_status"] == str(status)


def test_the_manifest_is_that_of_the_objects(shared: Served) -> None:
    """Same ids, same order, same pages; each with its version, and when it was added."""
    records = shared.ask(f"{shared.collection()}manifest/").json["objects"]
    assert [record["id"] for record in records] == shared.ids()
    assert all(record["media_type"] == "application/stix+json;version=2.1" for record in records)
    assert [record["date_added"] for record in records] == sorted({record["date_added"] for record in records})
    page = shared.ask(f"{shared.collection()}manifest/?limit=5").json
    more = shared.ask(f"{shared.collection()}manifest/?limit=50&next={page['next']}").json
    assert [*page["objects"], *more["objects"]] == records


def test_one_object_and_its_versions(shared: Served) -> None:
    """An object comes in an envelope, with the bytes that it has here; its version is listed."""
    item = indicator(3, NORTH, "green")
    got = shared.ask(f"{shared.collection()}objects/{item.id}/")
    assert got.body == b'{"objects":[' + item.raw + b'],"more":false}'
    assert shared.ask(f"{shared.collection()}objects/{item.id}/versions/").json == {"versions": [item.version]}
    assert shared.ask(f"{shared.collection()}objects/{item.id}/?match[version]=2001-01-01T00:00:00Z").json == {}
    unknown = indicator(999, NORTH)
    for path in (f"objects/{unknown.id}/", f"objects/{unknown.id}/versions/"):
        assert shared.ask(f"{shared.collection()}{path}").status == 404


def test_a_push_and_its_status(busy: Served) -> None:
    """Each object succeeds or fails alone; the status says which, and can be asked for again by its pusher only."""
    bad = {"type": "malware", "id": "malware--1", "name": "no id"}
    pushed = busy.push(*(malware(number) for number in range(5)), bad)
    status = pushed.json
    assert (pushed.status, status["status"]) == (202, "complete")
    assert [status[f"{kind}_count"] for kind in ("total", "success", "failure", "pending")] == [6, 5, 1, 0]
    assert [one["id"] for one in status["successes"]] == [malware_id(number) for number in range(5)]
    assert status["failures"][0]["id"] == "malware--1"
    assert "id" in status["failures"][0]["message"]
    assert busy.ask(f"{busy.root}status/{status['id']}/").json == status
    assert busy.ask(f"{busy.root}status/{status['id']}/", who="east").status == 404
    assert busy.ask(f"{busy.root}status/{uuid.uuid4()}/").status == 404


def test_a_body_that_is_no_envelope(shared: Served) -> None:
    """It is refused as a whole, and changes nothing."""
    for body in (b"", b"{}", b"[]", b'{"objects":[]}', b'{"objects":{}}', b"nonsense", b'{"objects":[' + b"[" * 90_000):
        assert shared.ask(f"{shared.collection()}objects/", "POST", body=body).status == 422
    large = b'{"objects":[' + b" " * 3_000_000 + b"]}"
    assert shared.ask(f"{shared.collection()}objects/", "POST", body=large).status == 413
    assert len(shared.ids()) == 21


def test_what_is_not_ones_own_is_not_there(shared: Served) -> None:
    """Another ally's collection answers as one that doesn't exist, with every method, word for word."""
    none = f"{shared.root}collections/{uuid.uuid4()}/"
    for path in ("", "objects/", "manifest/", f"objects/{malware_id(1)}/", f"objects/{malware_id(1)}/versions/"):
        for method in ("GET", "POST", "DELETE", "PUT"):
            theirs = shared.ask(shared.collection("east") + path, method)
            absent = shared.ask(none + path, method)
            assert (theirs.status, theirs.body) == (absent.status, absent.body) == (404, theirs.body)


def test_what_comes_in_is_its_pushers(busy: Served) -> None:
    """What an ally pushed is kept with it as giver, and comes back to it."""
    assert busy.push(indicator(100, SOUTH, "amber")).json["success_count"] == 1
    with busy.ws.read() as connection:
        stored = get_object(connection, indicator(100, SOUTH).id)
    assert stored is not None
    assert [(copy.giver, copy.agreement) for copy in stored.copies] == [(SOUTH, "mutual-aid-south")]
    assert indicator(100, SOUTH).id in busy.ids()
    assert indicator(100, SOUTH).id not in busy.ids(who="east")
